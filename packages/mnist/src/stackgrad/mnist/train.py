"""Training: data in, a run's folder out."""

from __future__ import annotations

import json
import math
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from stackgrad import nn
from stackgrad.tensor import Generator, Tensor, capture, from_numpy, get_backend

from .data import Dataset, Split
from .evaluate import count_right
from .models import Model, make_model, normalise
from .process import peak_memory_mb, seconds_since_start
from .runs import METRICS, save_run

WARM_STEPS = 20  # steps at the start that do not count for images per second: kernels are loaded or compiled in them
LOG_EVERY = 50


@dataclass(frozen=True)
class Recipe:
    """How a model is trained, where the command line does not say otherwise."""

    epochs: int
    batch_size: int
    lr: float
    weight_decay: float


RECIPES = {"lenet5": Recipe(3, 64, 0.004, 0.05), "course": Recipe(4, 64, 0.006, 0.01)}


@dataclass(frozen=True)
class Step:
    """One step of training, as it is logged and shown."""

    step: int
    epoch: int
    loss: float
    lr: float
    images_per_second: float


class NotFiniteError(ArithmeticError):
    """The loss became NaN or infinite."""


class Clock:
    """Images per second, leaving out the first steps."""

    def __init__(self) -> None:
        self.steps = 0
        self.images = 0
        self.start = time.perf_counter()

    def tick(self, images: int, total_steps: int) -> float:
        """Count one step of so many images; images per second so far."""
        now = time.perf_counter()
        self.steps += 1
        if self.steps <= min(WARM_STEPS, max(1, total_steps // 10)):
            self.images, self.start = 0, now
            return 0.0
        self.images += images
        return self.images / (now - self.start)


def train_steps(model: Model, split: Split, recipe: Recipe, generator: Generator) -> Iterator[Step]:
    """Train `model` on `split`, yielding after each step. Raises NotFiniteError when the loss is no number."""
    optimizer = nn.AdamW(model.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay)
    total = recipe.epochs * math.ceil(len(split) / recipe.batch_size)
    schedule = nn.OneCycle(optimizer, recipe.lr, total)
    labels = split.labels.astype(np.int64)
    clock, step = Clock(), 0
    model.train()

    @capture
    def learn(images: Tensor, classes: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss = model.loss(model(images), classes)
        loss.backward()
        optimizer.step()
        return loss.detach()

    for epoch in range(1, recipe.epochs + 1):
        for index in nn.batches(len(split), recipe.batch_size, generator):
            lr = optimizer.lr
            value = learn(normalise(split.images[index]), from_numpy(labels[index])).item()
            schedule.step()
            step += 1
            if not math.isfinite(value):
                raise NotFiniteError(
                    f"the loss is {value} at step {step}, with learning rate {lr:.3g}: try a lower --lr"
                )
            yield Step(step, epoch, value, lr, clock.tick(len(index), total))


def train(
    name: str,
    data: Dataset,
    recipe: Recipe,
    seed: int,
    folder: Path,
    arguments: dict[str, Any],
    on_step: Callable[[Step], None] = lambda step: None,
) -> dict[str, Any]:
    """Train the model of that name and write its folder; returns what summary.json holds.

    Args:
        name: one of `MODELS`.
        data: what to train on and to measure on.
        recipe: how to train.
        seed: decides every random number, 0 to 2**64 - 1.
        folder: where to write; a folder that exists (`new_run` makes one).
        arguments: go into the summary as they are: whatever says how the run was asked for.
        on_step: called after each step.

    Raises:
        NotFiniteError: the loss or a weight became NaN or infinite. The folder then holds no summary.
    """
    generator = Generator(seed)
    model = make_model(name, data.classes, generator)
    first_step, last = 0.0, None
    with open(folder / METRICS, "w", encoding="utf-8") as metrics:
        for last in train_steps(model, data.train, recipe, generator):
            first_step = first_step or seconds_since_start()
            on_step(last)
            if last.step % LOG_EVERY == 0 or last.step == 1:
                metrics.write(json.dumps(asdict(last)) + "\n")
                metrics.flush()
        if not all(np.isfinite(p.detach().numpy()).all() for p in model.parameters()):
            raise NotFiniteError("the last step made some weights infinite or NaN: try a lower --lr")
        accuracy = count_right(model, data.test) / len(data.test)
        metrics.write(json.dumps({"step": last.step if last else 0, "test_accuracy": accuracy}) + "\n")
    summary = {
        "model": name,
        "classes": data.classes,
        "backend": get_backend().name,
        "seed": seed,
        "epochs": recipe.epochs,
        "batch_size": recipe.batch_size,
        "parameters": sum(p.size for p in model.parameters()),
        "test_accuracy": accuracy,
        "images_per_second": round(last.images_per_second, 1) if last else 0.0,
        "seconds_to_first_step": round(first_step, 3),
        "seconds_total": round(seconds_since_start(), 3),
        "peak_memory_mb": round(peak_memory_mb(), 1),
        "versions": versions(),
        "arguments": arguments,
    }
    save_run(folder, model, summary)
    return summary


def versions() -> dict[str, str]:
    """The versions that a result depends on."""
    packages = ("stackgrad-tensor", "stackgrad-kernels", "stackgrad-nn", "stackgrad-mnist", "numpy", "numba")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}
