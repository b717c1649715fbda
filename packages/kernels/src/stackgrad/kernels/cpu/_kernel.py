"""Kernels: loaded from disk, or compiled.

A kernel is compiled for an explicit signature and called without Numba's dispatcher, which would compile again for each
combination of memory layouts. The entry trusts its caller to pass the right dtypes and numbers of dimensions. It is a C
function that Python calls (see _launch). Loading it from disk takes only llvmlite: a process that finds all its kernels
there does not import Numba.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from hashlib import sha256
from itertools import count
from types import FunctionType
from typing import Any, NamedTuple, Protocol

import llvmlite.binding
import numpy as np

from stackgrad.tensor import capturing
from stackgrad.tensor._tape import open_tapes

from . import _disk_cache, _machine_code
from ._lifetimes import Compiled
from ._numba import compiling, numba, types
from ._parallel import is_small
from ._replay import Explain, Row, unexplained
from ._team import LAUNCH, Team, launch, name_yield, replay, serve

Signature = Callable[[Any], tuple[Any, ...]]


class Entry(Protocol):
    """Run `chunks` chunks of a kernel, `work` operations in all (see _parallel).

    If a chunk raises, call `explain`, which raises the error for the user.
    """

    def __call__(self, chunks: int, work: int, arguments: tuple[Any, ...], explain: Explain | None = ...) -> None: ...


def named(fields: type[NamedTuple]) -> Any:
    """The Numba type of a NamedTuple of integers; a kernel reads them by field name."""
    return types.NamedUniTuple(types.intp, len(fields._fields), fields)


class Kernel:
    """A function of a chunk index and of arguments that all chunks share (see _launch).

    `key` tells the disk cache what body and signature were generated from, besides this package's sources and the
    dtype. None disables caching: a user's function may depend on anything.

    `kernel[dtype](chunks, work, arguments)` runs the kernel for arrays of that dtype. The first use compiles it or
    loads it from disk. The chunks run on all cores, or on this thread in order if there is little `work` (see
    _parallel). Raises ChunkError if the body raises for some chunk, which only a user's function can do.
    """

    def __init__(self, body: Callable[..., Any], signature: Signature, key: str | None = "") -> None:
        self._body, self._signature, self._key = body, signature, key
        self._entries: dict[np.dtype[Any], Entry] = {}
        self._explain = unexplained if key is None else None
        self.cache_hits = 0  # how many of its compiled variants came from disk

    def __getitem__(self, dtype: np.dtype[Any]) -> Entry:
        entry = self._entries.get(dtype)
        if entry is None:
            with compiling:
                team = _team()  # it registers the functions that machine code calls
                entry = self._entries[dtype] = _entered(self._compiled(dtype), team, self._explain)
        return entry

    def _compiled(self, dtype: np.dtype[Any]) -> Compiled:
        def call() -> Any:
            return types.none(types.intp, *self._signature(numba.from_dtype(dtype)))

        if self._key is not None:
            address, was_found = _found(self._body, f"{dtype.str} {self._key}", call, "write_entry")
            self.cache_hits += was_found
        else:
            from . import _launch

            name = f"{self._body.__name__}.{next(_names)}"
            address = _launch.address_of(self._body, call(), _launch.write_entry, name)
        return _machine_code.function_at(address, self._body.__name__)


_names = count()  # names in Numba's own engine must differ


def _found(fn: Callable[..., Any], key: str, call: Callable[[], Any], write: str) -> tuple[int, bool]:
    """Return the address of the C function that `write` of _launch makes of `fn`, and whether it came from disk.

    `key` tells what `fn` was generated from, besides this package's sources; `call` makes the signature to compile.
    """
    key = f"{fn.__module__}.{fn.__name__} {key}"
    name = f"{fn.__name__}.{sha256(key.encode()).hexdigest()[:32]}"  # unique, because one engine loads all code
    code = found = _disk_cache.load(fn.__name__, key)
    if code is None:
        from . import _launch  # imports Numba

        code = _launch.object_code(fn, call(), getattr(_launch, write), name)
        _disk_cache.store(fn.__name__, key, code)
    return _machine_code.load(code, name), found is not None


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
            capturing.tape.launched(Row, team, compiled, chunks, work, arguments, explain)

    return run


def kernel(signature: Signature) -> Callable[[Callable[..., Any]], Kernel]:
    """Make a function a kernel. `signature` maps an element type to the Numba types of all arguments but the chunk."""
    return lambda fn: Kernel(fn, signature)


@cache
def _team() -> Team:
    """Start the threads, and register `launch` under the name by which the machine code of kernels finds it."""

    def address(fn: Callable[..., Any], parameters: int, result: str, write: str) -> int:
        return _found(fn, "", lambda: getattr(types, result)(*[types.intp] * parameters), write)[0]

    name_yield()
    llvmlite.binding.add_symbol(LAUNCH, address(launch, 4, "none", "write_c_function"))
    called = [address(fn, parameters, "intp", "write_function") for fn, parameters in ((serve, 1), (replay, 3))]
    return Team(*[_machine_code.function_at(at, fn) for at, fn in zip(called, ("serve", "replay"), strict=True)])


def rebind(fn: Callable[..., Any], name: str, **constants: Any) -> Callable[..., Any]:
    """`fn` with the globals in `constants` replaced; the disk cache does not know what a closure holds."""
    bound = FunctionType(fn.__code__, {**fn.__globals__, **constants}, name, fn.__defaults__)
    bound.__qualname__ = name
    bound.__module__ = fn.__module__
    return bound
