"""All benchmarks by name: those that are timed, and those whose instructions are counted."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

import benchmarks
from tools.growth import limit_of

from ._suite import Value, combinations

# Values of parameters that are only timed: counting them would take minutes, or show nothing more than smaller ones.
TIMED_ONLY: dict[str, set[Value]] = {
    "backend": {"numpy"},
    "size": {"1e7", 256, 512, 1024, 1_000_000},
    "batch": {64, 256},
    "model": {"convnet"},
}


def timed_entries() -> dict[str, Callable[[], None]]:
    """Every timed benchmark, by its name in asv."""
    return dict(_entries(("time_",)))


def counted_entries() -> dict[str, partial[None]]:
    """Every benchmark whose instructions are counted. Timed benchmarks have the same names here."""
    return {name: entry for name, entry in _entries(("time_", "count_")) if not _is_timed_only(entry)}


def bounds() -> dict[str, float]:
    """By how much the instructions of each benchmark may grow."""
    return {name: getattr(entry.func, "bound", limit_of(name)) for name, entry in counted_entries().items()}


@cache
def _modules() -> list[Any]:
    found = [module.name for module in pkgutil.iter_modules(benchmarks.__path__, "benchmarks.")]
    return [importlib.import_module(name) for name in found if ".bench_" in name]


def _entries(prefixes: tuple[str, ...]) -> Iterator[tuple[str, partial[None]]]:
    for module in _modules():
        family = module.__name__.removeprefix("benchmarks.")
        for name, benchmark in vars(module).items():
            if name.startswith(prefixes):
                for values in combinations(benchmark):
                    arguments = f"({', '.join(map(repr, values))})" if values else ""
                    yield f"{family}.{name}{arguments}", partial(benchmark, *values)


def _is_timed_only(entry: Any) -> bool:
    given = zip(entry.func.param_names, entry.args, strict=True)
    return entry.func.__name__.endswith("_numpy") or any(value in TIMED_ONLY.get(name, ()) for name, value in given)
