"""Numbers of all ranks together."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ._agree import gather_for
from ._world import world


def total(values: Mapping[str, float]) -> dict[str, float]:
    """Each of the numbers added up over the ranks, the same on all: `total({"right": right, "images": n})`.

    Sums of ints are exact, those of floats rounded once.

    Raises:
        ValueError: ranks that name other numbers.
    """
    found = gather_for("total", dict(values))
    if any(list(other) != list(values) for other in found):
        raise ValueError(f"total: the ranks gave {[list(other) for other in found]}: expected the same names")
    return {name: _sum([other[name] for other in found]) for name in values}


def mean(value: float, samples: int) -> float:
    """The mean over all samples of all ranks, of which this one's `samples` have the mean `value`; NaN where none are.

    A rank without samples may give any value.
    """
    if world().size == 1:
        return value if samples else math.nan
    found = total({"sum": value * samples if samples else 0.0, "samples": samples})
    return found["sum"] / found["samples"] if found["samples"] else math.nan


def _sum(values: list[float]) -> float:
    return sum(values) if all(isinstance(value, int) for value in values) else math.fsum(values)
