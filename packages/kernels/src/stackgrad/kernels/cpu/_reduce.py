"""Reductions, running sums and the places of extremes.

The array is seen as (a, k, b), k the elements to be reduced and b what lies inside them in memory. k is cut into
pieces of fixed length, each piece folded into one value, and the values folded again the same way until one is
left: a tree whose form depends on the shape alone.

    k  |----piece----|----piece----|--|      fold each piece
    k' |o|o|o|                               fold the results
    1  |o|
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from stackgrad.tensor import REDUCTIONS, Reduction

from ._buffers import empty
from ._elementwise import compile_scalar
from ._jit import Kernel, kernel, rebind
from ._layout import in_order
from ._on_host import on_host
from ._parallel import CHUNK, SERIAL
from ._simd import load, store

Array = NDArray[Any]
Shape = tuple[int, ...]

PIECE = 4096  # of neighbouring elements
PIECE_OF_ROWS = 128  # where whole rows of b are folded
LANES = 8  # of neighbouring elements, every eighth is folded into the same running value
COLUMNS = 4096  # of b in one chunk
SHORT_ROW = 64  # elements


def _scalar(x, y, z):
    """Stand-in: the kernel below is compiled with the function of one reduction in its place."""
    return x


def _fold(chunk, x, out, a, k, b, piece, pieces, group):
    """`group` pieces of x (a, k, b), by at most COLUMNS of b, into out (a, pieces, b)."""
    across = (b + COLUMNS - 1) // COLUMNS
    left = chunk % across * COLUMNS
    right = min(b, left + COLUMNS)
    first = chunk // across * group
    for p in range(first, min(a * pieces, first + group)):
        start = p % pieces * piece
        count = min(piece, k - start)
        source = (p // pieces * k + start) * b
        if b > 1:
            for column in range(left, right):
                store(out, p * b + column, load(x, source + column))
            for i in range(1, count):
                for column in range(left, right):
                    value = load(out, p * b + column)
                    store(out, p * b + column, _scalar(value, load(x, source + i * b + column), value))
        else:
            tail = source
            total = load(x, source)
            if count >= 2 * LANES:
                t0, t1, t2, t3 = total, load(x, source + 1), load(x, source + 2), load(x, source + 3)
                t4, t5, t6, t7 = load(x, source + 4), load(x, source + 5), load(x, source + 6), load(x, source + 7)
                tail = source + count // LANES * LANES
                for i in range(source + LANES, tail, LANES):
                    t0 = _scalar(t0, load(x, i), t0)
                    t1 = _scalar(t1, load(x, i + 1), t1)
                    t2 = _scalar(t2, load(x, i + 2), t2)
                    t3 = _scalar(t3, load(x, i + 3), t3)
                    t4 = _scalar(t4, load(x, i + 4), t4)
                    t5 = _scalar(t5, load(x, i + 5), t5)
                    t6 = _scalar(t6, load(x, i + 6), t6)
                    t7 = _scalar(t7, load(x, i + 7), t7)
                left_half = _scalar(_scalar(t0, t1, t0), _scalar(t2, t3, t2), t0)
                right_half = _scalar(_scalar(t4, t5, t4), _scalar(t6, t7, t6), t4)
                total = _scalar(left_half, right_half, left_half)
            else:
                tail = source + 1
            for i in range(tail, source + count):
                total = _scalar(total, load(x, i), total)
            store(out, p, total)


def fold_kernel(name: str, scalar: Any, key: str | None) -> Kernel:
    """The kernel that folds by `scalar`, an associative function of the running value and the next (and one unused)."""
    return Kernel(rebind(_fold, f"{name}_fold", _scalar=scalar), lambda T: (T[::1], T[::1], *[types.intp] * 6), key)


@cache
def _kernel(name: str) -> Kernel:
    scalar = REDUCTIONS[name].scalar
    return fold_kernel(name, compile_scalar(scalar), scalar)


def reduce(reduction: Reduction, a: Array, dims: Shape) -> Array:
    """See Backend.reduce."""
    return run(_kernel(reduction.name), reduction.start, a, dims)


def run(fold: Kernel, start: float | None, x: Array, dims: Shape) -> Array:
    """x folded over `dims`, which are removed; `start` where there is nothing to fold."""
    kept = [d for d in range(x.ndim) if d not in dims]
    shape = tuple(x.shape[d] for d in kept)
    if not x.size:
        return _constant(shape, start, x.dtype)
    flat, (a, k, b), order = _as_akb(x, dims)
    out = flat
    while k > 1:
        # Rows shorter than some vectors are first folded several at a time, as one long row, then among themselves.
        wide = _rows_at_a_time(k, b)
        length, rows = b * wide, k // wide
        piece = PIECE if length == 1 else PIECE_OF_ROWS
        pieces = -(-rows // piece)
        last = pieces * wide == 1
        out = empty(tuple(x.shape[d] for d in order) if last else a * pieces * length, x.dtype)
        group = max(1, CHUNK // (min(piece, rows) * min(length, COLUMNS)))
        chunks = -(-(a * pieces) // group) * -(-length // COLUMNS)
        fold[x.dtype](chunks, flat.size < SERIAL, (flat, out.reshape(-1), a, rows, length, piece, pieces, group))
        flat, k = out.reshape(-1), pieces * wide
    if out is flat:  # nothing was folded
        return _copied(flat.reshape([x.shape[d] for d in order]).transpose([order.index(d) for d in kept]))
    turn = [order.index(d) for d in kept]
    return out if turn == sorted(turn) else out.transpose(turn)


def _rows_at_a_time(k: int, b: int) -> int:
    wide = 1
    while k * b > CHUNK and 1 < b * wide < SHORT_ROW and k % (2 * wide) == 0 and k > 2 * wide:
        wide *= 2
    return wide


@on_host
def _constant(shape: Shape, value: float | None, dtype: np.dtype[Any]) -> Array:
    return np.full(shape, value, dtype)


@on_host
def _copied(x: Array) -> Array:
    return x.copy()


def _as_akb(x: Array, dims: Shape) -> tuple[Array, tuple[int, int, int], list[int]]:
    """x as a flat array of (a, k, b), and the order of the kept dimensions in it; copied if need be."""
    order = sorted(range(x.ndim), key=lambda d: (-x.strides[d], d))
    turned = x.transpose(order)
    if turned.flags.c_contiguous:
        places = [i for i, d in enumerate(order) if d in dims]
        first, last = places[0], places[-1] + 1
        if last - first == len(places):
            e = turned.shape
            akb = (math.prod(e[:first]), math.prod(e[first:last]), math.prod(e[last:]))
            return turned.reshape(-1), akb, order[:first] + order[last:]
    kept = [d for d in range(x.ndim) if d not in dims]
    copied = in_order(x.transpose([*kept, *dims]))
    k = math.prod([x.shape[d] for d in dims])
    return copied.reshape(-1), (copied.size // k, k, 1), kept


def middle(x: Array, dim: int) -> tuple[Array, tuple[int, int, int]]:
    """x in C order, flat, seen as (a, k, b) around `dim`."""
    a, b = math.prod(x.shape[:dim]), math.prod(x.shape[dim + 1 :])
    return in_order(x).reshape(-1), (a, x.shape[dim], b)


@kernel(lambda T: (T[::1], types.int64[::1], types.intp, types.intp, types.boolean))
def _arg_extreme(a, x, out, k, b, largest):
    """The places of the extremes of x[a] (k, b) along k."""
    for column in range(b):
        start = a * k * b + column
        best, place = load(x, start), 0
        for i in range(1, k):
            value = load(x, start + i * b)
            better = value > best if largest else value < best
            if (better or value != value) and best == best:
                best, place = value, i
        store(out, a * b + column, types.int64(place))


def arg_reduce(name: str, a: Array, dim: int) -> Array:
    """See Backend.arg_reduce."""
    flat, (outer, k, b) = middle(a, dim)
    out = empty(a.shape[:dim] + a.shape[dim + 1 :], np.int64)
    if out.size:
        _arg_extreme[a.dtype](outer, a.size < SERIAL, (flat, out.reshape(-1), k, b, name == "max"))
    return out


@kernel(lambda T: (T[::1], T[::1], types.intp, types.intp))
def _running_sum(a, x, out, k, b):
    """The running sums of x[a] (k, b) along k."""
    start = a * k * b
    for column in range(start, start + b):
        store(out, column, load(x, column))
    for i in range(start + b, start + k * b):
        store(out, i, load(out, i - b) + load(x, i))


def cumsum(a: Array, dim: int) -> Array:
    """See Backend.cumsum."""
    flat, (outer, k, b) = middle(a, dim)
    out = empty(a.shape, a.dtype)
    if out.size:
        _running_sum[a.dtype](outer, a.size < SERIAL, (flat, out.reshape(-1), k, b))
    return out
