"""The same examples in every run: set HYPOTHESIS_PROFILE=random to look for new ones, in every dtype of every op."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import settings

from stackgrad.kernels.cpu import _kernel, _memory, _parallel
from stackgrad.kernels.cpu._pointers import Memories, Memory
from stackgrad.tensor import set_default_backend
from stackgrad.tensor._plans import Plans

settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("random", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Give each test a new generator, so that it draws the same numbers alone, among others, and in any process."""
    module = getattr(item, "module", None)
    if hasattr(module, "RNG"):
        module.RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _on_cpu() -> Iterator[None]:
    set_default_backend("cpu")
    yield
    set_default_backend(None)


@pytest.fixture(autouse=True, scope="session")
def _checked_arguments() -> Iterator[None]:
    """Kernels trust their callers: check here that each gets arrays of the dtype and layout it was compiled for."""
    enter = _kernel.Kernel.__getitem__

    def getitem(kernel: _kernel.Kernel, dtype: np.dtype[Any]) -> Callable[..., None]:
        entry, expected = enter(kernel, dtype), kernel._signature(numba.from_dtype(dtype))

        def checked(chunks: int, work: int, arguments: tuple[Any, ...], *how: Any, **named: Any) -> None:
            assert chunks >= 0
            assert type(work) is int
            for wanted, given in zip(expected, arguments, strict=True):
                if isinstance(wanted, Memory):
                    assert type(given) is np.ndarray
                    assert given.dtype == numba.np.numpy_support.as_dtype(wanted.dtype)
                    assert given.flags.aligned
                elif isinstance(wanted, Memories):
                    assert type(given) is tuple
                    dtype_of_all = numba.np.numpy_support.as_dtype(wanted.dtype)
                    assert all(type(x) is np.ndarray and x.dtype == dtype_of_all and x.flags.aligned for x in given)
                else:
                    assert not isinstance(given, np.ndarray)
            entry(chunks, work, arguments, *how, **named)

        return checked

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_kernel.Kernel, "__getitem__", getitem)
        yield


@pytest.fixture
def poisoned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fill new memory with NaN, -1 and true, so that elements that a kernel does not write show in its result."""
    take = _memory.pool.take

    def filled(size: int) -> Any:
        block = take(size)
        block.fill(0xFF)
        return block

    monkeypatch.setattr(_memory, "SMALLEST", 0)
    monkeypatch.setattr(_memory.pool, "take", filled)
    _without_cached_plans(monkeypatch)


@pytest.fixture
def run_serially(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """A function that makes all kernels run their chunks on one thread, or all of them on all cores."""

    def choose(serial: bool) -> None:
        monkeypatch.setattr(_parallel, "SERIAL", 2**62 if serial else 0)
        _without_cached_plans(monkeypatch)

    return choose


def _without_cached_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make new plans in each call: cached ones would use other memory or other launches."""
    monkeypatch.setattr(Plans, "find", lambda plans, key, *arguments: plans._make(*arguments))
