"""lenet5 on MNIST, each step replayed as CUDA graphs, until the test images are read as they should be."""

from __future__ import annotations

import gzip
import time
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stackgrad import nn
from stackgrad.mnist.models import LeNet5, normalise
from stackgrad.tensor import Generator, Tensor, capture, from_numpy, no_grad, zeros
from tools._gpu.report import Results

FILES = Path(__file__).resolve().parents[2] / "packages/mnist/src/stackgrad/mnist/files"
EPOCHS, BATCH, LR, WEIGHT_DECAY = 10, 64, 0.003, 0.01
WANTED = 0.99


def _read(name: str) -> NDArray[np.uint8]:
    """An IDX file of bytes: its number of dimensions is byte 3, their extents follow, 4 bytes each."""
    raw = gzip.decompress((FILES / name).read_bytes())
    shape = np.frombuffer(raw, ">i4", raw[3], 4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(shape)


def run_training(report: Results, arguments: Namespace) -> None:
    """Train for EPOCHS epochs and measure."""
    count = 4 if arguments.dry_run else None
    images, labels, test_images, test_labels = (
        _read(f"{name}.gz")[:count]
        for part in ("train", "t10k")
        for name in (f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte")
    )
    epochs, batch = (1, 2) if arguments.dry_run else (EPOCHS, BATCH)
    start = time.perf_counter()
    model = model_to_train(arguments.dry_run)
    accuracy, losses = _train(model, images, labels, test_images, test_labels, epochs, batch)
    seconds = time.perf_counter() - start
    what = "lenet5 on MNIST"
    if arguments.dry_run:
        report.check(what, bool(np.isfinite(losses).all()), f"{losses.size} steps, their losses finite")
    else:
        read = f"{accuracy:.2%} of the test images are read rightly, at least {WANTED:.0%} wanted"
        report.check(what, accuracy >= WANTED, f"{read}; {epochs} epochs, {seconds:.1f} s with compiling")


def model_to_train(dry_run: bool) -> nn.Module:
    """lenet5 on the GPU; in a dry run a model of the same layers that is as small as can be."""
    generator = Generator(0)
    if not dry_run:
        return LeNet5(generator=generator).to("cuda")
    return nn.Sequential(
        nn.Conv2d(1, 2, 3, stride=9, generator=generator, activation="relu"),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(2, 10, generator=generator),
    ).to("cuda")


def learning_step(model: nn.Module, optimizer: nn.Optimizer) -> Callable[[Tensor, Tensor], Tensor]:
    """A step of training on images and classes, which gives the loss."""

    def step(images: Tensor, classes: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss = nn.cross_entropy(model(images), classes)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def _train(
    model: nn.Module,
    images: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    test_images: NDArray[np.uint8],
    test_labels: NDArray[np.uint8],
    epochs: int,
    batch: int,
) -> tuple[float, NDArray[np.float32]]:
    """The share of test images read rightly, and the losses of the last steps, at most 50."""
    generator = Generator(0)
    optimizer = nn.AdamW(model.parameters(), lr=LR, weight_decay=WEIGHT_DECAY)
    schedule = nn.OneCycle(optimizer, LR, epochs * -(-len(images) // batch))
    recent = zeros(min(50, epochs * -(-len(images) // batch)), backend="cuda")

    step = learning_step(model, optimizer)

    @capture
    def learn(images: Tensor, classes: Tensor) -> Tensor:
        loss = step(images, classes)
        recent[:-1] = recent[1:]
        recent[-1] = loss
        return recent

    for _ in range(epochs):
        for index in nn.batches(len(images), batch, generator):
            classes = from_numpy(labels[index].astype(np.int64), backend="cuda")
            learn(normalise(images[index], "cuda"), classes)
            schedule.step()
    answer = capture(no_grad()(model))
    model.eval()
    right = 0
    for first in range(0, len(test_images), 500):
        part = slice(first, first + 500)
        scores = answer(normalise(test_images[part], "cuda")).numpy()
        right += int((scores.argmax(1) == test_labels[part]).sum())
    return right / len(test_images), recent.numpy()
