"""The recorded counts of each benchmark's first row, on the commit that wrote the file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from benchmarks._pipe import ROOT

from .callgrind import Counts
from .commits import git

FILE = ROOT / "benchmarks" / "recorded_counts.json"


class Recorded(NamedTuple):
    """The counts, and the versions that they are valid for."""

    versions: dict[str, str]
    counts: dict[str, Counts]


def first_rows(names: Iterable[str]) -> list[str]:
    """The first combination of parameters of each benchmark, and every import."""
    return list({name.partition("(")[0]: name for name in reversed(list(names))}.values())[::-1]


def read() -> Recorded:
    """Read the recorded counts. Raises FileNotFoundError if there are none."""
    content = json.loads(FILE.read_text(encoding="utf-8"))
    return Recorded(content["versions"], {name: Counts(*counts) for name, counts in content["counts"].items()})


def write(versions: Mapping[str, str], counts: Mapping[str, Counts]) -> None:
    """Replace the recorded counts, sorted, one per line."""
    rounded = {name: json.dumps([round(value) for value in counts[name]]) for name in sorted(counts)}
    lines = [f"    {json.dumps(name)}: {values}" for name, values in rounded.items()]
    text = json.dumps({"versions": dict(sorted(versions.items())), "counts": {}}, indent=2)
    text = text.replace('"counts": {}', '"counts": {\n' + ",\n".join(lines) + "\n  }")
    FILE.write_text(f"{text}\n", encoding="utf-8")


def difference(recorded: Mapping[str, str], here: Mapping[str, str]) -> str:
    """The versions that differ, as text; "" if none does."""
    names = sorted(recorded.keys() | here.keys())
    changed = [name for name in names if recorded.get(name) != here.get(name)]
    return "; ".join(f"{name} {recorded.get(name, 'none')}, here {here.get(name, 'none')}" for name in changed)


def last_change() -> str:
    """The commit that last changed the file, or HEAD if there is none."""
    return git("log", "-1", "--format=%H", "--", str(FILE)) or git("rev-parse", "HEAD")
