"""Compiling kernels.

A kernel is compiled for a stated signature and entered without Numba's dispatch, which would compile again for each
combination of memory layouts. The entry trusts its caller for dtypes and numbers of dimensions.
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
    """Runs so many chunks of a kernel, which are so much work (see _parallel).

    Where one of them raises, `explain` does, too.
    """

    def __call__(self, chunks: int, work: int, arguments: tuple[Any, ...], explain: Explain | None = ...) -> None: ...


_OPTIONS: dict[str, Any] = {"error_model": "numpy", "fastmath": {"contract"}}


def named(fields: type[NamedTuple]) -> Any:
    """The Numba type of a NamedTuple of integers, by whose names a kernel reads them."""
    return types.NamedUniTuple(types.intp, len(fields._fields), fields)


def helper(fn: Callable[..., Any]) -> Any:
    """A function that kernels call. It is compiled into them and needs no cache of its own."""
    return numba.njit(fn, no_cpython_wrapper=True, no_cfunc_wrapper=True, forceinline=True, **_OPTIONS)


class Kernel:
    """A function of a chunk's number and of arguments that all chunks share (see _launch).

    `key` tells the disk cache what the body was made from beside this package's sources. None keeps the kernel out
    of the cache: nobody knows all that a user's function depends on.

    `kernel[dtype](chunks, work, arguments)` runs it for arrays of that dtype, compiled at the first use or loaded from
    disk: on all cores, or where there is little `work` (see _parallel) the chunks one after the other. Raises
    ChunkError where the body raises anything for some chunk, which only a user's function can.
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
        """How many of its compiled forms came from disk."""
        return sum(self._dispatcher.stats.cache_hits.values())


# Numba's own: with another beside it, two threads could each wait for the other's. Who holds it may take it again, for
# what the garbage collector runs.
_compiling = free_in_forks(global_compiler_lock)
_machine_code: list[Any] = []  # of the team, which kernels call by its address: it must live as long as any of them


def _entered(compiled: Compiled, team: Team, own: Explain | None) -> Entry:
    """A compiled entry that runs on the team, and is put on the tape of a captured function.

    It is explained by `own` unless the launch says otherwise.
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
    """Make a function a kernel; `signature` gives the Numba types of all but the chunk's number for an element type."""
    return lambda fn: Kernel(fn, signature)


@cache
def _team() -> Team:
    """The threads, at work, and `launch` where the machine code of kernels finds it by its name."""
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
    """`fn` with `constants` for its module's globals of those names; a closure would never hit the disk cache."""
    bound = FunctionType(fn.__code__, {**fn.__globals__, **constants}, name, fn.__defaults__)
    bound.__qualname__ = name
    bound.__module__ = fn.__module__
    return bound
