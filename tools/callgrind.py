"""Count the instructions that Python code executes, including jitted functions, to a percent, even on a busy machine.

This file is self-contained: it only imports the standard library, so other projects that compile functions, with Numba
or otherwise, may copy it. It needs valgrind (`apt-get install valgrind`) on Linux on x86-64.

In the process that valgrind runs, `count` calls each function of a dictionary between two marks. Outside, `run` starts
that process and returns the counts: for pytest, for asv, or for a script.

    # counted.py
    import callgrind
    import numpy

    array = numpy.ones(10_000)  # the functions may also be compiled by numba.njit
    callgrind.count({"total": lambda: array.sum(), "sorted": lambda: numpy.sort(array)})

    # test_counted.py
    import sys
    import callgrind

    def test_total():
        counts = callgrind.run([sys.executable, "counted.py"])
        assert counts["total"].instructions < counts["sorted"].instructions

    # bench_counted.py
    import sys
    import callgrind

    class Counted:
        params = ["total", "sorted"]

        def setup_cache(self):
            return callgrind.run([sys.executable, "counted.py"])

        def track_instructions(self, counts, name):
            return counts[name].instructions

        track_instructions.unit = "instructions"

Two runs agree because there is one thread, a fixed hash seed, fixed addresses, caches of a fixed size, no garbage
collection, and because the functions are warm. A long loop in Python may still count 2 % more or less, since each
object takes a few more instructions to allocate in some states of the heap. Compile the functions before you count:
best in a process without valgrind, with the environment variables `fixed()`, into a cache on disk. Without valgrind,
`count` just calls each function once. The variables name the CPU that valgrind presents to programs, so the code is the
same whatever CPU compiles it.

A request to valgrind is a sequence of instructions that does nothing elsewhere (valgrind.h). Here it is in executable
memory and called through ctypes, so no C compiler is needed.
"""

from __future__ import annotations

import ctypes
import gc
import json
import mmap
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import repeat
from pathlib import Path
from typing import NamedTuple

# An Intel core of 2013 with AVX2 and FMA, which valgrind 3.19 presents on newer ones.
NUMBA = {
    "NUMBA_CPU_NAME": "haswell",
    "NUMBA_CPU_FEATURES": "+64bit,+avx,+avx2,+bmi,+bmi2,+cmov,+crc32,+cx16,+cx8,+f16c,+fma,+fxsr,+lzcnt,+mmx,+movbe,"
    "+pclmul,+popcnt,+sahf,+sse,+sse2,+sse3,+sse4.1,+sse4.2,+ssse3,+xsave",
    "NUMBA_NUM_THREADS": "1",
}
# The last level is small, since the operands for counting are small too.
CACHES = ("--cache-sim=yes", "--I1=32768,8,64", "--D1=32768,8,64", "--LL=262144,256,64")
_EVENTS = ("Ir", "D1mr", "D1mw", "DLmr", "DLmw")

# mov rax, rdi; xor edx, edx; rol rdi, 3; rol rdi, 13; rol rdi, 61; rol rdi, 51; xchg rbx, rbx; mov rax, rdx; ret
_CODE = bytes.fromhex("4889f8 31d2 48c1c703 48c1c70d 48c1c73d 48c1c733 4887db 4889d0 c3")
_RUNNING_ON_VALGRIND = 0x1001
_ZERO, _DUMP, _START, _STOP = ((ord("C") << 24 | ord("T") << 16) + request for request in (1, 0, 4, 5))
_NO_RANDOM_ADDRESSES = 0x0040000  # from <sys/personality.h>
_END_WITH_PARENT = 1  # from <sys/prctl.h>

ENOUGH = 120_000  # instructions between two marks
MOST_CALLS = 20
ATTEMPTS = 8


class Counts(NamedTuple):
    """The counts of a call: instructions, and data reads and writes that missed the first and the last cache level."""

    instructions: float
    first_level: float
    last_level: float


