"""The process in which instructions are counted: python -m benchmarks._count_worker FILE, under valgrind.

FILE contains the names of benchmarks. Without valgrind, each is called once, which compiles it. Without FILE, this
prints the names of all benchmarks, each with the bound on its growth.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stackgrad.kernels.cpu import _launch
from tools import callgrind

from ._entries import bounds, counted_entries


def _prepared(names: list[str]) -> tuple[dict[str, Callable[[], None]], dict[str, str]]:
    """The benchmarks that run, by name, and the errors of those that fail."""
    entries, errors = counted_entries(), dict[str, str]()
    works: dict[str, Callable[[], None]] = {}
    for name in names:
        try:
            entries[name]()
            works[name] = entries[name]
        except Exception:
            errors[name] = traceback.format_exc(limit=-1).strip().splitlines()[-1]
    return works, errors


def _telling(compile: Callable[..., Any], names: set[str]) -> Callable[..., Any]:
    """Wrap `compile` to collect the names of what is compiled."""

    def telling(body: Callable[..., Any], *others: Any) -> Any:
        names.add(body.__name__)
        return compile(body, *others)

    return telling


if __name__ == "__main__":
    if len(sys.argv) == 1:
        print(json.dumps(bounds()))
    else:
        path = Path(sys.argv[1])
        compiled: set[str] = set()
        for name in {"object_code", "address_of"} & vars(_launch).keys():  # earlier commits have others
            setattr(_launch, name, _telling(getattr(_launch, name), compiled))
        works, errors = _prepared(json.loads(path.read_text(encoding="utf-8")))
        callgrind.count(works)
        report = {"errors": errors, "compiled": sorted(compiled)}
        path.with_suffix(".report").write_text(json.dumps(report), encoding="utf-8")
