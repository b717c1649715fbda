"""Uniform random numbers by Philox 4x32-10, the same ones as `stackgrad.tensor` draws with NumPy, and dropout.

    block of the draw   |    0    |    1    |    2    | ...      a thread makes the four words of a block, and from them
    uniform, float32    |0 1 2 3  |4 5 6 7  |8 ...    |          four numbers,
    uniform, float64    |0   1    |2   3    |4 ...    |          two, of two words each,
    dropout             |0 1 2 3  |4 5 6 7  |8 ...    |          or four float32, whatever the dtype of the elements

If the first element is not the first of its block, the elements before it are skipped. The seed, the index of the draw
and the first element are in device memory: each replay of a captured function writes them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stackgrad.tensor._random import MULTIPLIERS, ROUNDS, WEYL
from stackgrad.tensor._types import Shape

from ._array import DeviceArray, empty, from_numpy
from ._copy import contiguous
from ._driver import cuda, inlined, types
from ._kernel import BLOCK, Kernel, cover, int64, kernel, pointer

_LOW = 0xFFFFFFFF
_M0, _M1 = (np.uint64(m) for m in MULTIPLIERS)
_W0, _W1 = (np.uint32(w) for w in WEYL)


@inlined
def _philox(block, draw):
    """The four uint32 words of a block; a draw is a seed, the index of the draw, and the first element."""
    seed, call = draw[0], draw[1]
    c0, c1 = np.uint32(block & _LOW), np.uint32((block >> 32) & _LOW)
    c2, c3 = np.uint32(call & _LOW), np.uint32((call >> 32) & _LOW)
    k0, k1 = np.uint32(seed & _LOW), np.uint32((seed >> 32) & _LOW)
    for _ in range(ROUNDS):
        p0, p1 = np.uint64(c0) * _M0, np.uint64(c2) * _M1
        c0, c1, c2, c3 = (
            np.uint32(np.uint32(p1 >> np.uint64(32)) ^ c1 ^ k0),
            np.uint32(p1 & np.uint64(_LOW)),
            np.uint32(np.uint32(p0 >> np.uint64(32)) ^ c3 ^ k1),
            np.uint32(p0 & np.uint64(_LOW)),
        )
        k0, k1 = np.uint32(k0 + _W0), np.uint32(k1 + _W1)
    return c0, c1, c2, c3


@inlined
def _number32(word):
    """A multiple of 2**-24 in [0, 1)."""
    return np.float32(np.int32(word >> np.uint32(8))) * np.float32(2**-24)


@inlined
def _number64(high, low):
    """A multiple of 2**-53 in [0, 1)."""
    whole = (np.uint64(high) >> np.uint64(5)) * np.uint64(2**26) + (np.uint64(low) >> np.uint64(6))
    return np.float64(np.int64(whole)) * np.float64(2.0**-53)


@inlined
def _write32(out, i, n, words):
    """Write the numbers of a block from index i on, which may be negative."""
    if 0 <= i < n:
        out[i] = _number32(words[0])
    if 0 <= i + 1 < n:
        out[i + 1] = _number32(words[1])
    if 0 <= i + 2 < n:
        out[i + 2] = _number32(words[2])
    if i + 3 < n:
        out[i + 3] = _number32(words[3])


@inlined
def _write64(out, i, n, words):
    """Write the numbers of a block from index i on, which may be negative."""
    if 0 <= i < n:
        out[i] = _number64(words[0], words[1])
    if i + 1 < n:
        out[i + 1] = _number64(words[2], words[3])


_NUMBERS = {np.dtype("float32"): (_write32, 4), np.dtype("float64"): (_write64, 2)}
_write: Any = None  # placeholders: the kernel below is compiled with those of its dtype
IN_A_BLOCK = 0


def _uniform(out, draw, n):
    i = cuda.grid(1)
    block, before = draw[2] // IN_A_BLOCK, draw[2] % IN_A_BLOCK
    while IN_A_BLOCK * i - before < n:
        _write(out, IN_A_BLOCK * i - before, n, _philox(block + i, draw))
        i += cuda.gridsize(1)


def _for_dtype(dtype: np.dtype[Any]) -> dict[str, Any]:
    write, count = _NUMBERS[dtype]
    return {"_write": write, "IN_A_BLOCK": count}


_uniform_kernel = Kernel(_uniform, lambda T: (pointer(T), pointer(int64), int64), BLOCK, "f", bind=_for_dtype)


def uniform(shape: Shape, dtype: np.dtype[Any], draw: NDArray[np.uint64]) -> DeviceArray:
    """See Backend.uniform."""
    out = empty(shape, dtype)
    if out.size:
        blocks = out.size // _NUMBERS[dtype][1] + 2
        _uniform_kernel[dtype](cover(blocks), out, from_numpy(draw.view(np.int64)), out.size)
    return out


@inlined
def _drop(x, out, mask, i, n, word, rate, scale):
    """Write one element, which is dropped if its random number is below the rate."""
    if 0 <= i < n:
        factor = scale if _number32(word) >= rate else type(scale)(0)
        mask[i] = factor
        out[i] = x[i] * factor


@kernel(lambda T: (pointer(T), pointer(T), pointer(T), pointer(int64), types.float32, T, int64))
def _dropout(x, out, mask, draw, rate, scale, n):
    i = cuda.grid(1)
    block, before = draw[2] // 4, draw[2] % 4
    while 4 * i - before < n:
        c0, c1, c2, c3 = _philox(block + i, draw)
        start = 4 * i - before
        _drop(x, out, mask, start, n, c0, rate, scale)
        _drop(x, out, mask, start + 1, n, c1, rate, scale)
        _drop(x, out, mask, start + 2, n, c2, rate, scale)
        _drop(x, out, mask, start + 3, n, c3, rate, scale)
        i += cuda.gridsize(1)


def dropout(x: DeviceArray, rate: float, draw: NDArray[np.uint64]) -> tuple[DeviceArray, DeviceArray]:
    """See Backend.dropout."""
    out, mask = empty(x.shape, x.dtype), empty(x.shape, x.dtype)
    if x.size:
        scale = x.dtype.type(1 / (1 - rate) if rate < 1 else 0)
        numbers = from_numpy(draw.view(np.int64)), np.float32(rate), scale, x.size
        _dropout[x.dtype](cover(x.size // 4 + 2), contiguous(x), out, mask, *numbers)
    return out, mask
