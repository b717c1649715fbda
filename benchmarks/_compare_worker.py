"""The process in which tools/compare_commits.py times benchmarks with the packages of one commit."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from benchmarks._clock import calibrate, sample
from benchmarks._entries import counted_entries, timed_entries
from benchmarks._execution import Touched
from benchmarks._pipe import serve
from benchmarks._touched import touch
from benchmarks._values import COUNTED

# Seconds. On a busy machine a process loses its core every few milliseconds: among many short samples some are not
# interrupted, but long ones always are.
SAMPLE = 0.002


class _Bench:
    """The benchmarks, and the one that is prepared."""

    def __init__(self) -> None:
        self._all = counted_entries() if COUNTED in os.environ else timed_entries()
        self._prepared: tuple[Callable[[], None], int] | None = None

    def names(self) -> list[str]:
        return list(self._all)

    def origins(self) -> list[str]:
        """The files that the packages were imported from."""
        return [str(module.__file__) for name, module in sys.modules.items() if name.startswith("stackgrad.")]

    def touched(self, name: str) -> Touched:
        """The code that a benchmark executes (see _touched)."""
        return touch(self._all[name], os.environ["PYTHONPATH"].split(os.pathsep)[0])

    def prepare(self, name: str, calls: int | None) -> int:
        """Compile and warm up a benchmark. Returns the count of calls for a sample, measured unless given."""
        work = self._all[name]
        self._prepared = (work, calls or calibrate(work, SAMPLE))
        if calls:
            work()
            work()
        return self._prepared[1]

    def result(self, name: str) -> list[Any]:
        """The arrays that the first call returns. Discards the operands, which the call may have changed."""
        work: Any = self._all[name]
        work.func.prepare.cache_clear()
        given = work.func.prepare(*work.args)()
        work.func.prepare.cache_clear()
        many = given if isinstance(given, tuple | list) else [given]
        return [x.detach().numpy() for x in many if hasattr(x, "detach")]

    def sample(self) -> float:
        """Seconds of a call, after one that refills the caches, which the other process has used."""
        assert self._prepared is not None
        work, calls = self._prepared
        if calls > 1:
            work()
        return sample(work, calls)

    def spent(self) -> float:
        """CPU seconds that this process has used so far."""
        return sum(os.times()[:4])

    def forget(self) -> None:
        """Free the operands of the prepared benchmark."""
        if self._prepared is not None:
            benchmark: Any = self._prepared[0]
            benchmark.func.prepare.cache_clear()
            self._prepared = None


if __name__ == "__main__":
    bench = _Bench()
    served: list[Callable[..., Any]] = [bench.names, bench.origins, bench.touched, bench.result]
    served += [bench.prepare, bench.sample, bench.spent, bench.forget]
    serve({function.__name__: function for function in served})
