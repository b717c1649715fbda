"""What a trained model answers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stackgrad import nn
from stackgrad.nn.distributed import share
from stackgrad.tensor import Tensor, capture, no_grad

from ..data.datasets import Split
from ..models import Model, normalise
from .ranks import gathered

BATCH = 500


def probabilities(model: Model, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The probability of each class for uint8 images (n, 28, 28): float32 (n, classes), n at least 1.

    Computed on the backend that the model is on. Leaves the model in eval mode.
    """
    model.eval()
    backend = next(model.parameters()).backend
    parts = []

    @capture
    @no_grad()
    def answer(batch: Tensor) -> Tensor:
        return nn.softmax(model(batch), 1)  # of log-probabilities, these are the probabilities too

    for start in range(0, len(images), BATCH):
        parts.append(answer(normalise(images[start : start + BATCH], backend)).numpy().copy())
    return np.concatenate(parts)


def count_right(model: Model, split: Split) -> int:
    """How many images of `split` the model gives their label. Ranks share the work."""
    return int(_sums(model, split)[1])


def loss_and_accuracy(model: Model, split: Split) -> tuple[float, float]:
    """The mean cross-entropy of what the model answers for `split`, and the share that it gets right. Ranks share
    the work."""
    loss, right = _sums(model, split)
    return loss / len(split), right / len(split)


def _sums(model: Model, split: Split) -> tuple[float, float]:
    """The sum of the cross-entropies, and how many images get their label."""
    part = share(len(split))
    images, labels = split.images[part], split.labels[part]
    loss = right = 0.0
    if len(images):
        answers = probabilities(model, images)
        right = float((answers.argmax(axis=1) == labels).sum())
        of_label = answers[np.arange(len(labels)), labels].astype(np.float64)
        loss = float(-np.log(np.maximum(of_label, np.finfo(np.float32).tiny)).sum())
    loss, right = gathered(loss, right).sum(0).tolist()
    return loss, right


def count_confusions(labels: NDArray[Any], guesses: NDArray[Any], classes: int) -> NDArray[np.int64]:
    """How often each class (row) was taken for each (column): int64 (classes, classes)."""
    pairs = labels.astype(np.int64) * classes + guesses
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)
