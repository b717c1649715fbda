"""Machine code on disk (see `_cache_files`), keyed on the types of a function's arguments and everything it is made of.

Numba keys its own disk cache on the file that defines a function, but not on the helpers and intrinsics that the
function uses from other files.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import llvmlite
import numba
from numba.core import caching, compiler, serialize

from .. import _cache_files


class DiskCache(caching.NullCache):
    """The cache object of one function, which Numba queries by the types of the arguments.

    `key` tells what the function was generated from, besides this package's sources.
    """

    def __init__(self, fn: Callable[..., Any], key: str) -> None:
        self._name = fn.__name__
        self._key = f"{fn.__module__}.{fn.__name__} {key}"

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        target_context.refresh()
        content = _cache_files.load(self._name, self._key_of(sig, target_context.codegen()))
        if content is None:
            return None
        try:
            return compiler.CompileResult._rebuild(target_context, *pickle.loads(content))
        except Exception:  # whatever is wrong with the file, compiling works without it
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        if not data.library.has_dynamic_globals:  # these are addresses in this process
            _cache_files.store(self._name, self._key_of(sig, data.codegen), serialize.dumps(data._reduce()))

    def _key_of(self, sig: Any, codegen: Any) -> str:
        return repr((self._key, str(sig), codegen.magic_tuple(), _made_by()))


@cache
def _made_by() -> tuple[Any, ...]:
    # With Intel's SVML, machine code calls functions of that library.
    return sys.version, numba.__version__, llvmlite.__version__, numba.config.USING_SVML
