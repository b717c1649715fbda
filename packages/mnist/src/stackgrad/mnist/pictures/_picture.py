"""The input of a picture, and the finished picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.datasets import Split
from ..models import Model
from ..training.evaluate import count_confusions


@dataclass(frozen=True, eq=False)
class Shown:
    """A trained model, its metrics and its predictions.

    Attributes:
        model: computes on its own backend; drawing leaves it in eval mode.
        rows: the lines of metrics.jsonl (`read_metrics`).
        test: n test images.
        probabilities: the model's probabilities for them, float32 (n, classes).
        names: the names of the classes.
    """

    model: Model
    rows: list[dict[str, Any]]
    test: Split
    probabilities: NDArray[np.float32]
    names: Sequence[str]

    @property
    def counts(self) -> NDArray[np.int64]:
        """The confusion matrix, int64 (classes, classes): how often each class (row) is predicted as each (column)."""
        return count_confusions(self.test.labels, self.probabilities.argmax(axis=1), len(self.names))


@dataclass(frozen=True)
class Picture:
    """A picture, and texts about it.

    Attributes:
        name: the name of its file, without the suffix.
        heading: its heading on a page.
        title: its main finding, in one line.
        description: what it shows, for readers who cannot see it.
        png: the contents of a PNG file.
    """

    name: str
    heading: str
    title: str
    description: str
    png: bytes
