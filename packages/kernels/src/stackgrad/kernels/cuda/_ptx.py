"""Compiled kernels on disk: a process finds in a millisecond what another took a fifth of a second to compile.

They lie beside those of the CPU, in the folder that `cpu._jit` makes for these very sources. A file's name is a digest
of all else that a kernel is made of: what it is called, for which types and GPU, the op table, and the compiler.
"""

from __future__ import annotations

import hashlib
import os
from functools import cache
from pathlib import Path
from typing import Any

from stackgrad.tensor import _optable

from ..cpu._jit import cache_folder
from ._available import COMPILERS, version_of
from ._driver import compile_to_ptx

_MADE_BY = ("numba-cuda", "numba", *COMPILERS)


def ptx_of(
    body: Any, signature: tuple[Any, ...], compute_capability: tuple[int, int], threads: int, keep: bool = True
) -> str:
    """The kernel as PTX, from disk where it is; without `keep` it is compiled, and not written."""
    folder = cache_folder() if keep else None
    if folder is None:
        return compile_to_ptx(body, signature, compute_capability, threads)
    made_of = (body.__module__, body.__qualname__, signature, compute_capability, threads, _surroundings())
    path = folder / f"{hashlib.sha256(repr(made_of).encode()).hexdigest()[:32]}.ptx"
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        ptx = compile_to_ptx(body, signature, compute_capability, threads)
        _write(path, ptx)
        return ptx


def _write(path: Path, text: str) -> None:
    """Write it whole or not at all: another process may look for it, or write it, at the same time."""
    own = path.with_suffix(f".{os.getpid()}")
    try:
        own.write_text(text, encoding="utf-8")
        own.replace(path)
    except OSError:  # a full disk only costs time
        own.unlink(missing_ok=True)


@cache
def _surroundings() -> tuple[str, ...]:
    """The op table and the versions of the compilers."""
    table = hashlib.sha256(Path(_optable.__file__).read_bytes()).hexdigest()
    return (table, *map(version_of, _MADE_BY))
