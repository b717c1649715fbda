"""Compiled kernels on disk: a process finds in a millisecond what another took a fifth of a second to compile.

They lie beside those of the CPU (see `cpu._disk_cache`). The key is all that a kernel is made of beside this package's
sources: what it is called, for which types and GPU, the op table, and the compiler.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from stackgrad.tensor import _optable

from ..cpu import _disk_cache
from ._available import COMPILERS, version_of
from ._driver import compile_to_ptx

_MADE_BY = ("numba-cuda", "numba", *COMPILERS)


def ptx_of(
    body: Any, signature: tuple[Any, ...], compute_capability: tuple[int, int], threads: int, keep: bool = True
) -> str:
    """The kernel as PTX, from disk where it is; without `keep` it is compiled, and not written."""
    if not keep:
        return compile_to_ptx(body, signature, compute_capability, threads)
    key = repr((body.__module__, body.__qualname__, signature, compute_capability, threads, _surroundings()))
    stored = _disk_cache.load(body.__name__, key)
    if stored is not None:
        return stored.decode()
    ptx = compile_to_ptx(body, signature, compute_capability, threads)
    _disk_cache.store(body.__name__, key, ptx.encode())
    return ptx


@cache
def _surroundings() -> tuple[str, ...]:
    """The op table and the versions of the compilers."""
    table = hashlib.sha256(Path(_optable.__file__).read_bytes()).hexdigest()
    return (table, *map(version_of, _MADE_BY))
