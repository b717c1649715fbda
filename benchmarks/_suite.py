"""How a benchmark is written: a decorated function that prepares its operands and returns the work to be timed.

    @timed(size=SIZES, backend=BACKENDS)
    def time_exp(size: str, backend: str) -> Work:
        x = normal((int(float(size)),), backend=backend)
        return x.exp

asv times one call for each combination of the parameters. The operands are made at the first call and kept; a `setup`
would make asv time single calls, and so would a first call that compiles for longer than the warm-up. So each file
also says `setup_cache = precompiled(__name__)`, which fills the commit's kernel cache in a process of its own.
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

# Before asv forks a process for each benchmark, so that none of them spends its warm-up on importing Numba.
get_backend("cpu")


def timed(**params: Sequence[Value]) -> Callable[[Callable[..., Work]], Callable[..., None]]:
    """Make the function that prepares the work an asv benchmark over all combinations of `params`."""

    def decorate(prepare: Callable[..., Work]) -> Callable[..., None]:
        prepared = cache(prepare)

        @wraps(prepare)  # also shows asv the source of `prepare`, whose change makes old results another benchmark's
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


counted = timed  # of functions named `count_`, which asv passes over: only their instructions are counted


def grows_by(bound: float, reason: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Let the instructions of a benchmark grow by more than usual before that counts as a growth; say why."""
    if not reason:
        raise ValueError("a wider bound needs a reason")

    def decorate(benchmark: Callable[..., None]) -> Callable[..., None]:
        counted: Any = benchmark
        counted.bound = bound
        return benchmark

    return decorate


def tracked(unit: str, **params: Sequence[Value]) -> Callable[[Callable[..., float]], Callable[..., float]]:
    """Tell asv the unit and the parameters of a function that measures by itself."""

    def decorate(measure: Callable[..., float]) -> Callable[..., float]:
        asv: Any = measure
        asv.unit = unit
        asv.params = [list(values) for values in params.values()]
        asv.param_names = list(params)
        asv.timeout = 600
        return measure

    return decorate


def combinations(benchmark: Any) -> Iterator[tuple[Value, ...]]:
    """The values of the parameters, as asv goes through them."""
    return product(*benchmark.params)


def benchmarks_of(module: Any) -> dict[str, Any]:
    """The timed benchmarks of a module, by name."""
    return {name: value for name, value in vars(module).items() if name.startswith("time_")}


def precompiled(module_name: str) -> Callable[[], None]:
    """What asv calls once for each commit, before the benchmarks of the module: it runs each of them once."""

    def setup_cache() -> None:
        for benchmark in benchmarks_of(sys.modules[module_name]).values():
            for values in combinations(benchmark):
                if "numpy" not in values:
                    benchmark(*values)
                    benchmark.prepare.cache_clear()

    setup_cache.__module__ = module_name  # by which asv tells one file's from another's
    asv: Any = setup_cache
    asv.timeout = 600
    return setup_cache
