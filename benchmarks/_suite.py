"""Decorators for benchmarks: a benchmark is a function that prepares its operands and returns the work to time.

    @timed(size=SIZES, backend=BACKENDS)
    def time_exp(size: str, backend: str) -> Work:
        x = normal((int(float(size)),), backend=backend)
        return x.exp

asv times a call of the work for each combination of the parameters. The operands are made at the first call and
cached. With a `setup` function, asv would time single calls; it would also do so if the first call compiled for longer
than the warm-up. So each file also has `setup_cache = precompiled(__name__)`, which fills the commit's kernel cache in
a separate process.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache, wraps
from itertools import product
from typing import Any

from stackgrad.tensor import get_backend

Work = Callable[[], object]
Value = str | int
BACKENDS = ("cpu", "numpy")

# Import Numba before asv forks a process for each benchmark, so that none spends its warm-up on it.
get_backend("cpu")


def timed(**params: Sequence[Value]) -> Callable[[Callable[..., Work]], Callable[..., None]]:
    """Turn a function that prepares the work into an asv benchmark over all combinations of `params`."""

    def decorate(prepare: Callable[..., Work]) -> Callable[..., None]:
        prepared = cache(prepare)

        @wraps(prepare)  # asv also gets the source of `prepare`; if that changes, old results no longer count
        def run(*values: Value) -> None:
            prepared(*values)()

        asv: Any = run
        asv.prepare = prepared
        asv.params = [list(values) for values in params.values()]
        asv.param_names = list(params)
        asv.warmup_time = 0.5
        asv.rounds = 2
        asv.repeat = (5, 20, 0.5)
        asv.timeout = 300
        return run

    return decorate


counted = timed  # for functions named `count_`, which asv ignores: only their instructions are counted


def grows_by(bound: float, reason: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Set a wider bound on the growth of a benchmark's instructions, and say why."""
    if not reason:
        raise ValueError("a wider bound needs a reason")

    def decorate(benchmark: Callable[..., None]) -> Callable[..., None]:
        counted: Any = benchmark
        counted.bound = bound
        return benchmark

    return decorate


def tracked(unit: str, **params: Sequence[Value]) -> Callable[[Callable[..., float]], Callable[..., float]]:
    """Turn a function that measures a value itself into an asv benchmark with a unit and parameters."""

    def decorate(measure: Callable[..., float]) -> Callable[..., float]:
        asv: Any = measure
        asv.unit = unit
        asv.params = [list(values) for values in params.values()]
        asv.param_names = list(params)
        asv.timeout = 600
        return measure

    return decorate


def combinations(benchmark: Any) -> Iterator[tuple[Value, ...]]:
    """The combinations of the parameters, in asv's order."""
    return product(*benchmark.params)


def benchmarks_of(module: Any) -> dict[str, Any]:
    """The timed benchmarks of a module, by name."""
    return {name: value for name, value in vars(module).items() if name.startswith("time_")}


def precompiled(module_name: str) -> Callable[[], None]:
    """A function that asv calls once per commit before the module's benchmarks. It runs each of them once."""

    def setup_cache() -> None:
        for benchmark in benchmarks_of(sys.modules[module_name]).values():
            for values in combinations(benchmark):
                if "numpy" not in values:
                    benchmark(*values)
                    benchmark.prepare.cache_clear()

    setup_cache.__module__ = module_name  # asv distinguishes files by it
    asv: Any = setup_cache
    asv.timeout = 600
    return setup_cache
