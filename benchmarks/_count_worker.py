"""The process in which instructions are counted: python -m benchmarks._count_worker FILE, under valgrind.

FILE holds the names of benchmarks. Outside valgrind each is called, which compiles it; without FILE the names of all
are printed, each with the bound on its growth.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from numba.core.event import RecordingListener, install_listener

from tools import callgrind

from ._entries import bounds, counted_entries


def _prepared(names: list[str]) -> tuple[dict[str, Callable[[], None]], dict[str, str]]:
    """The benchmarks that run, by name, and the errors of the others."""
    entries, errors = counted_entries(), dict[str, str]()
    works: dict[str, Callable[[], None]] = {}
    for name in names:
        try:
            entries[name]()
            works[name] = entries[name]
        except Exception:
            errors[name] = traceback.format_exc(limit=-1).strip().splitlines()[-1]
    return works, errors


if __name__ == "__main__":
    if len(sys.argv) == 1:
        print(json.dumps(bounds()))
    else:
        path = Path(sys.argv[1])
        recorder = RecordingListener()
        with install_listener("numba:compile", recorder):
            works, errors = _prepared(json.loads(path.read_text(encoding="utf-8")))
            callgrind.count(works)
        compiled = sorted({event.data["dispatcher"].__name__ for _, event in recorder.buffer})
        said = {"errors": errors, "compiled": compiled}
        path.with_suffix(".said").write_text(json.dumps(said), encoding="utf-8")
