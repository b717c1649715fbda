"""lenet5 on MNIST, with each step replayed as CUDA graphs; checks its accuracy on the test images."""

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
    """Read an IDX file of bytes: byte 3 is the number of dimensions, and their extents follow, 4 bytes each."""
    raw = gzip.decompress((FILES / name).read_bytes())
    shape = np.frombuffer(raw, ">i4", raw[3], 4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(shape)


def run_training(report: Results, arguments: Namespace) -> None:
    """Train for EPOCHS epochs, and check the accuracy."""
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
        reached = f"test accuracy {accuracy:.2%}, at least {WANTED:.0%} expected"
        report.check(what, accuracy >= WANTED, f"{reached}; {epochs} epochs, {seconds:.1f} s with compilation")


def model_to_train(dry_run: bool) -> nn.Module:
    """lenet5 on the GPU, or in a dry run the smallest model with such layers."""
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
    """A training step on images and classes, which returns the loss."""

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
    """The test accuracy, and the losses of the last steps, at most 50."""
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
    predict = capture(no_grad()(model))
    model.eval()
    correct = 0
    for first in range(0, len(test_images), 500):
        part = slice(first, first + 500)
        scores = predict(normalise(test_images[part], "cuda")).numpy()
        correct += int((scores.argmax(1) == test_labels[part]).sum())
    return correct / len(test_images), recent.numpy()
