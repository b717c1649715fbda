"""The process in which tools/compare_commits.py times the benchmarks on one commit's packages."""

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

# Seconds. On a busy machine a process loses its core every few milliseconds: one of many short samples is left alone,
# of long ones none is.
SAMPLE = 0.002


class _Bench:
    """The benchmarks, and the one at work."""

    def __init__(self) -> None:
        self._all = counted_entries() if COUNTED in os.environ else timed_entries()
        self._at_work: tuple[Callable[[], None], int] | None = None

    def names(self) -> list[str]:
        return list(self._all)

    def origins(self) -> list[str]:
        """The files that the packages were imported from."""
        return [str(module.__file__) for name, module in sys.modules.items() if name.startswith("stackgrad.")]

    def touched(self, name: str) -> Touched:
        """What a benchmark executes (see _touched)."""
        return touch(self._all[name], os.environ["PYTHONPATH"].split(os.pathsep)[0])

    def prepare(self, name: str, number: int | None) -> int:
        """Compile and warm up; the calls that make a sample, unless they are given."""
        work = self._all[name]
        self._at_work = (work, number or calibrate(work, SAMPLE))
        if number:
            work()
            work()
        return self._at_work[1]

    def result(self, name: str) -> list[Any]:
        """The arrays that the first call gives, and the operands that it may have written to are forgotten."""
        work: Any = self._all[name]
        work.func.prepare.cache_clear()
        given = work.func.prepare(*work.args)()
        work.func.prepare.cache_clear()
        many = given if isinstance(given, tuple | list) else [given]
        return [x.detach().numpy() for x in many if hasattr(x, "detach")]

    def sample(self) -> float:
        """Seconds of a call, after one that brings back what the other process took from the caches."""
        assert self._at_work is not None
        work, number = self._at_work
        if number > 1:
            work()
        return sample(work, number)

    def spent(self) -> float:
        """Seconds of the cores that this process used so far."""
        return sum(os.times()[:4])

    def forget(self) -> None:
        """Free the operands of the one at work."""
        if self._at_work is not None:
            benchmark: Any = self._at_work[0]
            benchmark.func.prepare.cache_clear()
            self._at_work = None


if __name__ == "__main__":
    bench = _Bench()
    served: list[Callable[..., Any]] = [bench.names, bench.origins, bench.touched, bench.result]
    served += [bench.prepare, bench.sample, bench.spent, bench.forget]
    serve({function.__name__: function for function in served})
