"""Uniform random numbers by Philox 4x32-10, the same ones as `stackgrad.tensor` draws with NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from stackgrad.tensor._plans import Plans
from stackgrad.tensor._random import MULTIPLIERS, ROUNDS, WEYL
from stackgrad.tensor._types import DType
from stackgrad.tensor._types import HostArray as Array

from ._channels_last import in_order
from ._kernel import kernel
from ._memory import maker
from ._numba import helper, types
from ._parallel import CHUNK
from ._pointers import Memory, load, on_stack, select, store

Draw = NDArray[np.uint64]

_M0, _M1 = (np.uint64(m) for m in MULTIPLIERS)
_W0, _W1 = (np.uint64(w) for w in WEYL)
_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)
BLOCKS = 64  # computed together
COST = 4  # units of work of one random number


@helper
def _round(c0, c1, c2, c3, k0, k1):
    p0, p1 = c0 * _M0, c2 * _M1
    return (p1 >> _HALF) ^ c1 ^ k0, p1 & _LOW, (p0 >> _HALF) ^ c3 ^ k1, p0 & _LOW


@helper
def _philox(block, seed, call):
    """The four 32-bit words of a block of a draw, as uint64."""
    c0, c1, c2, c3 = block & _LOW, block >> _HALF, call & _LOW, call >> _HALF
    k0, k1 = seed & _LOW, seed >> _HALF
    for _ in range(ROUNDS):
        c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0, k1)
        k0, k1 = (k0 + _W0) & _LOW, (k1 + _W1) & _LOW
    return c0, c1, c2, c3


@helper
def _philox_of_many(first, seed, call, c0, c1, c2, c3):
    """The words of BLOCKS blocks from `first` on, all of them round by round, so that LLVM vectorises over blocks."""
    for i in range(BLOCKS):
        block = np.uint64(first + i)
        store(c0, i, block & _LOW)
        store(c1, i, block >> _HALF)
        store(c2, i, call & _LOW)
        store(c3, i, call >> _HALF)
    k0, k1 = seed & _LOW, seed >> _HALF
    for _ in range(ROUNDS):
        for i in range(BLOCKS):
            a, b, c, d = _round(load(c0, i), load(c1, i), load(c2, i), load(c3, i), k0, k1)
            store(c0, i, a)
            store(c1, i, b)
            store(c2, i, c)
            store(c3, i, d)
        k0, k1 = (k0 + _W0) & _LOW, (k1 + _W1) & _LOW


@helper
def _as_float32(word):
    return np.float32(types.int32(word >> np.uint64(8))) * np.float32(2**-24)


@kernel(lambda T: (Memory(types.float32), types.intp, Memory(types.uint64)))
def _uniform32(chunk, out, size, draw):
    seed, call, first = load(draw, 0), load(draw, 1), types.intp(load(draw, 2))
    low, end = chunk * CHUNK, min(size, (chunk + 1) * CHUNK)
    words = on_stack(draw, BLOCKS), on_stack(draw, BLOCKS), on_stack(draw, BLOCKS), on_stack(draw, BLOCKS)
    for start in range(low - first % 4, end, 4 * BLOCKS):  # where the first word of the blocks belongs
        _philox_of_many((first + start) // 4, seed, call, *words)
        for j in range(4):
            for i in range(start + j < low, min(BLOCKS, (end - start - j + 3) // 4)):
                store(out, start + 4 * i + j, _as_float32(load(words[j], i)))


@kernel(lambda T: (Memory(types.float64), types.intp, Memory(types.uint64)))
def _uniform64(chunk, out, size, draw):
    first, low, end = types.intp(load(draw, 2)), chunk * CHUNK, min(size, (chunk + 1) * CHUNK)
    for start in range(low - first % 2, end, 2):
        words = _philox(np.uint64((first + start) // 2), load(draw, 0), load(draw, 1))
        for j in range(start < low, min(2, end - start)):
            whole = (words[2 * j] >> np.uint64(5)) * np.uint64(2**26) + (words[2 * j + 1] >> np.uint64(6))
            store(out, start + j, np.float64(whole) * 2.0**-53)


def _plan(shape: tuple[int, ...], dtype: DType) -> Callable[[Draw], Array]:
    make, size = maker(shape, dtype), math.prod(shape)
    entry = (_uniform32 if dtype == np.float32 else _uniform64)[dtype]

    def run(draw: Draw) -> Array:
        out = make()
        entry(-(-size // CHUNK), size * COST, (out, size, draw))
        return out

    return run


_plans: Plans[Callable[[Draw], Array]] = Plans(_plan)


def uniform(shape: tuple[int, ...], dtype: DType, draw: Draw) -> Array:
    """See Backend.uniform."""
    return _plans.find((shape, dtype), shape, dtype)(draw)


@kernel(lambda T: (Memory(T), Memory(types.float32), Memory(T), Memory(T), types.intp, types.float32, T))
def _drop(chunk, x, draws, out, mask, size, rate, scale):
    for i in range(chunk * CHUNK, min(size, (chunk + 1) * CHUNK)):
        factor = select(load(draws, i) >= rate, scale, scale - scale)
        store(mask, i, factor)
        store(out, i, load(x, i) * factor)


def _plan_dropout(x: Array, rate: float) -> Callable[[Array, Draw], tuple[Array, Array]]:
    make, entry, size, shape = maker(x.shape, x.dtype), _drop[x.dtype], x.size, x.shape
    bound, scale, float32 = np.float32(rate), 1 / (1 - rate) if rate < 1 else 0.0, np.dtype(np.float32)

    def run(x: Array, draw: Draw) -> tuple[Array, Array]:
        draws, out, mask = uniform(shape, float32, draw), make(), make()
        entry(-(-size // CHUNK), size, (in_order(x), draws, out, mask, size, bound, scale))
        return out, mask

    return run


_dropouts: Plans[Callable[[Array, Draw], tuple[Array, Array]]] = Plans(_plan_dropout)


def dropout(x: Array, rate: float, draw: Draw) -> tuple[Array, Array]:
    """See Backend.dropout."""
    return _dropouts.find((x.dtype, x.shape, rate), x, rate)(x, draw)
