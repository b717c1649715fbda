"""Pictures of a run, as PNG: how it learned, what it mistakes for what, what its convolutions see.

Each is drawn by one module from what it shows; `draw_all` draws them all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.datasets import Split
from ..models import Model
from ..training.evaluate import count_confusions
from . import channels, confusion, curves, filters, mistakes
from ._style import Picture, style

__all__ = ["Picture", "draw_all"]


def draw_all(
    model: Model, rows: list[dict[str, Any]], test: Split, chances: NDArray[np.float32], names: Sequence[str]
) -> list[Picture]:
    """All pictures of a trained model; equal arguments give equal bytes.

    Args:
        model: computes on the backend that it is on, and is left in eval mode.
        rows: the lines of metrics.jsonl (`read_metrics`).
        test: n images that it was not trained on.
        chances: what it answers for them, the probability of each class: float32 (n, classes).
        names: of the classes.
    """
    counts = count_confusions(test.labels, chances.argmax(axis=1), len(names))
    with style():
        return [
            curves.draw(rows),
            confusion.draw(counts, names),
            mistakes.draw(test, chances, names),
            channels.draw(model, test, names),
            filters.draw(model),
        ]
