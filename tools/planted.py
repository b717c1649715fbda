"""Plant slowdowns on scratch commits, and see which are found: python -m tools.planted counts|times|same|values.

    counts    each plant beside its parent, by `tools.count_commits`
    times     the same by `tools.compare_commits`; `--load 4` beside so many busy processes
    same      HEAD with itself: `--times 10` comparisons of times, `--counts 15` all pairs of so many counts
    values    whether the results with each plant are the parent's

The slowdowns stand in planted.toml. A scratch commit has no branch and changes neither index nor working tree.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks import _counts
from benchmarks._peers.load import busy
from benchmarks._pipe import ROOT, Worker

from .callgrind import Counts
from .commits import commit_of, environment
from .count_commits import LAYOUTS, Side
from .growth import growth, least
from .recorded_counts import first_rows

DOCUMENT = ROOT / "docs" / "planted.md"
NAMED = re.compile(
    r"(?P<what>SLOWER|UNCONFIRMED): .* rounds  (?P<name>.*?)(  \[.*)?"
    r"|(?P<grew>GREW): (?P<counted>.*?): (instructions|data) .*"
    r"|(?P<fails>FAILS on HEAD): (?P<failed>.*?): .*"
)


class Plant(NamedTuple):
    """A slowdown: in which file which text becomes which; patterns of the benchmarks that may be named for it, and of
    those that it is meant for.
    """

    name: str
    what: str
    file: str
    old: str
    new: str
    touches: str
    aims: str


def plants() -> list[Plant]:
    """All of them."""
    with (ROOT / "tools" / "planted.toml").open("rb") as file:
        return [Plant(**entry) for entry in tomllib.load(file)["plant"]]


def planted(plant: Plant, source: str) -> str:
    """The source with the slowdown. Raises ValueError where the text to replace is not there exactly once."""
    if source.count(plant.old) != 1:
        raise ValueError(f"{plant.name}: {plant.file} has {plant.old!r} {source.count(plant.old)} times, expected once")
    return source.replace(plant.old, plant.new)


def git(*arguments: str, text: str | None = None, **environment: str) -> str:
    """What git prints."""
    command = ["git", *arguments]
    env = {**os.environ, **environment}
    done = subprocess.run(command, cwd=ROOT, input=text, capture_output=True, text=True, check=True, env=env)
    return done.stdout.removesuffix("\n")


def scratch_commit(plant: Plant, parent: str) -> str:
    """A commit on `parent` with the slowdown."""
    source = git("show", f"{parent}:{plant.file}") + "\n"
    blob = git("hash-object", "-w", "--stdin", text=planted(plant, source))
    who = {f"GIT_{role}_{what}": "planted" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    when = {f"GIT_{role}_DATE": "2000-01-01T00:00:00Z" for role in ("AUTHOR", "COMMITTER")}  # the same commit each time
    with tempfile.TemporaryDirectory() as folder:
        index = str(Path(folder) / "index")
        git("read-tree", parent, GIT_INDEX_FILE=index)
        git("update-index", "--cacheinfo", f"100644,{blob},{plant.file}", GIT_INDEX_FILE=index)
        tree = git("write-tree", GIT_INDEX_FILE=index)
    return git("commit-tree", tree, "-p", parent, "-m", f"Plant a slowdown: {plant.what}", **who, **when)


_WHAT, _NAME = ("what", "grew", "fails"), ("name", "counted", "failed")


class Named(NamedTuple):
    """A line of a report that names a benchmark: its verdict, and the size of the growth."""

    what: str
    name: str
    size: float | None


def named(text: str) -> list[Named]:
    """The lines of a report that do."""
    found = []
    for line in text.splitlines():
        if match := NAMED.fullmatch(line):
            times, more = re.search(r"([\d.]+)x  ", line), re.search(r"\(([+-][\d.]+)%\)", line)
            size = float(times[1]) if times else 1 + float(more[1]) / 100 if more else None
            what, name = (match[a] or match[b] or match[c] for a, b, c in (_WHAT, _NAME))
            found.append(Named(what, name, size))
    return found


class Outcome(NamedTuple):
    """What a comparison said: its exit status, what it named, how long it took, and the machine's load at its end."""

    status: int
    named: list[Named]
    seconds: float
    load: float


