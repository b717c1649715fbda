"""Numba, imported only when something is compiled.

If all kernels are on disk, importing Numba would take a third of the time from the start of a process to its first
training step. So the modules here refer to Numba by names that are resolved on first use, and the functions that they
define for kernels are registered with Numba when the first kernel that calls them is compiled.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cached_property, partial
from importlib import import_module
from threading import RLock, local
from typing import Any

from stackgrad.tensor._fork import free_in_forks

OPTIONS: dict[str, Any] = {"error_model": "numpy", "fastmath": {"contract"}}


class Lazy:
    """A module or an attribute of one, imported on first use."""

    def __init__(self, module: str, name: str | None = None) -> None:
        self._module, self._name = module, name

    @cached_property
    def _found(self) -> Any:
        module = import_module(self._module)
        return getattr(module, self._name) if self._name else module

    @property
    def _numba_type_(self) -> Any:
        """Its Numba type if a kernel refers to it: a module."""
        return types.Module(self._found)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._found, name)

    def __call__(self, *arguments: Any) -> Any:
        return self._found(*arguments)

    def __instancecheck__(self, instance: Any) -> bool:
        return isinstance(instance, self._found)


numba: Any = Lazy("numba")
types: Any = Lazy("numba.core.types")
cgutils: Any = Lazy("numba.core.cgutils")


class Deferred:
    """A function that kernels call. `made` is the object that Numba knows, made when the first kernel is compiled."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make

    @cached_property
    def made(self) -> Any:
        return self._make()

    @cached_property
    def _numba_type_(self) -> Any:
        """Its Numba type if a kernel refers to it."""
        from numba.core.registry import cpu_target

        made, context = self.made, cpu_target.typing_context
        context.refresh()  # it finds functions registered just now
        return context.resolve_value_type(made)


_inlined: Any = Lazy(f"{__package__}._library", "inlined")


def helper(fn: Callable[..., Any]) -> Any:
    """Make `fn` a function that kernels call. It is inlined into them and needs no cache entry of its own."""
    return Deferred(lambda: _inlined(fn))


def intrinsic(fn: Callable[..., Any] | None = None, **options: Any) -> Any:
    """`numba.extending.intrinsic`: make `fn` a function that kernels call, whose LLVM code it generates."""
    if fn is None:
        return partial(intrinsic, **options)

    def make() -> Any:
        from numba import extending

        return extending.intrinsic(**options)(fn) if options else extending.intrinsic(fn)

    return Deferred(make)


class _Lock:
    """The lock for loading and compiling kernels: Numba's own, once Numba is imported.

    With a second one beside it, two threads could deadlock. Both are reentrant, because the garbage collector may run
    code that compiles.
    """

    def __init__(self) -> None:
        self._before = RLock()
        self._held = local()

    def acquire(self) -> None:
        module = sys.modules.get("numba.core.compiler_lock")
        lock = getattr(module, "global_compiler_lock", self._before)
        lock.acquire()
        self._held.__dict__.setdefault("locks", []).append(lock)

    def release(self) -> None:
        self._held.locks.pop().release()

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *exception: object) -> None:
        self.release()


compiling = free_in_forks(_Lock())
