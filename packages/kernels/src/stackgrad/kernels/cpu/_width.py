"""How wide vectors are.

A tile of convolution or of a matrix product is made of registers as wide as the CPU's: of WIDE_BYTES. A lane is an
element of the result, which is summed as in any other width, so that this changes no bit.

All else goes by vectors of VECTOR_BYTES, on any CPU: what is done to channels one vector at a time, of which there are
often few, and whatever decides in which order a sum is taken.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.core import codegen, config
from numba.extending import intrinsic

VECTOR_BYTES = 32  # LLVM lowers them on any target
_AVX512 = {"+avx512f", "+avx512bw", "+avx512cd", "+avx512dq", "+avx512vl"}  # what servers' CPUs have had since 2017


def _wide_bytes() -> int:
    """Those of a register, as Numba is told or finds the CPU to be.

    For some CPUs LLVM prefers 256 bits in what it vectorises by itself, since a few wide instructions slow the rest. It
    leaves vectors of 512 bits whole there, too, and in a tile there is little else.
    """
    features = codegen.get_host_cpu_features() if config.CPU_FEATURES is None else config.CPU_FEATURES
    return 64 if set(features.split(",")) >= _AVX512 else VECTOR_BYTES


WIDE_BYTES = _wide_bytes()
IS_WIDE = WIDE_BYTES > VECTOR_BYTES  # then there are 32 registers, not 16, and stores that leave lanes out


def lanes(dtype: np.dtype[Any]) -> int:
    """Elements of `dtype` in one vector."""
    return VECTOR_BYTES // dtype.itemsize


def wide_lanes(dtype: np.dtype[Any]) -> int:
    """Elements of `dtype` in one register of a tile."""
    return WIDE_BYTES // dtype.itemsize


@intrinsic
def lanes_of(typingctx: Any, a: Any) -> Any:
    """Elements of the array `a` in a vector."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.get_constant(types.intp, VECTOR_BYTES * 8 // a.dtype.bitwidth)

    return types.intp(a), codegen


@intrinsic
def wide_lanes_of(typingctx: Any, a: Any) -> Any:
    """Elements of the array `a` in a register of a tile."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.get_constant(types.intp, WIDE_BYTES * 8 // a.dtype.bitwidth)

    return types.intp(a), codegen
