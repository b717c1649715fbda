"""PTX on disk (see `_cache_files`): loading a kernel takes a millisecond, compiling it a fifth of a second.

The key is everything that a kernel is made from besides this package's sources: its name, its types, the GPU, the op
table, and the compilers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from stackgrad.tensor import _optable

from .. import _cache_files
from ._installed import COMPILERS, version_of

_MADE_BY = ("numba-cuda", "numba", *COMPILERS)


def ptx_of(
    compile_to_ptx: Callable[..., str], body: Any, signature: Any, compute_capability: tuple[int, int], threads: int
) -> str:
    """The kernel as PTX, from disk if it is there, else compiled."""
    key = repr((body.__module__, body.__qualname__, signature, compute_capability, threads, _surroundings()))
    stored = _cache_files.load(body.__name__, key)
    if stored is not None:
        return stored.decode()
    ptx = compile_to_ptx(body, signature, compute_capability, threads)
    _cache_files.store(body.__name__, key, ptx.encode())
    return ptx


@cache
def _surroundings() -> tuple[str, ...]:
    """The op table and the versions of the compilers."""
    table = hashlib.sha256(Path(_optable.__file__).read_bytes()).hexdigest()
    return (table, *map(version_of, _MADE_BY))
