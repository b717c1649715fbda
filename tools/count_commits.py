"""Count the instructions of two commits; fail if the second executes more: python -m tools.count_commits BASE [HEAD].

Each benchmark is called under valgrind's callgrind, with small operands and the packages of each commit. The load of
the machine does not change the count. `nox -s bench-count -- BASE` installs the requirements and runs this. Counts are
stored in .asv/counts, so a base is only counted once.

Exit status: 0 if nothing grew, 1 if something did, 2 if nothing could be counted.
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
from platform import libc_ver

from benchmarks import _counts
from benchmarks._counts import Counted
from benchmarks._pipe import ROOT

from . import count_table, recorded_counts
from .callgrind import Counts, missing
from .commits import commit_of, environment, git, say_if_uncommitted, tree_here
from .growth import LIMIT, gain, growth, least

KEPT = ROOT / ".asv" / "counts"
LAYOUTS = (1, 2, 3)  # memory layouts in which suspects are counted again
MANY = 100  # if there are more suspects, they are only counted once more


def versions() -> dict[str, str]:
    """The versions of everything that executes instructions, except our packages."""
    valgrind = subprocess.run(["valgrind", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    return {
        "python": sys.version,  # includes the compiler, which changes the interpreter's instructions
        **{name: version(name) for name in ("numpy", "numba", "llvmlite")},
        "valgrind": valgrind.removeprefix("valgrind-"),
        "libc": " ".join(libc_ver()),
    }


class Recorded:
    """The recorded counts as one side of a comparison.

    They come from another checkout with another memory layout, so no bound is tighter than `LIMIT`.
    """

    def __init__(self, counts: dict[str, Counts]) -> None:
        self.counts = counts
        self.again: dict[str, Counts] = {}
        self.errors: dict[str, str] = {}
        self.limits = dict.fromkeys(counts, LIMIT)


class Side:
    """The counts of one commit's packages; known ones are read from .asv/counts."""

    def __init__(self, commit: str, pattern: str = "", again: bool = False, first_rows: bool = False) -> None:
        self.commit = commit
        self._path = KEPT / f"{_tree(commit)}-{_made_by()}.json"
        self.packages = environment(commit)
        limits = _counts.entries(self.packages)
        names = recorded_counts.first_rows(limits) if first_rows else limits
        self.limits = {name: limits[name] for name in names if re.search(pattern, name)}
        self.counts: dict[str, Counts] = {}
        self.again: dict[str, Counts] = {}  # new counts of suspects
        self.errors: dict[str, str] = {}
        counts, errors = ({}, {}) if again else self._known()
        for name in self.limits:
            if name in counts:
                self.counts[name] = Counts(*counts[name])
            elif name in errors:
                self.errors[name] = errors[name]

    def unknown(self) -> list[str]:
        """The benchmarks that have no counts yet."""
        return [name for name in self.limits if name not in self.counts and name not in self.errors]

    def learn(self, found: Counted) -> None:
        """Add new counts, and store them."""
        self.counts |= found.counts
        self.errors |= found.errors
        counts, errors = self._known()
        KEPT.mkdir(parents=True, exist_ok=True)
        known = {"counts": counts | self.counts, "errors": errors | self.errors}
        self._path.write_text(json.dumps(known), encoding="utf-8")

    def _known(self) -> tuple[dict[str, list[float]], dict[str, str]]:
        if not self._path.exists():
            return {}, {}
        known = json.loads(self._path.read_text(encoding="utf-8"))
        return known["counts"], known["errors"]


def _tree(commit: str) -> str:
    """The hash of the packages' sources, so that commits with the same packages share their counts."""
    return git("rev-parse", f"{commit}:packages")[:16]


def _made_by() -> str:
    """A digest of what else determines the counts: the versions, and the benchmarks of the tree."""
    digest = hashlib.sha256(json.dumps(versions()).encode())
    for path in sorted([*(ROOT / "benchmarks").glob("*.py"), ROOT / "tools" / "callgrind.py"]):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def count_unknown(sides: list[Side]) -> None:
    """Count the benchmarks of all sides that have no counts yet, all together."""
    todo = [side for side in sides if side.unknown()]
    if todo:
        print(f"counting {', '.join(f'{len(side.unknown())} of {side.commit[:12]}' for side in todo)}", flush=True)
        for side, found in zip(todo, _counts.count([(s.packages, s.unknown()) for s in todo]), strict=True):
            side.learn(found)


