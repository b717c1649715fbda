"""What a picture is drawn from, and what it is in the end."""

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
    """A trained model and what is known of it.

    Attributes:
        model: computes on the backend that it is on, and is left in eval mode.
        rows: the lines of metrics.jsonl (`read_metrics`).
        test: n images that it was not trained on.
        probabilities: what it answers for them: float32 (n, classes).
        names: of the classes.
    """

    model: Model
    rows: list[dict[str, Any]]
    test: Split
    probabilities: NDArray[np.float32]
    names: Sequence[str]

    @property
    def counts(self) -> NDArray[np.int64]:
        """How often each class (row) was taken for each (column): int64 (classes, classes)."""
        return count_confusions(self.test.labels, self.probabilities.argmax(axis=1), len(self.names))


@dataclass(frozen=True)
class Picture:
    """A picture, and what it shows.

    Attributes:
        name: of its file, without the ending.
        heading: what stands above it in a page.
        title: its finding, in a line.
        description: what it shows, in words, for who cannot see it.
        png: the content of a PNG file.
    """

    name: str
    heading: str
    title: str
    description: str
    png: bytes
