"""Timing in one process: how many calls make a sample, and how long a call of a sample took."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable


def calibrate(work: Callable[[], object], seconds: float) -> int:
    """Calls that take about that many seconds, found after two calls that do not count."""
    work()
    work()
    number = 1
    while True:
        spent = sample(work, number) * number
        if spent > seconds / 3:
            return max(1, round(number * seconds / spent))
        number *= 3


def sample(work: Callable[[], object], number: int) -> float:
    """Seconds that one of `number` calls took, without the garbage collector."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        start = time.perf_counter()
        for _ in range(number):
            work()
        return (time.perf_counter() - start) / number
    finally:
        if enabled:
            gc.enable()