class Comparison:
    """The counts of two commits, or of one commit and the recorded counts."""

    def __init__(self, base: Side | Recorded, head: Side | Recorded) -> None:
        self.base, self.head = base, head
        self.sides = [side for side in (base, head) if isinstance(side, Side)]
        names = base.limits.keys() | head.limits.keys()
        self._limits = {n: max(base.limits.get(n, 0), head.limits.get(n, 0)) for n in names}

    def count(self) -> None:
        """Count what has no counts yet, and count suspects again, in other memory layouts.

        For two commits, only the new counts decide: both had the same other benchmarks in their processes.
        """
        count_unknown(self.sides)
        for layout in LAYOUTS if len(self.suspects()) <= MANY else LAYOUTS[:1]:
            if names := self.suspects():
                print(f"{len(names)} seem to have changed: counting them again", flush=True)
                wanted = [(side.packages, names) for side in self.sides]
                for side, again in zip(self.sides, _counts.count(wanted, layout), strict=True):
                    first = {} if len(self.sides) == 2 else side.counts
                    for name, counts in again.counts.items():
                        before = side.again.get(name) or first.get(name)
                        side.again[name] = least((before, counts)) if before else counts

    def suspects(self) -> list[str]:
        """The benchmarks that seem to have changed; beside recorded counts, which cannot be repeated, to have grown."""
        return [*self.grown(), *(self.gains() if len(self.sides) == 2 else ())]

    def grown(self) -> dict[str, list[str]]:
        """The benchmarks that grew, and what grew."""
        return self._beyond(growth)

    def gains(self) -> dict[str, list[str]]:
        """The benchmarks that shrank by as much, and what shrank."""
        return self._beyond(gain)

    def _beyond(self, rule: Callable[[Counts, Counts, float], list[str]]) -> dict[str, list[str]]:
        base, head = ({**side.counts, **side.again} for side in (self.base, self.head))
        found = {n: rule(base[n], head[n], self._limits.get(n, LIMIT)) for n in self.compared()}
        return {name: changes for name, changes in found.items() if changes}

    def compared(self) -> list[str]:
        """The benchmarks that were counted on both sides."""
        return [name for name in self.head.counts if name in self.base.counts]


def report(comparison: Comparison) -> int:
    """Print the result. Returns the exit status."""
    base, head, compared = comparison.base, comparison.head, comparison.compared()
    grown = comparison.grown()
    broken = {name: error for name, error in head.errors.items() if name in base.counts}
    for name, changes in comparison.gains().items():
        print(f"less: {name}: {', '.join(changes)}")
    for name in head.counts.keys() - base.counts.keys():
        print(f"only on HEAD: {name}" + (f" ({base.errors[name]})" if name in base.errors else ""))
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


def against_recorded(again: bool) -> int:
    """Compare the tree with the recorded counts or, if they are for other versions, with the commit that wrote them."""
    recorded = recorded_counts.read()
    base: Side | Recorded = Recorded(recorded.counts)
    if difference := recorded_counts.difference(recorded.versions, versions()):
        writer = recorded_counts.last_change()
        print(f"recorded with {difference}: counting {writer[:12]}, which recorded the counts, instead of using them")
        base = Side(writer, again=again, first_rows=True)
    comparison = Comparison(base, Side(tree_here(), again=again, first_rows=True))
    comparison.count()
    status = report(comparison)
    if comparison.grown():
        print("if that is intended: nox -s bench-count -- --accept")
    return status


def accept() -> int:
    """Record the counts of the tree."""
    side = Side(tree_here(), again=True, first_rows=True)
    count_unknown([side])
    recorded_counts.write(versions(), side.counts)
    for name, error in side.errors.items():
        print(f"FAILS: {name}: {error}", file=sys.stderr)
    return 1 if side.errors else 0


def write_tables(again: bool) -> int:
    """Write the counts of the tree to the document."""
    side = Side(tree_here(), again=again)
    count_unknown([side])
    count_table.write(count_table.tables({n: side.counts[n] for n in side.limits if n in side.counts}, versions()))
    return 1 if side.errors else 0


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a regular expression: {error}") from None
    return text


def main() -> int:
    """Parse the arguments, count and report."""
    parser = argparse.ArgumentParser(
        "python -m tools.count_commits", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("base", nargs="?", help="the commit to compare with (default: the recorded counts)")
    parser.add_argument("head", nargs="?", default="HEAD", help="the commit to judge (default: HEAD)")
    parser.add_argument(
        "--only", default="", type=_pattern, metavar="PATTERN", help="a regular expression for names of benchmarks"
    )
    parser.add_argument("--again", action="store_true", help="repeat counts that are stored")
    of_tree = parser.add_mutually_exclusive_group()
    of_tree.add_argument("--short", action="store_true", help="count the tree, only the first row of each benchmark")
    of_tree.add_argument("--accept", action="store_true", help="record the tree's counts for --short")
    of_tree.add_argument("--write", action="store_true", help="write the tree's counts to docs/counts.md")
    options = parser.parse_args()
    if options.short or options.accept or options.write:
        if options.base or options.only:
            parser.error("--short, --accept and --write count the working tree: do not give a commit or --only")
    elif options.base is None:
        parser.error("which commit to compare with? BASE, or --short for the recorded counts")
    if reason := missing():
        print(reason, file=sys.stderr)
        return 2
    if options.accept:
        return accept()
    if options.write:
        return write_tables(options.again)
    if options.short:
        return against_recorded(options.again)
    commits = commit_of(options.base), commit_of(options.head)
    say_if_uncommitted(commits[1])
    comparison = Comparison(*(Side(commit, options.only, options.again) for commit in commits))
    if options.only and not any(side.limits for side in comparison.sides):
        print(f"no benchmark matches {options.only!r}", file=sys.stderr)
        return 2
    comparison.count()
    return report(comparison)


if __name__ == "__main__":
    status: str | int | None
    try:
        status = main()
    except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
        status = f"{type(error).__name__}: {error}"
    except SystemExit as given:
        status = given.code
    if isinstance(status, str):
        print(status, file=sys.stderr)
        status = 2
    sys.exit(status)
