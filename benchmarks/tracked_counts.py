"""The instructions of all benchmarks in asv's history: one track per family, all counted together once per commit."""

from __future__ import annotations

import math
from itertools import groupby

from tools.callgrind import missing

from ._counts import TOGETHER, count, entries
from ._entries import counted_entries
from ._suite import tracked


def setup_cache() -> dict[str, float]:
    """Instructions by benchmark, counted in separate processes; empty without valgrind."""
    if missing():
        return {}
    (counted,) = count([({}, list(entries({})))])
    return {name: counts.instructions for name, counts in counted.counts.items()}


setup_cache.timeout = 1800  # type: ignore[attr-defined]


def _track(family: str, benchmarks: list[str]) -> None:
    """Define the track of a family, under a name that asv finds."""

    @tracked("instructions", benchmark=benchmarks)
    def track(counts: dict[str, float], benchmark: str) -> float:
        return counts.get(benchmark, math.nan)

    track.__name__ = f"track_{family}"
    globals()[track.__name__] = track


for family, names in groupby(counted_entries(), lambda name: name.partition(".")[0].removeprefix("bench_")):
    _track(family, [*names])
_track("imports", [f"import {package}" for packages in TOGETHER for package in packages])
