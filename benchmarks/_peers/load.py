"""How much of the machine other processes use, which decides whether a comparison is fair.

A thread that waits for another one loses whole time slices where that one has to share its core: on a busy machine
PyTorch's parallel regions take multiples of 8 ms, and every ratio is nonsense.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

STAT = Path("/proc/stat")


class Others:
    """The share of all cores that others used since it was made. `own` gives the CPU seconds of our processes."""

    def __init__(self, own: Callable[[], float]) -> None:
        self._own = own
        self._start = self._now()

    def _now(self) -> tuple[float, float, float]:
        return time.perf_counter(), busy_seconds(), self._own()

    def share(self) -> float:
        """0 to 1; 0 where the system does not say."""
        wall, busy, own = (now - start for now, start in zip(self._now(), self._start, strict=True))
        return max(0.0, busy - own) / (wall * (os.cpu_count() or 1))


def busy_seconds() -> float:
    """CPU seconds of all processes since the system was started, with those that the hypervisor took."""
    if not STAT.exists():
        return 0.0
    user, nice, system, _, _, irq, softirq, steal, *_ = map(int, STAT.read_text(encoding="ascii").split()[1:11])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
