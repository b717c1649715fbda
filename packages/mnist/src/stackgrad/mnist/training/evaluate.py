"""Predictions of a trained model, and how good they are."""

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

    Computed on the model's backend. Leaves the model in eval mode.
    """
    model.eval()
    backend = next(model.parameters()).backend
    parts = []

    @capture
    @no_grad()
    def answer(batch: Tensor) -> Tensor:
        return nn.softmax(model(batch), 1)  # also correct if the model returns log-probabilities

    for start in range(0, len(images), BATCH):
        parts.append(answer(normalise(images[start : start + BATCH], backend)).numpy().copy())
    return np.concatenate(parts)


def count_correct(model: Model, split: Split) -> int:
    """How many images of `split` the model classifies correctly. Ranks share the work."""
    return int(_sums(model, split)[1])


def loss_and_accuracy(model: Model, split: Split) -> tuple[float, float]:
    """The mean cross-entropy and the accuracy of the model on `split`. Ranks share the work."""
    loss, correct = _sums(model, split)
    return loss / len(split), correct / len(split)


def _sums(model: Model, split: Split) -> tuple[float, float]:
    """The sum of the cross-entropies, and the count of correct predictions."""
    part = share(len(split))
    images, labels = split.images[part], split.labels[part]
    loss = correct = 0.0
    if len(images):
        answers = probabilities(model, images)
        correct = float((answers.argmax(axis=1) == labels).sum())
        of_label = answers[np.arange(len(labels)), labels].astype(np.float64)
        loss = float(-np.log(np.maximum(of_label, np.finfo(np.float32).tiny)).sum())
    loss, correct = gathered(loss, correct).sum(0).tolist()
    return loss, correct


def count_confusions(labels: NDArray[Any], guesses: NDArray[Any], classes: int) -> NDArray[np.int64]:
    """The confusion matrix, int64 (classes, classes): how often each class (row) is predicted as each (column)."""
    pairs = labels.astype(np.int64) * classes + guesses
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)
