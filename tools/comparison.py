"""The processes of two commits, which take turns, and their rounds."""

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

# Samples of each commit in a round, in turns; the shortest is the result of the round. There are no more than take
# SECONDS on a quiet machine. New rounds of suspects have more samples.
SAMPLES, FRESH_SAMPLES, FEWEST_SAMPLES, SECONDS = 24, 40, 5, 0.1
PREPARING = 0.4  # the largest fraction of the time for preparing
LOOK = 1.0  # seconds to find out how busy the machine is
Rounds = dict[str, tuple[list[float], list[float]]]


class Comparison:
    """Two commits, and the rounds of each benchmark so far, for base and for head; `fresh` has new rounds of suspects.

    On a busy machine, kernels use one thread: a second thread would have a core in one round and none in the next.
    """

    def __init__(self, base: str, head: str) -> None:
        self.base, self.head = base, head
        self.rounds: Rounds = {}
        self.fresh: Rounds = {}
        self.failed: dict[str, tuple[str, str]] = {}  # the errors on base and head, "" if it runs
        self.left_out: list[str] = []
        self.same: list[str] = []  # affected by their sources, but not by their machine code
        self.shares: list[float | None] = []  # the fraction of the cores that others used, for each round
        self._calls: dict[str, int] = {}  # calls in a sample, the same in all rounds
        self._record = Record(base)
        self.alone = False  # whether kernels use one thread
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
        """Processes with the packages of commits. Raises RuntimeError if one imports other packages."""
        # They share one kernel cache, since kernels from other sources never match.
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
        """What each benchmark executes on base, recorded once. Compiles base's kernels."""
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
        """The benchmarks among `names` that run on both commits. Runs each once, which compiles its kernels.

        The rest is left out once PREPARING of the time until `end` is over.
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
        """Do not measure these any more."""
        self.left_out += names
        for name in names:
            del self.rounds[name]

    def measure(self, names: Sequence[str], first: int, rounds: int = 1, fresh: bool = False) -> None:
        """Measure some rounds with two new processes; `first` says whether base (0) or head (1) starts."""
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
        """The shortest time of each commit in `samples` samples, for which they take turns."""
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
        others = "" if share is None else f"; other processes used {share:.0%} of the cores"
        busy = " (busy)" if share is not None and share > BUSY else ""
        what = "new round of suspects" if fresh else "round"
        print(f"{what}: {count} benchmarks{others}{busy}", flush=True)

    def suspects(self) -> list[str]:
        """The benchmarks that seem slower."""
        return [
            name
            for name, (base, head) in self.rounds.items()
            if len(base) >= slower.LEAST_ROUNDS and slower.is_suspect(base, head)
        ]

    def undecided(self) -> list[str]:
        """The suspects that need more new rounds."""
        return [name for name in self.suspects() if slower.undecided(*self.fresh.get(name, ([], [])))]