def compare(module: str, base: str, head: str, options: Sequence[str]) -> Outcome:
    """Run a comparison of two commits; all that it says goes to stderr."""
    start = time.monotonic()
    command = [sys.executable, "-m", module, base, head, *options]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    print(done.stdout, file=sys.stderr, flush=True)
    return Outcome(done.returncode, named(done.stdout), time.monotonic() - start, os.getloadavg()[0])


def row(plant: Plant, outcome: Outcome) -> str:
    """A line of the table."""
    said = [found for found in outcome.named if found.what != "UNCONFIRMED"]
    meant = sorted((found.size or 0, found.name) for found in said if re.search(plant.touches, found.name))
    false = [found.name for found in said if not re.search(plant.touches, found.name)]
    verdict = "yes" if meant else "unconfirmed" if outcome.named else "no"
    size, name = (f"{meta[0]:.2f}x", meta[1]) if meant and (meta := meant[-1]) else ("", "")
    more = f" and {len(meant) - 1} more" if len(meant) > 1 else ""
    besides = "; ".join(false[:3]) + (f" and {len(false) - 3} more" if len(false) > 3 else "")
    took = f"{outcome.load:.0f} | {outcome.seconds:.0f} s |"
    return f"| {plant.what} | {verdict} | {size} | {name}{more} | {besides or 'none'} | {took}"


def rows(plant: Plant, names: Sequence[str]) -> list[str]:
    """Of all that is counted, what is counted of a plant.

    All that it aims at; the first row of each function that it may touch; and the witnesses, which are the first row of
    each file of benchmarks. Imports are left out: each would take a process of its own.
    """
    names = [name for name in names if not name.startswith("import ")]
    touched = first_rows([name for name in names if re.search(plant.touches, name)])
    witnesses = {name.partition(".")[0]: name for name in reversed(names)}.values()
    chosen = {*witnesses, *touched, *(name for name in names if re.search(plant.aims, name))}
    return [name for name in names if name in chosen]


def differing(plant: Plant, base: str) -> list[str]:
    """The counted rows that give other values with the slowdown, or raise an error."""
    found = []
    commits = base, scratch_commit(plant, base)
    with ExitStack() as stack:
        before, after = (
            stack.enter_context(Worker("benchmarks._compare_worker", _counts.variables(environment(commit))))
            for commit in commits
        )
        for name in rows(plant, after.ask("names")):
            if re.search(plant.touches, name) and "'numpy'" not in name:
                pairs = zip(before.ask("result", name), after.ask("result", name), strict=True)
                if not all(np.allclose(a, b, 1e-3, 1e-5, equal_nan=True) for a, b in pairs):
                    found.append(name)
    return found


def named_in_pairs(counts: Sequence[Mapping[str, Counts]], limits: Mapping[str, float]) -> list[str]:
    """What the pairs of independent counts of one commit name, as `count_commits` would: four counts at least.

    What seems to have grown is counted again in other layouts on both sides: here by every second of the others.
    """
    found, many = [], len(LAYOUTS)
    for i, j in combinations(range(len(counts)), 2):
        rest = [count for k, count in enumerate(counts) if k not in (i, j)]
        for name in counts[i].keys() & counts[j].keys():
            before, after = counts[i][name], counts[j][name]
            if growth(before, after, limits[name]):
                again = [count[name] for count in rest if name in count]
                before, after = least(again[0::2][:many]), least(again[1::2][:many])
                found += [name] if growth(before, after, limits[name]) else []
    return found


