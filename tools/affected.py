"""Find the benchmarks that a change can make slower, by what they execute; docs/performance.md explains the rule."""

from __future__ import annotations

import hashlib
import math
import os
import pickle
import re
import subprocess
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, NamedTuple

from benchmarks._pipe import ROOT

from .commits import unpacked
from .definitions import Name, Tree, changed

EVERYTHING = re.compile(r"benchmarks/|(packages/\w+/)?pyproject\.toml$|tools/build_wheels\.py$|packages/\w+/src/")
OPERATION = re.compile(r".*_optable\.py::\w+\[(.*)\]")


class Reason(NamedTuple):
    """The changed definitions that a benchmark calls from Python, and those that are compiled into its kernels.

    `share` is the fraction of everything that the benchmark executes that uses them.
    """

    called: frozenset[Name]
    compiled: frozenset[Name]
    share: float


def changed_files(base: str, head: str) -> list[str]:
    """The files that differ between two commits."""
    command = ["git", "diff", "--name-only", "--no-renames", base, head]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()


def affects_all(files: Iterable[str]) -> list[str]:
    """The files that can change any benchmark: build files, the benchmarks, and data in a package."""
    return [file for file in files if EVERYTHING.match(file) and not ("/src/" in file and file.endswith(".py"))]


def kernels_are_recorded(commit: str) -> bool:
    """Whether `benchmarks/_touched.py` sees the kernels that run: it does not know how older packages load them."""
    return any("\ndef _found(" in path.read_text(encoding="utf-8") for path in unpacked(commit).rglob("cpu/_kernel.py"))


def tree_of(commit: str) -> Tree:
    """The definitions of a commit's packages."""
    folder = unpacked(commit)
    paths = sorted(folder.rglob("stackgrad/**/*.py"))
    return Tree({path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in paths})


class Reasons:
    """Finds out why benchmarks are affected by the difference of two trees."""

    def __init__(self, base: Tree, head: Tree) -> None:
        self._base, self._changed = base, changed(base, head)
        self._find: Callable[..., Name | None] = cache(base.find)
        self._used: Callable[[Name], set[Name]] = cache(base.used_by_call)

    @property
    def changed(self) -> set[Name]:
        """The definitions that differ."""
        return self._changed

    def of(self, touched: Any) -> Reason | None:
        """The reason for a benchmark that executes `touched`; None if it is not affected."""
        called = set(filter(None, (self._find(*location) for location in touched.called)))
        compiled = set(filter(None, (self._find(*location) for location in touched.compiled)))
        for path in touched.modules:
            compiled |= self._base.whole(path)
        by_call = self._hit(set().union(*map(self._used, called)), touched.rows)
        in_kernels = self._hit(set().union(*map(self._base.made_of, compiled)), touched.rows)
        if not by_call and not in_kernels:
            return None
        using = {name for name in called if self._used(name) & by_call}
        using |= {name for name in compiled if self._base.made_of(name) & in_kernels}
        share = len(using) / len(called | compiled)
        return Reason(frozenset(by_call), frozenset(in_kernels), share)

    def _hit(self, used: set[Name], rows: Iterable[str]) -> set[Name]:
        """The changed definitions among `used`, without rows of other operations."""
        found = used & self._changed
        return {name for name in found if (row := OPERATION.fullmatch("::".join(name))) is None or row[1] in rows}


def is_same(before: Any, after: Any, reason: Reason) -> bool:
    """Whether a benchmark runs the same code: it is affected only by kernels, and their machine code is the same."""
    if reason.called or "unknown" in before.kernels.values():
        return False
    return bool(before.kernels == after.kernels)


def in_order(reasons: Mapping[str, Reason]) -> list[str]:
    """The affected benchmarks, the most useful first, in case there is no time for all.

    One of each entry (a function and its first parameter) comes before a second one, cpu comes before numpy, and the
    benchmarks with the highest share come first. In an entry, the smallest comes first if Python changed, else the one
    nearest to a hundred thousand elements.
    """
    entries: defaultdict[str, list[str]] = defaultdict(list)
    for name in reasons:
        entries[re.split(r"[,)]", name)[0]].append(name)
    ranked = []
    for names in entries.values():
        names.sort(key=lambda name: _fitness(name, reasons[name]))
        for i, name in enumerate(names):
            ranked.append(("'numpy'" in name, i, -reasons[name].share, name))
    return [name for *_, name in sorted(ranked)]


def _fitness(name: str, reason: Reason) -> tuple[bool, bool, float]:
    size = max(
        (math.prod(map(float, found.split("x"))) for found in re.findall(r"(?<!\w)\d[\dx]*(?:e\d)?", name)), default=1
    )
    return "'numpy'" in name, "float64" in name, size if reason.called else abs(math.log(max(size, 1) / 1e5))


class Record:
    """What the benchmarks of this tree execute on a commit, stored beside its packages.

    Entries of the last comparison's commit are reused for benchmarks that run the same code on this one.
    """

    def __init__(self, commit: str) -> None:
        paths = [path for path in sorted((ROOT / "benchmarks").glob("*.py")) if not path.name.startswith("_co")]
        sources = [path.read_bytes() for path in paths]
        end = f".{hashlib.sha256(b''.join(sources)).hexdigest()[:16]}.touched"
        self._path = unpacked(commit).with_suffix(end)
        self.touched: dict[str, Any] = {}
        others = sorted(self._path.parent.glob(f"*{end}"), key=lambda path: path.stat().st_mtime)
        if self._path.exists():
            self.touched = pickle.loads(self._path.read_bytes())
        elif others:
            recorded, before = pickle.loads(others[-1].read_bytes()), others[-1].name.removesuffix(end)
            self.touched = reused(recorded, tree_of(before), tree_of(commit))

    def save(self) -> None:
        """Write the file atomically."""
        part = self._path.with_suffix(f".{os.getpid()}.part")
        part.write_bytes(pickle.dumps(self.touched))
        part.replace(self._path)


def reused(touched: Mapping[str, Any], before: Tree, after: Tree) -> dict[str, Any]:
    """The entries of benchmarks that are not affected, with their locations in the tree `after`."""
    reasons = Reasons(before, after)

    @cache
    def moved(location: tuple[str, int]) -> tuple[str, int] | None:
        name = before.find(*location)
        return name and (name[0], after.modules[name[0]].definitions[name[1]].lines[0].start)

    return {
        name: entry._replace(
            called=frozenset(filter(None, map(moved, entry.called))),
            compiled=frozenset(filter(None, map(moved, entry.compiled))),
        )
        for name, entry in touched.items()
        if reasons.of(entry) is None
    }
