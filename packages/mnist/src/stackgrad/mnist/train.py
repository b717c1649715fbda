"""Training: data in, a run's folder out."""

from __future__ import annotations

import json
import math
import platform
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from stackgrad import nn
from stackgrad.tensor import Generator, from_numpy, get_backend

from .data import Dataset, Split
from .evaluate import count_right
from .models import Model, make_model, normalise
from .runs import METRICS, MODEL, SUMMARY

WARM_STEPS = 20  # steps at the start that do not count for images per second: kernels are loaded or compiled in them
LOG_EVERY = 50


@dataclass(frozen=True)
class Recipe:
    """How a model is trained, where the command line does not say otherwise."""

    epochs: int
    batch_size: int
    lr: float
    weight_decay: float


RECIPES = {"lenet5": Recipe(5, 64, 0.003, 0.05), "course": Recipe(5, 64, 0.005, 0.01)}


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
    for epoch in range(1, recipe.epochs + 1):
        for index in nn.batches(len(split), recipe.batch_size, generator):
            optimizer.zero_grad()
            loss = model.loss(model(normalise(split.images[index])), from_numpy(labels[index]))
            loss.backward()
            lr = optimizer.lr
            optimizer.step()
            schedule.step()
            step += 1
            value = loss.item()
            if not math.isfinite(value):
                raise NotFiniteError(f"the loss is {value} at step {step}, with learning rate {lr:.3g}: try a lower --lr")
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

    `on_step` is called after each step; `arguments` go into the summary as they are.
    """
    generator = Generator(seed)
    model = make_model(name, data.classes, generator)
    first_step, last = 0.0, None
    with open(folder / METRICS, "w") as metrics:
        for last in train_steps(model, data.train, recipe, generator):
            first_step = first_step or seconds_since_start()
            on_step(last)
            if last.step % LOG_EVERY == 0 or last.step == 1:
                metrics.write(json.dumps(asdict(last)) + "\n")
                metrics.flush()
        right = count_right(model, data.test)
        accuracy = right / len(data.test)
        metrics.write(json.dumps({"step": last.step if last else 0, "test_accuracy": accuracy}) + "\n")
    nn.save(folder / MODEL, model, {"model": name})
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
    (folder / SUMMARY).write_text(json.dumps(summary, indent=2) + "\n")
    return summary


def seconds_since_start() -> float:
    """Seconds since this process was started."""
    return time.time() - psutil.Process().create_time()


def peak_memory_mb() -> float:
    """The most memory this process has held, in 10**6 bytes."""
    if sys.platform == "win32":
        return float(psutil.Process().memory_info().peak_wset) / 1e6
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def versions() -> dict[str, str]:
    """The versions that a result depends on."""
    packages = ("stackgrad-tensor", "stackgrad-kernels", "stackgrad-nn", "stackgrad-mnist", "numpy", "numba")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}
