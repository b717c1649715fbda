"""Reductions and the places of extremes.

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

from stackgrad.tensor import OPS, REDUCTIONS, Reduction

from ._buffers import empty
from ._elementwise import compile_scalar, elementwise
from ._jit import Kernel, helper, kernel, rebind
from ._layout import copy_of, in_order
from ._memory import load, on_stack, store
from ._on_host import on_host
from ._parallel import CHUNK, SERIAL
from ._product import products
from ._vector_fold import FEWEST, fold_vectors

Array = NDArray[Any]
Shape = tuple[int, ...]

PIECE = 4_096  # of neighbouring elements
PIECE_OF_ROWS = 128  # where whole rows of b are folded
LANES = 128  # of neighbouring elements, so many running values take one each in turn
COLUMNS = 4096  # of b in one chunk
SHORT_ROW = 64  # elements


def _scalar(x, y, z):
    """Stand-in: the kernel below is compiled with the function of one reduction in its place."""
    return x


_fold_vectors: Any = None  # another, for one of `fold_vectors`


def _fold_rows(x, source, rows, step, out, to, columns):
    """Fold rows of x, `step` apart from `source` on, into one of `out`, each column by itself.

    Four rows at a time, so that values stay in registers; and LLVM makes a masked store, which is slow on AMD's chips,
    of a value that is either what was loaded from its place or another.
    """
    for row in range(0, rows - 3, 4):
        i = source + row * step
        for column in range(columns):
            value = load(out, to + column)
            value = _scalar(value, load(x, i + column), value)
            value = _scalar(value, load(x, i + step + column), value)
            value = _scalar(value, load(x, i + 2 * step + column), value)
            store(out, to + column, _scalar(value, load(x, i + 3 * step + column), value))
    for row in range(max(0, rows) // 4 * 4, rows):
        for column in range(columns):
            value = load(out, to + column)
            store(out, to + column, _scalar(value, load(x, source + row * step + column), value))


def _fold_many(x, source, count, lanes):
    """x[source : source + count], LANES elements or more, folded into lanes[0]: by fixed widths, which LLVM unrolls."""
    for lane in range(LANES):
        store(lanes, lane, load(x, source + lane))
    rows = count // LANES
    for i in range(source + LANES, source + (rows - 1) * LANES, 2 * LANES):
        for lane in range(LANES):
            value = load(lanes, lane)
            value = _scalar(value, load(x, i + lane), value)
            store(lanes, lane, _scalar(value, load(x, i + LANES + lane), value))
    if rows % 2 == 0:
        _fold_rows(x, source + (rows - 1) * LANES, 1, 0, lanes, 0, LANES)
    _fold_rows(x, source + rows * LANES, 1, 0, lanes, 0, count % LANES)
    _fold_rows(lanes, 64, 1, 0, lanes, 0, 64)
    _fold_rows(lanes, 32, 1, 0, lanes, 0, 32)
    _fold_rows(lanes, 16, 1, 0, lanes, 0, 16)
    _fold_rows(lanes, 8, 1, 0, lanes, 0, 8)
    _fold_rows(lanes, 4, 1, 0, lanes, 0, 4)
    _fold_rows(lanes, 2, 1, 0, lanes, 0, 2)
    _fold_rows(lanes, 1, 1, 0, lanes, 0, 1)


def _fold_few(x, source, count, lanes):
    """x[source : source + count], fewer than LANES elements, folded into lanes[0]."""
    width = LANES // 2
    while width > count:
        width //= 2
    for lane in range(width):
        store(lanes, lane, load(x, source + lane))
    _fold_rows(x, source + width, 1, 0, lanes, 0, count - width)
    while width > 1:
        width //= 2
        _fold_rows(lanes, width, 1, 0, lanes, 0, width)


def _fold_run(x, source, count, lanes):
    """x[source : source + count] folded into lanes[0]."""
    if count < LANES:
        _fold_few(x, source, count, lanes)
    else:
        _fold_many(x, source, count, lanes)


def _fold_floats(x, source, count, lanes):
    """`_fold_run` for floats, FEWEST and more in registers."""
    if count < FEWEST:
        _fold_few(x, source, count, lanes)
    else:
        store(lanes, 0, _fold_vectors(x, source, count))


def _fold(chunk, x, out, a, k, b, piece, pieces, group):
    """`group` pieces of x (a, k, b), by at most COLUMNS of b, into out (a, pieces, b)."""
    across = (b + COLUMNS - 1) // COLUMNS
    left = chunk % across * COLUMNS
    right = min(b, left + COLUMNS)
    first = chunk // across * group
    lanes = on_stack(x, LANES)
    for p in range(first, min(a * pieces, first + group)):
        start = p % pieces * piece
        count = min(piece, k - start)
        source = (p // pieces * k + start) * b
        if b > 1:
            for column in range(left, right):
                store(out, p * b + column, load(x, source + column))
            _fold_rows(x, source + b + left, count - 1, b, out, p * b + left, right - left)
        else:
            _fold_run(x, source, count, lanes)
            store(out, p, load(lanes, 0))


def fold_kernel(name: str, scalar: Any, key: str | None, by_vectors: Any = None) -> Kernel:
    """The kernel that folds by `scalar`, an associative function of the running value and the next (and one unused).

    `by_vectors`, one of `fold_vectors`, does the same to floats in registers.
    """
    helpers = {"_scalar": scalar, "_fold_vectors": by_vectors}
    run = _fold_floats if by_vectors else _fold_run
    for body in (_fold_rows, _fold_few, _fold_many, run):
        helpers[body.__name__] = helper(rebind(body, f"{name}{body.__name__}", **helpers))
    fold = rebind(_fold, f"{name}_fold", _fold_rows=helpers["_fold_rows"], _fold_run=helpers[run.__name__])
    return Kernel(fold, lambda T: (T[::1], T[::1], *[types.intp] * 6), key)


@cache
def _kernel(name: str, of_floats: bool) -> Kernel:
    scalar = REDUCTIONS[name].scalar
    return fold_kernel(name, compile_scalar(scalar), scalar, fold_vectors.get(name) if of_floats else None)


def reduce(reduction: Reduction, a: Array, dims: Shape) -> Array:
    """See Backend.reduce."""
    if reduction.name == "prod" and a.dtype.kind == "f" and a.size:
        flat, akb, order = _as_akb(a, dims)
        out = products(flat, *akb).reshape([a.shape[d] for d in order])
        return out.transpose([order.index(d) for d in range(a.ndim) if d not in dims])
    repeated = [d for d in range(a.ndim) if a.strides[d] == 0 and a.shape[d] > 1]
    if repeated and a.size and reduction.name in ("sum", "max", "min"):
        return _of_repeated(reduction, a, dims, repeated)
    return run(_kernel(reduction.name, a.dtype.kind == "f"), reduction.start, a, dims)


def _of_repeated(reduction: Reduction, a: Array, dims: Shape, repeated: list[int]) -> Array:
    """`reduce` of an array of which some dimensions repeat the same elements: these are looked at once."""
    if reduction.name == "sum" and set(dims) <= set(repeated):
        once = a[(*[0 if d in dims else slice(None) for d in range(a.ndim)], ...)]  # a view also where all are 0
        count = math.prod([a.shape[d] for d in dims])
        return elementwise(OPS["mul"], once, np.full(once.shape, count, a.dtype))
    once = a[tuple([slice(0, 1 if d in repeated else None) for d in range(a.ndim)])]
    out = run(_kernel(reduction.name, a.dtype.kind == "f"), reduction.start, once, dims)
    count = math.prod([a.shape[d] for d in repeated if d in dims])
    if reduction.name == "sum" and count > 1:
        out = elementwise(OPS["mul"], out, np.array(count, out.dtype))
    shape = tuple([a.shape[d] for d in range(a.ndim) if d not in dims])
    return out if out.shape == shape else copy_of(np.broadcast_to(out, shape))


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
        return copy_of(flat.reshape([x.shape[d] for d in order]).transpose([order.index(d) for d in kept]))
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
