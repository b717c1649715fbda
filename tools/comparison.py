"""The processes of two commits that take turns, and the rounds that they gave."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

from benchmarks._pipe import ROOT, RequestError, Worker

from . import slower
from .affected import Reason, Record, is_same
from .busy import BUSY, OthersThan
from .commits import environment, unpacked

# Samples of each commit in a round, in turns, of which the least is what the round gives; but no more than take SECONDS
# on a machine that is left alone. New rounds of suspects have more of them.
SAMPLES, FRESH_SAMPLES, FEWEST_SAMPLES, SECONDS = 24, 40, 5, 0.1
PREPARING = 0.4  # of the time, at most
LOOK = 1.0  # seconds in which it is seen how busy the machine is
Rounds = dict[str, tuple[list[float], list[float]]]


class Comparison:
    """Two commits, and the rounds measured so far of each benchmark, base's and head's; `fresh` those of suspects.

    On a busy machine kernels run on one thread: of two, the second has a core in one round and none in the next.
    """

    def __init__(self, base: str, head: str) -> None:
        self.base, self.head = base, head
        self.rounds: Rounds = {}
        self.fresh: Rounds = {}
        self.failed: dict[str, tuple[str, str]] = {}  # the errors of base and head, "" where it runs
        self.left_out: list[str] = []
        self.same: list[str] = []  # affected by their sources, but not by their machine code
        self.shares: list[float | None] = []  # of the cores, used by others, a round
        self._calls: dict[str, int] = {}  # in a sample, the same in all rounds
        self._record = Record(base)
        self.alone = False  # whether on one thread
        with self.workers(base) as (worker,):
            others = OthersThan((worker,))
            time.sleep(LOOK)
            share = others.share()
            self.alone = share is not None and share > BUSY
            self._names: list[str] = worker.ask("names")

    def names(self) -> list[str]:
        """All benchmarks."""
        return self._names

    @contextmanager
    def workers(self, *commits: str) -> Iterator[list[Worker]]:
        """Processes with the packages of commits. Raises RuntimeError where one has others."""
        # One folder of kernels for all: those of other sources never match.
        cache = str(ROOT / ".asv" / "compare" / "kernels")
        module, threads = "benchmarks._compare_worker", {"NUMBA_NUM_THREADS": "1"} if self.alone else {}
        with ExitStack() as stack:
            environments = [{**environment(commit), "STACKGRAD_CACHE_DIR": cache, **threads} for commit in commits]
            started = [stack.enter_context(Worker(module, variables)) for variables in environments]
            for commit, worker in zip(commits, started, strict=True):
                for origin in worker.ask("origins"):
                    if not origin.startswith(str(unpacked(commit))):
                        raise RuntimeError(f"imported {origin}, expected a file under {unpacked(commit)}")
            yield started

    def touched(self, names: Sequence[str]) -> Mapping[str, Any]:
        """What each benchmark executes on base, found once and kept. Compiles base's kernels."""
        missing = [name for name in names if name not in self._record.touched]
        if missing:
            print(f"finding what {len(missing)} benchmarks execute on {self.base[:10]} ...", flush=True)
            count = min(os.cpu_count() or 1, len(missing))
            parts = [missing[i * len(missing) // count : (i + 1) * len(missing) // count] for i in range(count)]
            with self.workers(*[self.base] * count) as workers, ThreadPoolExecutor(count) as threads:
                list(threads.map(self._touch, workers, parts))
            self._record.save()
        return self._record.touched

    def _touch(self, worker: Worker, names: Sequence[str]) -> None:
        for name in names:
            try:
                self._record.touched[name] = worker.ask("touched", name)
            except RequestError as error:
                self.failed[name] = (str(error), "")

    def prepared(self, names: Sequence[str], end: float, reasons: Mapping[str, Reason] | None = None) -> list[str]:
        """Those of the names that run on both, after running each once, which compiles its kernels.

        What is left when PREPARING of the time until `end` is over is left out.
        """
        found: list[str] = []
        latest = time.monotonic() + PREPARING * (end - time.monotonic())
        with self.workers(self.base, self.head) as (base, head):
            for i, name in enumerate(names):
                if time.monotonic() > latest and found:
                    self.left_out += names[i:]
                    break
                if reasons and not reasons[name].called:
                    try:
                        if is_same(self._record.touched[name], head.ask("touched", name), reasons[name]):
                            self.same.append(name)
                            continue
                    except RequestError:
                        pass  # it fails again below
                if self._try(name, base, head):
                    found.append(name)
        self.rounds = {name: ([], []) for name in found}
        return found

    def _try(self, name: str, *workers: Worker) -> bool:
        errors = ["", ""]
        for i in (1, 0):
            try:
                self._calls[name] = workers[i].ask("prepare", name, self._calls.get(name))
                workers[i].ask("forget")
            except RequestError as error:
                errors[i] = str(error)
        if any(errors):
            self.failed[name] = (errors[0], errors[1])
        return not any(errors)

    def leave_out(self, names: Sequence[str]) -> None:
        """Measure these no more."""
        self.left_out += names
        for name in names:
            del self.rounds[name]

    def measure(self, names: Sequence[str], first: int, rounds: int = 1, fresh: bool = False) -> None:
        """Some rounds by two new processes; `first` says whether base (0) or head (1) begins."""
        with self.workers(self.base, self.head) as workers:
            for i in range(rounds):
                others = OthersThan(workers)
                for name in names:
                    found = self.fresh.setdefault(name, ([], [])) if fresh else self.rounds[name]
                    samples = FRESH_SAMPLES if fresh else SAMPLES
                    for which, seconds in enumerate(self._round(name, workers, first + i, samples)):
                        found[which].append(seconds)
                self.shares.append(others.share())
                self._say(len(names), fresh)

    def _round(self, name: str, workers: Sequence[Worker], first: int, samples: int) -> list[float]:
        """The least time of each of so many samples, for which they take turns."""
        for worker in workers:
            worker.ask("prepare", name, self._calls[name])
        least = [float("inf")] * 2
        for sample in range(samples):
            if sample >= FEWEST_SAMPLES and sample * sum(least) * self._calls[name] > SECONDS * samples / SAMPLES:
                break
            for which in ((first + sample) % 2, (first + sample + 1) % 2):
                least[which] = min(least[which], workers[which].ask("sample"))
        for worker in workers:
            worker.ask("forget")
        return least

    def _say(self, count: int, fresh: bool) -> None:
        share = self.shares[-1]
        busy = "" if share is None else f"; others used {share:.0%} of the cores" + (" (busy)" if share > BUSY else "")
        what = "new round of what seems slower" if fresh else "round"
        print(f"{what}: {count} benchmarks{busy}", flush=True)

    def suspects(self) -> list[str]:
        """Those that seem slower."""
        return [
            name
            for name, (base, head) in self.rounds.items()
            if len(base) >= slower.LEAST_ROUNDS and slower.is_suspect(base, head)
        ]

    def undecided(self) -> list[str]:
        """The suspects for which new rounds are worth while."""
        return [name for name in self.suspects() if slower.undecided(*self.fresh.get(name, ([], [])))]
