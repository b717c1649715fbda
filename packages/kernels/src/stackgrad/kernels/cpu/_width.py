"""The widths of vectors.

The tiles of convolutions and matrix products consist of registers as wide as the CPU's: WIDE_BYTES. Each lane is one
element of the result, summed in the same order for any width, so the width changes no bits.

Everything else uses vectors of VECTOR_BYTES on any CPU: work on one vector of channels at a time, since channels are
often few, and whatever determines the order of a sum.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from llvmlite import binding

from ._numba import intrinsic, types

VECTOR_BYTES = 32  # LLVM lowers such vectors on any target
_AVX512 = {"+avx512f", "+avx512bw", "+avx512cd", "+avx512dq", "+avx512vl"}  # servers' CPUs have had these since 2017


def _wide_bytes(features: str) -> int:
    """The width of a register of a CPU with these features.

    For some CPUs LLVM prefers 256 bits when it vectorises on its own, because a few wide instructions slow the others
    down. Explicit vectors of 512 bits stay whole there, too, and a tile contains little else.
    """
    return 64 if set(features.split(",")) >= _AVX512 else VECTOR_BYTES


def cpu() -> tuple[str, str]:
    """The name and the features of the CPU for which Numba compiles: those that it is told, or else the host's."""
    name = os.environ.get("NUMBA_CPU_NAME")
    features = os.environ.get("NUMBA_CPU_FEATURES", "" if str(name).lower() == "generic" else None)
    if features is None:
        features = binding.get_host_cpu_features().flatten()
    return name or binding.get_host_cpu_name(), features


WIDE_BYTES = _wide_bytes(cpu()[1])
IS_WIDE = WIDE_BYTES > VECTOR_BYTES  # then there are 32 registers, not 16, and masked stores


def lanes(dtype: np.dtype[Any]) -> int:
    """The number of elements of `dtype` in one vector."""
    return VECTOR_BYTES // dtype.itemsize


def wide_lanes(dtype: np.dtype[Any]) -> int:
    """The number of elements of `dtype` in one register of a tile."""
    return WIDE_BYTES // dtype.itemsize


@intrinsic
def lanes_of(typingctx: Any, a: Any) -> Any:
    """The number of elements of the array `a` in a vector."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.get_constant(types.intp, VECTOR_BYTES * 8 // a.dtype.bitwidth)

    return types.intp(a), codegen


@intrinsic
def wide_lanes_of(typingctx: Any, a: Any) -> Any:
    """The number of elements of the array `a` in a register of a tile."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.get_constant(types.intp, WIDE_BYTES * 8 // a.dtype.bitwidth)

    return types.intp(a), codegen
