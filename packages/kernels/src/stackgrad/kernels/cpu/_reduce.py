"""Reductions and the indices of extremes.

The array is viewed as (a, k, b): k is the extent to reduce, and b the extent inside it in memory. k is cut into pieces
of fixed length. Each piece is folded into one value, and the values are folded again the same way until one is left:
a tree whose form depends on the shape alone.

    k  |----piece----|----piece----|--|      fold each piece
    k' |o|o|o|                               fold the results
    1  |o|
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np

from stackgrad.tensor import OPS, REDUCTIONS, Reduction
from stackgrad.tensor._plans import Plans
from stackgrad.tensor._types import HostArray as Array
from stackgrad.tensor._types import Shape

from .._index import around
from ._channels_last import in_order
from ._copy import copy, full
from ._elementwise import elementwise, plan_elementwise
from ._kernel import Entry, Kernel, kernel, named, rebind
from ._math import compile_scalar
from ._memory import empty, maker
from ._numba import helper, types
from ._parallel import CHUNK
from ._pointers import Memory, load, on_stack, store
from ._product import products
from ._vector_fold import FEWEST, fold_vectors

PIECE = 4_096  # adjacent elements
PIECE_OF_ROWS = 128  # rows, if whole rows of b are folded
LANES = 128  # running values, each of every LANES-th of adjacent elements
COLUMNS = 4096  # of b in one chunk
SHORT_ROW = 64  # elements


def _scalar(x, y, z):
    """Placeholder: the kernel below is compiled with the function of one reduction instead."""
    return x


_fold_vectors: Any = None  # a placeholder for one of `fold_vectors`


def _fold_rows(x, source, rows, step, out, to, columns):
    """Fold rows of x, `step` apart from `source` on, into a row of `out`, column by column.

    Four rows at a time, so that values stay in registers. It also avoids masked stores, which are slow on AMD's chips:
    LLVM makes one if the value to store may be the one loaded from the same address.
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
    """Fold x[source : source + count], LANES elements or more, into lanes[0], by fixed widths, which LLVM unrolls."""
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
    """Fold x[source : source + count], fewer than LANES elements, into lanes[0]."""
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
    """Fold x[source : source + count] into lanes[0]."""
    if count < LANES:
        _fold_few(x, source, count, lanes)
    else:
        _fold_many(x, source, count, lanes)


def _fold_floats(x, source, count, lanes):
    """`_fold_run` for floats: FEWEST elements or more are folded in registers."""
    if count < FEWEST:
        _fold_few(x, source, count, lanes)
    else:
        store(lanes, 0, _fold_vectors(x, source, count))


class Pieces(NamedTuple):
    """x is viewed as (a, k, b); k is cut into `pieces` pieces of `length`, and a chunk has `each` of them."""

    a: int
    k: int
    b: int
    length: int
    pieces: int
    each: int