def beside_itself(base: str, times: int, counts: int, whole: bool, arguments: Sequence[str]) -> str:
    """What comparisons of a commit with itself say."""
    text = ""
    if times:
        statuses = [compare("tools.compare_commits", base, base, [*arguments, "--all"]).status for _ in range(times)]
        text += f"{times} comparisons by times: {sum(status == 1 for status in statuses)} alarms, "
        text += f"{sum(status == 3 for status in statuses)} with something unconfirmed.\n"
    if counts:
        side = Side(base, again=True, first_rows=not whole)
        wanted = [(side.packages, [name for name in side.limits if whole or not name.startswith("import ")])]
        found = [_counts.count(wanted, layout)[0].counts for layout in range(counts)]
        named = named_in_pairs(found, side.limits)
        which = f" ({'; '.join(named[:5])})" if named else ""
        text += f"{counts} counts of {len(wanted[0][1])} rows, {counts * (counts - 1) // 2} pairs: {len(named)} alarms"
        text += f"{which}. Load of the machine at the end: {os.getloadavg()[1]:.0f}.\n"
    return text


HEADER = "| planted | found | at most | named | named besides | load | took |\n|---|---|---|---|---|---|---|\n"


def table(rows: Sequence[str], before: str) -> str:
    """A table of these rows, and of those of other plants in the table before."""
    known = {line.split(" | ")[0]: line for line in [*before.splitlines(), *rows] if line.startswith("| ")}
    shown = [known[f"| {plant.what}"] for plant in plants() if f"| {plant.what}" in known]
    found = sum("| yes |" in line for line in shown)
    alarms = sum("| none |" not in line for line in shown)
    return f"{found} of {len(shown)} found, false alarms in {alarms}.\n\n{HEADER}" + "\n".join(shown) + "\n"


def write(title: str, text: Callable[[str], str]) -> None:
    """Put what is made of the text between two marks of docs/planted.md in its place."""
    begin, end = f"<!-- planted: {title} -->", f"<!-- end of planted: {title} -->"
    document = DOCUMENT.read_text(encoding="utf-8")
    if begin not in document:
        raise ValueError(f"docs/{DOCUMENT.name} has no line {begin!r}, which says where the table belongs")
    before, rest = document.split(begin)
    old, after = rest.split(end)
    DOCUMENT.write_text(f"{before}{begin}\n\n{text(old).strip()}\n\n{end}{after}", encoding="utf-8")


def main() -> int:
    """Read the arguments, plant, compare, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("how", choices=("counts", "times", "same", "values"))
    parser.add_argument("--load", type=int, default=0, help="busy processes beside it")
    parser.add_argument("--only", default="", metavar="PATTERN", help="a regular expression of plants' names")
    parser.add_argument("--whole", action="store_true", help="count all, not only a plant's rows and the witnesses")
    parser.add_argument("--minutes", type=float, help="for a comparison of times (default: 1, beside a load 2)")
    parser.add_argument("--times", type=int, default=0, help="comparisons of a commit with itself by times")
    parser.add_argument("--counts", type=int, default=0, help="counts of a commit, each compared with each other")
    parser.add_argument("--base", default="HEAD", help="the commit to plant on")
    parser.add_argument("--write", action="store_true", help="put rows or results into docs/planted.md")
    options = parser.parse_args()
    base = commit_of(options.base)
    module, arguments = "tools.compare_commits", ["--minutes", str(options.minutes or (2 if options.load else 1))]
    if options.how == "counts":
        module, arguments = "tools.count_commits", []
    chosen = [plant for plant in plants() if re.search(options.only, plant.name)]
    title = f"{options.how}{f' beside {options.load}' if options.load else ''}"
    with busy(options.load):
        if options.how == "values":
            wrong = 0
            for plant in chosen:
                names = differing(plant, base)
                wrong += bool(names)
                print(f"{plant.name}: {'other values from ' * bool(names)}{', '.join(names) or 'the same'}", flush=True)
            return 1 if wrong else 0
        if options.how == "same":
            text = beside_itself(base, options.times, options.counts, options.whole, arguments)
            print(text)
            if options.write:
                write(title, lambda before: f"{before.rstrip()}\n{text}")
            return 0
        for plant in chosen:
            narrowed = []
            if options.how == "counts" and not options.whole:
                names = rows(plant, list(Side(base).limits))
                narrowed = ["--only", f"^({'|'.join(map(re.escape, names))})$"]
            found = [row(plant, compare(module, base, scratch_commit(plant, base), [*arguments, *narrowed]))]
            print(*found, flush=True)
            if options.write:
                write(title, partial(table, found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
