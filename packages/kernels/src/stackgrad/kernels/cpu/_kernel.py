"""Compiling kernels.

A kernel is compiled for an explicit signature and called without Numba's dispatcher, which would compile again for each
combination of memory layouts. The entry trusts its caller to pass the right dtypes and numbers of dimensions.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import FunctionType
from typing import Any, NamedTuple, Protocol

import llvmlite.binding
import numba
import numpy as np
from numba import types
from numba.core.compiler_lock import global_compiler_lock

from stackgrad.tensor import capturing
from stackgrad.tensor._fork import free_in_forks
from stackgrad.tensor._tape import open_tapes

from ._disk_cache import DiskCache
from ._launch import LAUNCH, entry
from ._lifetimes import Compiled
from ._parallel import is_small
from ._replay import Explain, Row, unexplained
from ._team import Team, launch, name_yield, replay, serve

Signature = Callable[[Any], tuple[Any, ...]]


class Entry(Protocol):
    """Run `chunks` chunks of a kernel, `work` operations in all (see _parallel).

    If a chunk raises, call `explain`, which raises the error for the user.
    """

    def __call__(self, chunks: int, work: int, arguments: tuple[Any, ...], explain: Explain | None = ...) -> None: ...


_OPTIONS: dict[str, Any] = {"error_model": "numpy", "fastmath": {"contract"}}


def named(fields: type[NamedTuple]) -> Any:
    """The Numba type of a NamedTuple of integers; a kernel reads them by field name."""
    return types.NamedUniTuple(types.intp, len(fields._fields), fields)


def helper(fn: Callable[..., Any]) -> Any:
    """Make `fn` a function that kernels call. It is inlined into them and needs no cache entry of its own."""
    return numba.njit(fn, no_cpython_wrapper=True, no_cfunc_wrapper=True, forceinline=True, **_OPTIONS)


class Kernel:
    """A function of a chunk index and of arguments that all chunks share (see _launch).

    `key` tells the disk cache what the body was generated from, besides this package's sources. None disables caching:
    a user's function may depend on anything.

    `kernel[dtype](chunks, work, arguments)` runs the kernel for arrays of that dtype. The first use compiles it or
    loads it from disk. The chunks run on all cores, or on this thread in order if there is little `work` (see
    _parallel). Raises ChunkError if the body raises for some chunk, which only a user's function can do.
    """

    def __init__(self, body: Callable[..., Any], signature: Signature, key: str | None = "") -> None:
        launcher = rebind(entry, body.__name__, _body=helper(body))
        self._dispatcher = numba.njit(launcher, nogil=True, no_cfunc_wrapper=True, **_OPTIONS)
        self._signature = signature
        self._entries: dict[np.dtype[Any], Entry] = {}
        self._explain = unexplained if key is None else None
        if key is not None:
            self._dispatcher._cache = DiskCache(body, key)

    def __getitem__(self, dtype: np.dtype[Any]) -> Entry:
        entry = self._entries.get(dtype)
        if entry is None:
            with _compiling:
                team = _team()
                arguments = types.Tuple(self._signature(numba.from_dtype(dtype)))
                compiled = self._dispatcher.compile((types.intp, types.intp, arguments, types.intp))
                entry = _entered(compiled, team, self._explain)
            self._entries[dtype] = entry
        return entry

    @property
    def cache_hits(self) -> int:
        """How many of its compiled variants came from disk."""
        return sum(self._dispatcher.stats.cache_hits.values())


# Numba's own lock: with a second one, two threads could deadlock. It is reentrant, because the garbage collector may
# run code that compiles.
_compiling = free_in_forks(global_compiler_lock)
_machine_code: list[Any] = []  # of the team; kernels call it by address, so it must outlive them


def _entered(compiled: Compiled, team: Team, own: Explain | None) -> Entry:
    """Wrap a compiled entry: it runs on the team, and a captured function records the launch on its tape.

    If a chunk fails, `own` explains it unless the launch passes another `explain`.
    """

    def on_team(chunks: int, arguments: tuple[Any, ...]) -> int:
        return team.run(lambda address: compiled(chunks, address, arguments, 0))

    def run(chunks: int, work: int, arguments: tuple[Any, ...], explain: Explain | None = own) -> None:
        serial = chunks == 1 or is_small(work)
        failed = compiled(chunks, 0, arguments, 0) if serial else on_team(chunks, arguments)
        if failed:
            (explain or unexplained)()
        if open_tapes and capturing.tape is not None:
            capturing.tape.launched(Row, team, compiled, chunks, serial, arguments, explain)

    return run


def kernel(signature: Signature) -> Callable[[Callable[..., Any]], Kernel]:
    """Make a function a kernel. `signature` maps an element type to the Numba types of all arguments but the chunk."""
    return lambda fn: Kernel(fn, signature)


@cache
def _team() -> Team:
    """Start the threads, and register `launch` under the name by which the machine code of kernels finds it."""
    name_yield()
    for fn, count in ((launch, 4), (serve, 1), (replay, 3)):
        signature = (types.intp,) * count
        dispatcher = numba.njit(fn, nogil=True)
        dispatcher._cache = DiskCache(fn, "")
        dispatcher.compile(signature)
        _machine_code.append(dispatcher.overloads[signature])
    loop, service, replaying = _machine_code
    llvmlite.binding.add_symbol(LAUNCH, loop.library.get_pointer_to_function(loop.fndesc.llvm_cfunc_wrapper_name))
    return Team(service.entry_point, replaying.entry_point)


def rebind(fn: Callable[..., Any], name: str, **constants: Any) -> Callable[..., Any]:
    """`fn` with the globals in `constants` replaced; a closure in their place would never hit the disk cache."""
    bound = FunctionType(fn.__code__, {**fn.__globals__, **constants}, name, fn.__defaults__)
    bound.__qualname__ = name
    bound.__module__ = fn.__module__
    return bound
