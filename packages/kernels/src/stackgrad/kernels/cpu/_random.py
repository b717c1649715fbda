"""Uniform random numbers by Philox 4x32-10, the same as `stackgrad.tensor` draws with NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from stackgrad.tensor._random import MULTIPLIERS, ROUNDS, WEYL

from ._buffers import empty
from ._jit import helper, kernel
from ._parallel import CHUNK, SERIAL
from ._simd import store

_M0, _M1 = (np.uint64(m) for m in MULTIPLIERS)
_W0, _W1 = (np.uint64(w) for w in WEYL)
_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)
COST = 8  # operations that one number takes as long as


@helper
def _philox(block, seed, call):
    """The four 32-bit words of a block of a draw, as uint64."""
    c0, c1, c2, c3 = block & _LOW, block >> _HALF, call & _LOW, call >> _HALF
    k0, k1 = seed & _LOW, seed >> _HALF
    for _ in range(ROUNDS):
        p0, p1 = c0 * _M0, c2 * _M1
        c0, c1, c2, c3 = (p1 >> _HALF) ^ c1 ^ k0, p1 & _LOW, (p0 >> _HALF) ^ c3 ^ k1, p0 & _LOW
        k0, k1 = (k0 + _W0) & _LOW, (k1 + _W1) & _LOW
    return c0, c1, c2, c3


@kernel(lambda T: (types.float32[::1], types.uint64, types.uint64[::1]))
def _uniform32(chunk, out, seed, call):
    for start in range(chunk * CHUNK, min(out.size, (chunk + 1) * CHUNK), 4):
        words = _philox(np.uint64(start // 4), seed, call[0])
        for j in range(min(4, out.size - start)):
            store(out, start + j, np.float32(words[j] >> np.uint64(8)) * np.float32(2**-24))


@kernel(lambda T: (types.float64[::1], types.uint64, types.uint64[::1]))
def _uniform64(chunk, out, seed, call):
    for start in range(chunk * CHUNK, min(out.size, (chunk + 1) * CHUNK), 2):
        words = _philox(np.uint64(start // 2), seed, call[0])
        for j in range(min(2, out.size - start)):
            whole = (words[2 * j] >> np.uint64(5)) * np.uint64(2**26) + (words[2 * j + 1] >> np.uint64(6))
            store(out, start + j, np.float64(whole) * 2.0**-53)


def uniform(shape: tuple[int, ...], dtype: np.dtype[Any], seed: int, call: NDArray[np.uint64]) -> NDArray[Any]:
    """See Backend.uniform."""
    out = empty(shape, dtype)
    draw = _uniform32 if dtype == np.float32 else _uniform64
    draw[dtype](-(-out.size // CHUNK), out.size * COST < SERIAL, (out.reshape(-1), seed, call))
    return out
