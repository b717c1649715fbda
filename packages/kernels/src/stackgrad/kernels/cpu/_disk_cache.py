"""Object code on disk (see `_cache_files`), keyed on everything it is made of, which is determined without Numba.

Numba keys its own disk cache on the file that defines a function, but not on the helpers and intrinsics that the
function uses from other files.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import llvmlite
from llvmlite import binding

from .. import _cache_files
from ._width import cpu

# Numba's settings that change machine code. It also reads settings from a file in the working directory.
_SETTINGS = (
    *("BOUNDSCHECK", "DEBUGINFO", "DISABLE_INTEL_SVML", "ENABLE_AVX", "LOOP_VECTORIZE", "OPT", "SLP_VECTORIZE"),
)


def load(name: str, key: str) -> bytes | None:
    """The code that a process with the same surroundings stored under that name and key, or None."""
    return _cache_files.load(name, repr((key, _surroundings())))


def store(name: str, key: str, code: bytes) -> None:
    """Store object code. `key` tells what it was generated from, besides our sources and surroundings."""
    _cache_files.store(name, repr((key, _surroundings())), code)


@cache
def _surroundings() -> tuple[Any, ...]:
    """Versions, the CPU that Numba compiles for, and other settings of Numba."""
    settings = [os.environ.get(f"NUMBA_{name}") for name in _SETTINGS]
    file = None
    with suppress(OSError):
        file = Path(".numba_config.yaml").read_bytes()
    triple = binding.get_process_triple()
    return sys.version, version("numba"), llvmlite.__version__, triple, cpu(), settings, file, _uses_svml()


def _uses_svml() -> bool:
    """Whether machine code calls functions of Intel's SVML.

    If llvmlite was built for it, which the one on PyPI is not, only Numba knows whether the library is there.
    """
    if not binding.targets.has_svml():
        return False
    from numba.core import config

    return bool(config.USING_SVML)
