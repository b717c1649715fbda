"""Sums and means over all ranks."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ._agree import gather_for
from ._world import world


def total(values: Mapping[str, float]) -> dict[str, float]:
    """The sum of each value over the ranks, equal on all: `total({"correct": correct, "images": n})`.

    Sums of ints are exact; sums of floats are rounded once.

    Raises:
        ValueError: ranks whose names differ.
    """
    found = gather_for("total", dict(values))
    if any(list(other) != list(values) for other in found):
        raise ValueError(f"total: the ranks gave {[list(other) for other in found]}: expected the same names")
    return {name: _sum([other[name] for other in found]) for name in values}


def mean(value: float, samples: int) -> float:
    """The mean over the samples of all ranks, where `value` is the mean over this rank's `samples`; NaN without any.

    A rank without samples may pass any value.
    """
    if world().size == 1:
        return value if samples else math.nan
    found = total({"sum": value * samples if samples else 0.0, "samples": samples})
    return found["sum"] / found["samples"] if found["samples"] else math.nan


def _sum(values: list[float]) -> float:
    return sum(values) if all(isinstance(value, int) for value in values) else math.fsum(values)
