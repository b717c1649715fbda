"""Measure two commits in alternation and fail where the second is slower: python -m tools.compare_commits BASE [HEAD].

asv pools the samples of its rounds and installs anew between the commits, so that minutes lie between the two. Here
each commit's wheels are unpacked into a folder of their own; a round starts a process for each, and these take turns
benchmark by benchmark, sample by sample. `nox -s bench-compare -- BASE` runs this where the requirements are installed.
"""

from __future__ import annotations

import argparse
import re
import sys
import time

from benchmarks._pipe import RequestError, Worker

from .commits import commit_of, environment, unpacked
from .slower import LEAST_ROUNDS, LIMIT, is_slower, ratio

# What is compared unless --bench says otherwise: each kernel in float32 on cpu, at the sizes of training.
SUBSET = "|".join(
    (
        r"elementwise\.time_float32\('(add|exp|tanh|sigmoid|relu|pow)', '1e[36]', 'cpu'",
        r"elementwise\.time_layout\(.*'1e6', 'cpu'",
        r"reduce\.time_all\('(sum|max)', .*'1e6', 'cpu'",
        r"reduce\.time_dim\('(sum|max|argmax)', ., 'contiguous', 'cpu'",
        r"matmul\.time_(square|batched)\(.*'float32', 'cpu'",
        r"matmul\.time_linear\(.*'cpu'",
        r"conv\.time_(float32|variants)\(.*'cpu'",
        r"(pool|layers)\.time_(pool|classify|dropout|rows)\(.*'float32', 'cpu'",
        r"layers\.time_batch_norm\(.*'cpu'",
        r"models\.time_train_step\(",
        r"models\.time_inference\('\w+', (1|64), 'cpu'",
        r"models\.time_optimizer_step\(.*'cpu'",
    )
)
SAMPLES = 4  # of each commit in a round; the least of them is what the round gives
Rounds = dict[str, tuple[list[float], list[float]]]


class Comparison:
    """The rounds measured so far of each benchmark, base's and head's."""

    def __init__(self, base: str, head: str, pattern: str) -> None:
        self._commits = (base, head)
        self._numbers: dict[str, int] = {}  # calls in a sample, the same in all rounds
        self.rounds: Rounds = {}
        self.failed: dict[str, tuple[str, str]] = {}  # the errors of base and head, "" where it runs
        with self._worker(1) as head_worker:
            names = [name for name in head_worker.ask("names") if re.search(pattern, name)]
            self._try(1, head_worker, names)
        with self._worker(0) as base_worker:
            self._try(0, base_worker, names)
        self.rounds = {name: ([], []) for name in names if name not in self.failed}

    def _worker(self, which: int) -> Worker:
        worker = Worker("benchmarks._compare_worker", environment(self._commits[which]))
        folder = str(unpacked(self._commits[which]))
        for origin in worker.ask("origins"):
            if not origin.startswith(folder):
                raise RuntimeError(f"imported {origin}, expected a file under {folder}")
        return worker

    def _try(self, which: int, worker: Worker, names: list[str]) -> None:
        """Run each once, which compiles its kernels; note those that fail."""
        for name in names:
            try:
                self._numbers[name] = worker.ask("prepare", name, self._numbers.get(name))
                worker.ask("forget")
            except RequestError as error:
                errors = [*self.failed.get(name, ("", ""))]
                errors[which] = str(error)
                self.failed[name] = (errors[0], errors[1])

    def measure(self, names: list[str], first: int) -> None:
        """One round; `first` says whether base (0) or head (1) begins."""
        with self._worker(0) as base, self._worker(1) as head:
            order = [(0, base), (1, head)][:: -1 if first else 1]
            for name in names:
                for _, worker in order:
                    worker.ask("prepare", name, self._numbers[name])
                least = [float("inf")] * 2
                for _ in range(SAMPLES):
                    for which, worker in order:
                        least[which] = min(least[which], worker.ask("sample"))
                for which, worker in order:
                    worker.ask("forget")
                    self.rounds[name][which].append(least[which])

    def slower(self) -> list[str]:
        """The benchmarks that count as slower."""
        return [name for name, (base, head) in self.rounds.items() if is_slower(base, head)]

    def line(self, name: str) -> str:
        """One benchmark as text."""
        base, head = self.rounds[name]
        medians = [sorted(times)[len(times) // 2] * 1e6 for times in (base, head)]
        worse = sum(h > b for b, h in zip(base, head, strict=True))
        return (
            f"{ratio(base, head):5.2f}x  {medians[0]:10.1f} -> {medians[1]:10.1f} us  "
            f"slower in {worse} of {len(base)} rounds  {name}"
        )


def report(comparison: Comparison) -> int:
    """Print what was found; the exit status."""
    slower = comparison.slower()
    lines = sorted((comparison.line(name) for name in comparison.rounds), reverse=True)
    print("\n".join(lines))
    broken = {name: errors[1] for name, errors in comparison.failed.items() if errors[1]}
    for name in sorted(comparison.failed.keys() - broken.keys()):
        print(f"only on HEAD: {name} ({comparison.failed[name][0]})")
    for name, error in broken.items():
        print(f"FAILS on HEAD: {name}: {error}")
    for name in slower:
        print(f"SLOWER by more than {LIMIT - 1:.0%}: {comparison.line(name)}")
    print(f"{len(comparison.rounds)} benchmarks compared, {len(slower)} slower, {len(broken)} failing")
    return 1 if slower or broken or not comparison.rounds else 0


def main() -> int:
    """Read the arguments, measure, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", help="the commit to compare with")
    parser.add_argument("head", nargs="?", default="HEAD", help="the commit to judge (default: HEAD)")
    parser.add_argument("--bench", default=SUBSET, metavar="PATTERN", help="a regular expression of benchmark names")
    parser.add_argument("--rounds", type=int, default=9, help=f"{LEAST_ROUNDS} at least (default: 9)")
    parser.add_argument("--minutes", type=float, default=17, help="begin no round after these that is not needed")
    options = parser.parse_args()
    rounds, end = max(LEAST_ROUNDS, options.rounds), time.monotonic() + 60 * options.minutes
    comparison = Comparison(commit_of(options.base), commit_of(options.head), options.bench)
    names = list(comparison.rounds)
    for i in range(rounds):
        if i < LEAST_ROUNDS or time.monotonic() < end:
            comparison.measure(names, i % 2)
            print(f"round {i + 1} of {rounds}", flush=True)
    suspects = comparison.slower()
    for i in range(rounds if suspects else 0):  # as many again for those alone: with 100 benchmarks chance finds some
        if time.monotonic() < end:
            comparison.measure(suspects, i % 2)
    return report(comparison)


if __name__ == "__main__":
    sys.exit(main())
