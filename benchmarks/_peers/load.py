"""The load of the machine: how much of it other processes use, and processes that keep it busy.

If a thread waits for another that shares its core with other processes, it loses whole time slices. So on a busy
machine, PyTorch's parallel regions take multiples of 8 ms, and a ratio says little about the kernels.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

STAT = Path("/proc/stat")


class Others:
    """The fraction of all cores that other processes have used since its creation. `own` returns our CPU seconds."""

    def __init__(self, own: Callable[[], float]) -> None:
        self._own = own
        self._start = self._now()

    def _now(self) -> tuple[float, float, float]:
        return time.perf_counter(), busy_seconds(), self._own()

    def share(self) -> float:
        """The fraction, 0 to 1; 0 if the system does not report it."""
        wall, busy, own = (now - start for now, start in zip(self._now(), self._start, strict=True))
        return max(0.0, busy - own) / (wall * (os.cpu_count() or 1))


def busy_seconds() -> float:
    """CPU seconds of all processes since the system was started, including time that the hypervisor took."""
    if not STAT.exists():
        return 0.0
    user, nice, system, _, _, irq, softirq, steal, *_ = map(int, STAT.read_text(encoding="ascii").split()[1:11])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


@contextmanager
def busy(count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """So many processes that do nothing but work. They end with the block, or when this process does."""
    code = "import os\nparent = os.getppid()\nwhile os.getppid() == parent:\n    sum(range(1_000_000))\n"
    processes = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(count)]
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()
