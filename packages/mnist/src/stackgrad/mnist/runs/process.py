"""Facts about this process: the time since its start, its peak memory, and the versions of its packages."""

from __future__ import annotations

import functools
import os
import platform
import sys
import time
from importlib.metadata import version

# Without /proc, assume that the process has used the CPU all the time until here.
_START = time.perf_counter() - time.process_time()


def seconds_since_start() -> float:
    """Seconds since this process was started, including imports."""
    if sys.platform != "linux":
        return time.perf_counter() - _START
    with open("/proc/self/stat", encoding="utf-8", errors="replace") as file:
        after_name = file.read().rpartition(")")[2].split()  # man 5 proc: starttime is field 22, in ticks since boot
    return time.clock_gettime(time.CLOCK_BOOTTIME) - int(after_name[19]) / os.sysconf("SC_CLK_TCK")


def peak_memory_mb() -> float:
    """The peak memory of this process, in 10**6 bytes, or 0 on Windows, which does not report it here."""
    if sys.platform == "win32":
        return 0.0
    if sys.platform == "linux":
        # The peak of getrusage would include the process that started this one.
        with open("/proc/self/status", encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024 / 1e6
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


@functools.cache
def versions() -> dict[str, str]:
    """The versions that results depend on."""
    packages = ("stackgrad-tensor", "stackgrad-kernels", "stackgrad-nn", "stackgrad-mnist", "numpy", "numba")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}
