"""Count what two commits execute and fail where the second does more: python -m tools.count_commits BASE [HEAD].

Each benchmark is called under valgrind's callgrind, with small operands, by each commit's packages: no load on the
machine changes how many instructions that takes. `nox -s bench-count -- BASE` runs this where the requirements are
installed. What was counted is kept in .asv/counts, so that a base is counted once.

Exit status: 0 where nothing grew, 1 where something did, 2 where nothing could be counted.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from platform import python_version

from benchmarks import _counts
from benchmarks._counts import Counted
from benchmarks._pipe import ROOT

from .callgrind import Counts, missing
from .commits import commit_of, environment
from .growth import gain, growth, least

KEPT = ROOT / ".asv" / "counts"
MANY = 100  # suspects, of which a second look is enough


def versions() -> dict[str, str]:
    """Of all that executes instructions beside our packages."""
    valgrind = subprocess.run(["valgrind", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    return {
        "python": python_version(),
        **{name: version(name) for name in ("numpy", "numba", "llvmlite")},
        "valgrind": valgrind.removeprefix("valgrind-"),
    }


class Side:
    """One commit: its packages, and the counts that are known of them, kept in .asv/counts."""

    def __init__(self, commit: str, pattern: str, again: bool) -> None:
        self.commit = commit
        self.packages = environment(commit)
        self.limits = {n: limit for n, limit in _counts.entries(self.packages).items() if re.search(pattern, n)}
        self._path = KEPT / f"{_tree(commit)}-{_made_by()}.json"
        self.counts: dict[str, Counts] = {}
        self.errors: dict[str, str] = {}
        if self._path.exists() and not again:
            known = json.loads(self._path.read_text(encoding="utf-8"))
            self.counts = {name: Counts(*counts) for name, counts in known["counts"].items() if name in self.limits}
            self.errors = {name: error for name, error in known["errors"].items() if name in self.limits}

    def unknown(self) -> list[str]:
        """What is to be counted."""
        return [name for name in self.limits if name not in self.counts and name not in self.errors]

    def learn(self, found: Counted) -> None:
        """Keep what was counted."""
        self.counts |= found.counts
        self.errors |= found.errors
        known = json.loads(self._path.read_text(encoding="utf-8")) if self._path.exists() else {}
        KEPT.mkdir(parents=True, exist_ok=True)
        parts = {"counts": self.counts, "errors": self.errors}
        self._path.write_text(json.dumps({name: known.get(name, {}) | part for name, part in parts.items()}), "utf-8")


def _tree(commit: str) -> str:
    """The hash of the packages' sources: commits that differ elsewhere count the same."""
    found = subprocess.run(["git", "rev-parse", f"{commit}:packages"], cwd=ROOT, capture_output=True, check=True)
    return found.stdout.decode().strip()[:16]


def _made_by() -> str:
    """A digest of what counts: versions, and the benchmarks of the tree."""
    digest = hashlib.sha256(json.dumps(versions()).encode())
    for path in sorted([*(ROOT / "benchmarks").glob("*.py"), ROOT / "tools" / "callgrind.py"]):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


class Comparison:
    """The counts of two commits."""

    def __init__(self, base: Side, head: Side) -> None:
        self.base, self.head = base, head
        self._limits = base.limits | head.limits

    def count(self) -> None:
        """Count what is not known; what seems to have grown again, where memory is laid out in other ways."""
        todo = [side for side in (self.base, self.head) if side.unknown()]
        if todo:
            print(f"counting {', '.join(f'{len(side.unknown())} of {side.commit[:12]}' for side in todo)}", flush=True)
        wanted = [(side.packages, side.unknown()) for side in todo]
        for side, found in zip(todo, _counts.count(wanted), strict=True):
            side.learn(found)
        for layout in (1, 2) if len(self.grown()) <= MANY else (1,):
            if names := list(self.grown()):
                print(f"{len(names)} seem to have grown: counting them again", flush=True)
                sides = (self.base, self.head)
                for side, again in zip(sides, _counts.count([(s.packages, names) for s in sides], layout), strict=True):
                    for name, counts in again.counts.items():
                        side.counts[name] = least((side.counts[name], counts))

    def grown(self) -> dict[str, list[str]]:
        """What grew, by the benchmark's name."""
        return self._beyond(growth)

    def gains(self) -> dict[str, list[str]]:
        """What shrank as much."""
        return self._beyond(gain)

    def _beyond(self, rule: Callable[[Counts, Counts, float], list[str]]) -> dict[str, list[str]]:
        found = {n: rule(self.base.counts[n], self.head.counts[n], self._limits[n]) for n in self.compared()}
        return {name: changes for name, changes in found.items() if changes}

    def compared(self) -> list[str]:
        """What was counted in both."""
        return [name for name in self.head.counts if name in self.base.counts]


def report(comparison: Comparison) -> int:
    """Print what was found; the exit status."""
    base, head, compared = comparison.base, comparison.head, comparison.compared()
    grown = comparison.grown()
    broken = {name: error for name, error in head.errors.items() if name in base.counts}
    for name, changes in comparison.gains().items():
        print(f"less: {name}: {', '.join(changes)}")
    for name in head.counts.keys() - base.counts.keys():
        print(f"only on HEAD: {name} {base.errors.get(name, '')}")
    for name in base.counts.keys() - head.counts.keys() - broken.keys():
        print(f"only on BASE: {name}")
    for name, error in broken.items():
        print(f"FAILS on HEAD: {name}: {error}")
    for name, changes in grown.items():
        print(f"GREW: {name}: {', '.join(changes)}")
    print(f"{len(compared)} benchmarks compared, {len(grown)} grew, {len(broken)} failing")
    if not compared:
        return 2
    return 1 if grown or broken else 0


def main() -> int:
    """Read the arguments, count, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", help="the commit to compare with")
    parser.add_argument("head", nargs="?", default="HEAD", help="the commit to judge (default: HEAD)")
    parser.add_argument("--only", default="", metavar="PATTERN", help="a regular expression of benchmark names")
    parser.add_argument("--again", action="store_true", help="count both, also what was counted before")
    options = parser.parse_args()
    if reason := missing():
        print(reason, file=sys.stderr)
        return 2
    sides = [Side(commit_of(commit), options.only, options.again) for commit in (options.base, options.head)]
    comparison = Comparison(*sides)
    comparison.count()
    return report(comparison)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (RuntimeError, subprocess.CalledProcessError) as error:
        print(error, file=sys.stderr)
        sys.exit(2)