def missing() -> str | None:
    """Why nothing can be counted here and what to do, or None if it can."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return f"valgrind's requests are known for Linux on x86-64, not {sys.platform} on {platform.machine()}"
    return None if shutil.which("valgrind") else "there is no valgrind: apt-get install valgrind"


def run(command: Sequence[str], environment: Mapping[str, str] | None = None, *, layout: int = 0) -> dict[str, Counts]:
    """Run a command that calls `count` under valgrind. Returns its counts. Raises RuntimeError if the command fails.

    The process gets the variables in `environment` (by default PATH and HOME), and those for Numba, OpenBLAS and the
    hash seed. Another `layout` moves objects in memory, which changes the part of the counts that the code does not
    determine.
    """
    return Run(command, environment, layout=layout).wait()


class Run:
    """A process under valgrind, which the constructor starts. Several may run at the same time."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str] | None = None, *, layout: int = 0
    ) -> None:
        if reason := missing():
            raise RuntimeError(reason)
        self._folder = tempfile.TemporaryDirectory(prefix="callgrind-")
        folder = Path(self._folder.name)
        self._command = list(command)
        self._results, self._errors = folder / "results.json", folder / "errors"
        with self._errors.open("w") as errors:
            self._process = subprocess.Popen(
                [*_valgrind(folder), *command],
                env=fixed(environment, layout) | {"CALLGRIND_FOLDER": str(folder)},
                stdout=errors,
                stderr=errors,
                preexec_fn=_before_valgrind,
                start_new_session=True,  # Linux shares a busy machine among sessions
            )

    def ended(self) -> bool:
        """Whether the process has ended."""
        return self._process.poll() is not None

    def wait(self) -> dict[str, Counts]:
        """Wait for the process. Returns the counts. Raises RuntimeError if the process failed."""
        try:
            status = self._process.wait()
            if status or not self._results.exists():
                last = "\n".join(self._errors.read_text(errors="replace").splitlines()[-15:])
                what = f"exit status {status}" if status else "nothing was counted"
                raise RuntimeError(f"{' '.join(self._command)}: {what}\n{last}")
            return {name: Counts(*counts) for name, counts in json.loads(self._results.read_text()).items()}
        finally:
            self.close()

    def close(self) -> None:
        """Kill the process if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()


def fixed(environment: Mapping[str, str] | None = None, layout: int = 0) -> dict[str, str]:
    """The environment variables of a counted process, also for compiling its functions without valgrind."""
    if environment is None:
        environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {
        **environment,
        **NUMBA,
        "OPENBLAS_NUM_THREADS": "1",
        "OPENBLAS_CORETYPE": "Haswell",
        "OMP_NUM_THREADS": "1",
        "PYTHONHASHSEED": str(layout),
        "CALLGRIND_LAYOUT": "." * (1 + 1000 * layout),
    }


def _valgrind(folder: Path) -> list[str]:
    out = f"--callgrind-out-file={folder}/out"
    return ["valgrind", "-q", "--tool=callgrind", "--instr-atstart=no", "--dump-line=no", *CACHES, out]


def _before_valgrind() -> None:
    """Fix the addresses of the new process, and end it with this one. If a container forbids the former, counts differ
    more."""
    with suppress(OSError, AttributeError):
        system = ctypes.CDLL(None)
        system.personality(_NO_RANDOM_ADDRESSES)
        system.prctl(_END_WITH_PARENT, signal.SIGKILL)


def count(works: Mapping[str, Callable[[], object]], *, warm: int = 2) -> None:
    """Count a call of each function, and pass the counts to the `run` that started this process.

    Each function is first called `warm` times without counting. With 0, each is called only once. A function that
    raises ends the process.
    """
    marks = _Marks()
    if not marks.active:
        for work in works.values():
            work()
        return
    for work in works.values():
        for _ in range(warm):
            work()
    gc.collect()
    gc.disable()
    marks.request(_START)  # only once, since valgrind discards its translations
    least = marks.least if warm else marks.once
    nothing = least(int)
    counts = {name: _less(least(work), nothing) for name, work in works.items()}
    marks.request(_STOP)
    Path(os.environ["CALLGRIND_FOLDER"], "results.json").write_text(json.dumps(counts))


def _less(counts: Counts, nothing: Counts) -> Counts:
    return Counts(*(max(0.0, round(a - b, 1)) for a, b in zip(counts, nothing, strict=True)))


class _Marks:
    """Valgrind's client requests, and the counts between two of them."""

    def __init__(self) -> None:
        page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        page.write(_CODE)
        words = ctypes.c_uint64 * 6
        # PYFUNCTYPE keeps the interpreter's lock, so there is less work between the marks.
        call = ctypes.PYFUNCTYPE(ctypes.c_uint64, ctypes.c_void_p)
        self._page = page
        self._call = call(ctypes.addressof(ctypes.c_char.from_buffer(page)))
        self._words = {request: words(request) for request in (_RUNNING_ON_VALGRIND, _ZERO, _DUMP, _START, _STOP)}
        self._dumps = 0
        self.active = bool(self.request(_RUNNING_ON_VALGRIND)) and "CALLGRIND_FOLDER" in os.environ
        self._out = Path(os.environ.get("CALLGRIND_FOLDER", ""), "out")

    def request(self, request: int) -> int:
        """Make a request. Returns valgrind's answer, or 0 without valgrind."""
        answer: int = self._call(ctypes.addressof(self._words[request]))
        return answer

    def least(self, work: Callable[[], object]) -> Counts:
        """The lowest of each count over some attempts: any excess has other causes, such as the memory layout."""
        work()
        once = self._between(work, 1)
        if once is not None and once.instructions > ENOUGH:
            return once
        calls = 1 if once is None else max(1, min(MOST_CALLS, round(ENOUGH / max(1.0, once.instructions))))
        for _ in range(calls):
            work()
        found: list[Counts] = []
        for _ in range(ATTEMPTS):
            work()
            counts = self._between(work, calls)
            if counts is not None:
                found.append(Counts(*(value / calls for value in counts)))
            if len(found) == 2:
                break
        if not found:
            raise RuntimeError(f"{work}: none of {ATTEMPTS} counts is valid")
        return Counts(*map(min, zip(*found, strict=True)))

    def once(self, work: Callable[[], object]) -> Counts:
        """The counts of the first call. Raises RuntimeError if they wrapped around."""
        counts = self._between(work, 1)
        if counts is None:
            raise RuntimeError(f"{work}: the only count is not valid")
        return counts

    def _between(self, work: Callable[[], object], calls: int) -> Counts | None:
        """The counts of `calls` calls; None if the counters were reset inside a block and wrapped around."""
        call, zero, dump = self._call, *(ctypes.addressof(self._words[request]) for request in (_ZERO, _DUMP))
        times = repeat(None, calls)
        call(zero)
        for _ in times:
            work()
        call(dump)
        self._dumps += 1
        path = Path(f"{self._out}.{self._dumps}")
        with path.open() as file:
            counts = totals(file.read(4096))
        path.unlink()
        return counts


def totals(text: str) -> Counts | None:
    """The counts in a file from callgrind; None if they wrapped around. Raises ValueError if there are none."""
    events: list[str] = []
    for line in text.splitlines():
        key, _, value = line.partition(": ")
        if key == "events":
            events = value.split()
        if key == "summary" and events:
            found = dict(zip(events, map(int, value.split()), strict=False))
            instructions, *missed = (found.get(event, 0) for event in _EVENTS)
            if not all(0 <= count < 1 << 62 for count in (instructions, *missed)):
                return None
            return Counts(instructions, sum(missed[:2]), sum(missed[2:]))
    raise ValueError(f"no line 'summary' after a line 'events' in callgrind's output: {text[:200]!r}")
