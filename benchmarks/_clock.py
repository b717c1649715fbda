"""Timing in one process: the count of calls for a sample, and the time of a call in a sample."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable


def calibrate(work: Callable[[], object], seconds: float) -> int:
    """How many calls take about `seconds`. First calls `work` twice to warm up."""
    work()
    work()
    calls = 1
    while True:
        spent = sample(work, calls) * calls
        if spent > seconds / 3:
            return max(1, round(calls * seconds / spent))
        calls *= 3


def sample(work: Callable[[], object], calls: int) -> float:
    """The mean time of `calls` calls, in seconds, without garbage collection."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        start = time.perf_counter()
        for _ in range(calls):
            work()
        return (time.perf_counter() - start) / calls
    finally:
        if enabled:
            gc.enable()