def _fold(chunk, x, out, of):
    """Fold some pieces of x, at most COLUMNS of b, into out (a, pieces, b)."""
    b = of.b
    across = (b + COLUMNS - 1) // COLUMNS
    left = chunk % across * COLUMNS
    right = min(b, left + COLUMNS)
    first = chunk // across * of.each
    lanes = on_stack(x, LANES)
    for p in range(first, min(of.a * of.pieces, first + of.each)):
        start = p % of.pieces * of.length
        count = min(of.length, of.k - start)
        source = (p // of.pieces * of.k + start) * b
        if b > 1:
            for column in range(left, right):
                store(out, p * b + column, load(x, source + column))
            _fold_rows(x, source + b + left, count - 1, b, out, p * b + left, right - left)
        else:
            _fold_run(x, source, count, lanes)
            store(out, p, load(lanes, 0))


class Fold:
    """A folding kernel and its plans."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.plans: Plans[_Plan] = Plans(partial(_plan, kernel))


def fold_kernel(name: str, scalar: Any, key: str | None, by_vectors: Any = None) -> Fold:
    """The kernel that folds by `scalar`, an associative function of the running value, the next one, and an unused one.

    `by_vectors`, one of `fold_vectors`, does the same for floats in registers.
    """
    rows, run = _helpers(name, scalar, by_vectors)
    fold = rebind(_fold, f"{name}_fold", _fold_rows=rows, _fold_run=run)
    return Fold(Kernel(fold, lambda T: (Memory(T), Memory(T), named(Pieces)), key))


def _helpers(name: str, scalar: Any, by_vectors: Any) -> tuple[Any, Any]:
    """A function that folds rows into one, column by column, and a function that folds a run into one element."""
    helpers = {"_scalar": scalar, "_fold_vectors": by_vectors}
    run = _fold_floats if by_vectors else _fold_run
    for body in (_fold_rows, _fold_few, _fold_many, run):
        helpers[body.__name__] = helper(rebind(body, f"{name}{body.__name__}", **helpers))
    return helpers["_fold_rows"], helpers[run.__name__]


@cache
def folding(name: str, of_floats: bool) -> tuple[Any, Any]:
    """For kernels that fold their results: a reduction's scalar function, and a function that folds a run by it."""
    scalar = compile_scalar(REDUCTIONS[name].scalar)
    return scalar, _helpers(name, scalar, fold_vectors.get(name) if of_floats else None)[1]


@cache
def _kernel(name: str, of_floats: bool) -> Fold:
    scalar = REDUCTIONS[name].scalar
    return fold_kernel(name, compile_scalar(scalar), scalar, fold_vectors.get(name) if of_floats else None)


def reduce(reduction: Reduction, a: Array, dims: Shape) -> Array:
    """See Backend.reduce."""
    return plan_reduce(reduction, a, dims)(a)


def plan_reduce(reduction: Reduction, a: Array, dims: Shape) -> Callable[[Array], Array]:
    """See Backend.plan_reduce."""
    name, of_floats = reduction.name, a.dtype.kind == "f"
    if 0 in a.strides and a.size and name in ("sum", "max", "min"):
        repeated = [d for d in range(a.ndim) if a.strides[d] == 0 and a.shape[d] > 1]
        if repeated:
            return _plan_of_repeated(reduction, a, dims, repeated)
    if name == "prod" and of_floats and a.size:
        return lambda other: _product(other, dims)
    fold = _kernel(name, of_floats)
    if not a.size:
        return lambda other: run(fold, reduction.start, other, dims)
    return fold.plans.find((a.dtype, a.shape, a.strides, dims), a, dims).run


def _product(a: Array, dims: Shape) -> Array:
    order, arranged, akb = _as_akb(a, dims)
    x = a.transpose(order)
    out = products((x if not arranged else in_order(x)).reshape(-1), *akb)
    kept = [d for d in order if d not in dims]
    return out.reshape([a.shape[d] for d in kept]).transpose([kept.index(d) for d in range(a.ndim) if d not in dims])


def _plan_of_repeated(reduction: Reduction, a: Array, dims: Shape, repeated: list[int]) -> Callable[[Array], Array]:
    """A function that reduces arrays with broadcast dimensions and reads their elements once."""
    count = math.prod([a.shape[d] for d in repeated if d in dims])
    if reduction.name == "sum" and set(dims) <= set(repeated):
        first = (*[0 if d in dims else slice(None) for d in range(a.ndim)], ...)  # `...`: a view even if all are 0
        counts = np.full(a[first].shape, count, a.dtype)
        multiply = plan_elementwise(OPS["mul"], a[first], counts)
        return lambda other: multiply(other[first], counts)
    once = tuple([slice(0, 1 if d in repeated else None) for d in range(a.ndim)])
    fold, scale = plan_reduce(reduction, a[once], dims), np.array(count, a.dtype)
    shape = tuple([a.shape[d] for d in range(a.ndim) if d not in dims])
    times = count > 1 and reduction.name == "sum"
    multiply = partial(elementwise, OPS["mul"]) if shape else plan_elementwise(OPS["mul"], scale, scale)

    def reduce_once(other: Array) -> Array:
        out = fold(other[once])
        if times:
            out = multiply(out, scale)
        return out if out.shape == shape else copy(np.broadcast_to(out, shape))

    return reduce_once


def run(fold: Fold, start: float | None, x: Array, dims: Shape) -> Array:
    """x folded over `dims`, which are removed; `start` if there is nothing to fold."""
    if not x.size:
        return full(tuple([x.shape[d] for d in range(x.ndim) if d not in dims]), start or 0, x.dtype)
    return fold.plans.find((x.dtype, x.shape, x.strides, dims), x, dims).run(x)


class _Pass(NamedTuple):
    """One pass over the data: a function that makes its output, its kernel, chunks and work, and what it folds."""

    make: Callable[[], Array]
    entry: Entry
    chunks: int
    work: int
    pieces: Pieces


class _Plan(NamedTuple):
    """The dimensions' order to copy to (None to fold the memory as it is), the passes, and how to transpose the result.

    `shape` is that of the result; it is used if there is nothing to fold.
    """

    order: Shape | None
    passes: tuple[_Pass, ...]
    back: Shape | None
    shape: Shape

    def run(self, x: Array) -> Array:
        """The result for an array of the shape, strides and dtype of this plan."""
        order, passes, back, shape = self
        if not passes:
            return copy(x.reshape(shape))
        if order is not None:
            x = in_order(x.transpose(order))
        for make, entry, chunks, work, pieces in passes:
            out = make()
            entry(chunks, work, (x, out, pieces))
            x = out
        return x if back is None else x.transpose(back)


def _plan(kernel: Kernel, x: Array, dims: Shape) -> _Plan:
    order, arranged, (a, k, b) = _as_akb(x, dims)
    kept = tuple([d for d in order if d not in dims])
    passes = []
    while k > 1 and x.size:
        # Short rows are first folded several at a time, as one long row, and then with one another.
        wide = _rows_at_a_time(k, b)
        length, rows = b * wide, k // wide
        piece = PIECE if length == 1 else PIECE_OF_ROWS
        pieces = -(-rows // piece)
        shape = tuple([x.shape[d] for d in kept]) if pieces * wide == 1 else (a * pieces * length,)
        group = max(1, CHUNK // (min(piece, rows) * min(length, COLUMNS)))
        chunks = -(-(a * pieces) // group) * -(-length // COLUMNS)
        of = Pieces(a, rows, length, piece, pieces, group)
        passes.append(_Pass(maker(shape, x.dtype), kernel[x.dtype], chunks, a * k * b, of))
        k = pieces * wide
    transpose = tuple([kept.index(d) for d in sorted(kept)])
    back = None if transpose == tuple(sorted(transpose)) else transpose
    return _Plan(order if arranged else None, tuple(passes), back, tuple([x.shape[d] for d in sorted(kept)]))


def _rows_at_a_time(k: int, b: int) -> int:
    wide = 1
    while k * b > CHUNK and 1 < b * wide < SHORT_ROW and k % (2 * wide) == 0 and k > 2 * wide:
        wide *= 2
    return wide


def _as_akb(x: Array, dims: Shape) -> tuple[Shape, bool, tuple[int, int, int]]:
    """The order of dimensions in which x is (a, k, b), whether x must be copied to it, and these extents."""
    order = tuple(sorted(range(x.ndim), key=lambda d: (-x.strides[d], d)))
    ordered = x.transpose(order)
    if ordered.flags.c_contiguous:
        reduced = [i for i, d in enumerate(order) if d in dims]
        first, last = reduced[0] if reduced else 0, reduced[-1] + 1 if reduced else 0
        if last - first == len(reduced):
            e = ordered.shape
            return order, False, (math.prod(e[:first]), math.prod(e[first:last]), math.prod(e[last:]))
    kept = [d for d in range(x.ndim) if d not in dims]
    k = math.prod([x.shape[d] for d in dims])
    return (*kept, *dims), True, (math.prod([x.shape[d] for d in kept]), k, 1)


@kernel(lambda T: (Memory(T), Memory(types.int64), types.intp, types.intp, types.boolean))
def _arg_extreme(a, x, out, k, b, largest):
    """The indices of the extremes of x[a] (k, b) along k."""
    for column in range(b):
        start = a * k * b + column
        best, index = load(x, start), 0
        for i in range(1, k):
            value = load(x, start + i * b)
            better = value > best if largest else value < best
            if (better or value != value) and best == best:
                best, index = value, i
        store(out, a * b + column, types.int64(index))


def arg_reduce(name: str, a: Array, dim: int) -> Array:
    """See Backend.arg_reduce."""
    outer, k, b = around(a.shape, dim)
    out = empty(a.shape[:dim] + a.shape[dim + 1 :], np.int64)
    if out.size:
        _arg_extreme[a.dtype](outer, a.size, (in_order(a).reshape(-1), out.reshape(-1), k, b, name == "max"))
    return out
