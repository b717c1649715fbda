"""Reductions.

The array is viewed as (a, k, b): k is the extent to reduce, and b the extent inside it in memory. Dimensions with
others between them, as in the sum over batch and pixels of each channel, are reduced one after the other, innermost
first. k is cut into pieces of fixed length. Each piece is folded into one value, and the values are folded again the
same way until one is left. The form of this tree depends on the shape and the strides alone, and so do the bits of the
result.

If b is 1 and rows are long, a block of threads has a piece of PIECE elements:

    piece      |0 1 2 ... 255|256 ...    |512 ...    |        thread t folds elements t, t + LANES, t + 2 LANES, ...
    partial    |p0 p1 ... p127 | p128 ... p255|               in shared memory: the right half is folded into the
               |p0 ... p63 | p64 ... p127|                    left one until one value is left
               |out|

Otherwise a thread has a piece of a column: PIECE_OF_COLUMN elements with stride b. Adjacent threads have adjacent
columns:

    row i      |t0 t1 t2 ... |
    row i + 1  |t0 t1 t2 ... |    each folds downwards
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from stackgrad.tensor import REDUCTIONS, Reduction
from stackgrad.tensor._plans import Plans
from stackgrad.tensor._shape import strides_in_order
from stackgrad.tensor._types import Shape

from .._index import around
from ._array import DeviceArray, empty
from ._copy import contiguous, copy, full
from ._driver import cuda, inlined
from ._kernel import BLOCK, Kernel, Launch, T, cover, either, int64, kernel, named, pointer
from ._math import compile_scalar
from ._strides import divide

_INT64 = np.dtype("int64")
LANES = either(256, simulated=8)  # threads of a block that folds a row
PIECE = either(8192, simulated=32)  # elements of a row, a multiple of LANES
PIECE_OF_COLUMN = either(64, simulated=5)
SHORT = either(64, simulated=8)  # rows up to this long are folded by one thread each


def _scalar(x, y, z):
    """Placeholder: the kernels below are compiled with the function of one reduction instead."""
    return x


def _fold_rows(x, out, k, pieces):
    """Fold piece p of row r of x (a, k) into out (a, pieces), in block r * pieces + p."""
    partial = cuda.shared.array(LANES, T)
    at = cuda.blockIdx.x
    row = divide(at, pieces)
    start = (at - row * pieces) * PIECE
    count = min(PIECE, k - start)
    lane = cuda.threadIdx.x
    i = row * k + start + lane
    end = row * k + start + count
    if lane < count:
        total = x[i]
        i += LANES
        while i < end:
            value = x[i]
            total = T(_scalar(total, value, value))
            i += LANES
        partial[lane] = total
    live = min(LANES, count)
    half = LANES // 2
    while half > 0:
        cuda.syncthreads()
        if lane < half and lane + half < live:
            value = partial[lane + half]
            partial[lane] = _scalar(partial[lane], value, value)
        half //= 2
    if lane == 0:
        out[at] = partial[0]


class Columns(NamedTuple):
    """The columns of x (a, k, b): k elements each, b adjacent columns, and `pieces` pieces of each."""

    k: Any
    b: Any
    pieces: Any


@inlined
def piece_of(i, columns):
    """The piece whose result is element i of (a, pieces, b): its outer index, its index in the column, its column."""
    block = divide(i, columns.b)
    outer = divide(block, columns.pieces)
    return outer, block - outer * columns.pieces, i - block * columns.b


def _fold_columns(x, out, columns, n):
    """Fold pieces of the columns of x (a, k, b) into out (a, pieces, b), which has n elements."""
    i = cuda.grid(1)
    while i < n:
        outer, piece, column = piece_of(i, columns)
        start = piece * PIECE_OF_COLUMN
        source = (outer * columns.k + start) * columns.b + column
        total = x[source]
        for _ in range(1, min(PIECE_OF_COLUMN, columns.k - start)):
            source += columns.b
            value = x[source]
            total = T(_scalar(total, value, value))
        out[i] = total
        i += cuda.gridsize(1)


class FoldKernels:
    """The two kernels that fold by `scalar`, an associative, commutative function of two scalars (and one unused)."""

    def __init__(self, name: str, scalar: Any, dtypes: str = "bif", registered: bool = True) -> None:
        def rows(T: Any) -> tuple[Any, ...]:
            return pointer(T), pointer(T), int64, int64

        def columns(T: Any) -> tuple[Any, ...]:
            return pointer(T), pointer(T), named(Columns), int64

        def bind(dtype: Any) -> dict[str, Any]:
            return {"_scalar": scalar}

        self.rows = Kernel(_fold_rows, rows, LANES, dtypes, f"{name}_fold_rows", registered, bind)
        self.columns = Kernel(_fold_columns, columns, BLOCK, dtypes, f"{name}_fold_columns", registered, bind)
        self.plans: Plans[_Plan] = Plans(_plan)


def plan_reduce(reduction: Reduction, a: DeviceArray, dims: Shape) -> Callable[[DeviceArray], DeviceArray]:
    """See Backend.plan_reduce."""
    kernels = _KERNELS[reduction.name]
    if not a.size:
        return lambda other: run(kernels, reduction.start, other, dims)
    return _find(kernels, a, dims).run


def reduce(reduction: Reduction, a: DeviceArray, dims: Shape) -> DeviceArray:
    """See Backend.reduce."""
    return run(_KERNELS[reduction.name], reduction.start, a, dims)


def run(kernels: FoldKernels, start: float | None, x: DeviceArray, dims: Shape) -> DeviceArray:
    """x folded over `dims`, which are removed; `start` if there is nothing to fold."""
    if not x.size:
        return full(tuple([n for d, n in enumerate(x.shape) if d not in dims]), 0 if start is None else start, x.dtype)
    return _find(kernels, x, dims).run(x)


def _find(kernels: FoldKernels, x: DeviceArray, dims: Shape) -> _Plan:
    return kernels.plans.find((x.dtype, x.shape, x.strides, dims), kernels, x, dims)


class _Pass(NamedTuple):
    """One pass over the data: a function that makes its output, its kernel, and the arguments of the launch."""

    make: Callable[[], DeviceArray]
    launch: Launch
    grid: int
    extents: tuple[Any, ...]


class _Plan(NamedTuple):
    """The order to copy dimensions longer than 1 to (None for no copy), the passes, and the result's layout."""

    order: Shape | None
    passes: tuple[_Pass, ...]
    shape: Shape
    strides: Shape

    def run(self, x: DeviceArray) -> DeviceArray:
        """The result for an array of the shape and strides of this plan."""
        order, passes, shape, strides = self
        if order is not None:
            x = copy(_in_order(x, order))
        for make, launch, grid, extents in passes:
            out = make()
            launch(grid, x, out, *extents)
            x = out
        return x.view(shape, strides)


def _in_order(x: DeviceArray, order: Shape) -> DeviceArray:
    return x.view(tuple([x.shape[d] for d in order]), tuple([x.strides[d] for d in order]))


def _plan(kernels: FoldKernels, x: DeviceArray, dims: Shape) -> _Plan:
    long = [d for d, n in enumerate(x.shape) if n != 1]
    folded = [d for d in dims if d in long]
    order = tuple(sorted(long, key=lambda d: (-x.strides[d], d)))
    copied = not folded or not _in_order(x, order).is_contiguous
    if copied:
        order = (*[d for d in long if d not in folded], *folded)
    left = order
    passes: list[_Pass] = []
    while any(d in folded for d in left):  # innermost in memory first
        end = max(left.index(d) for d in folded if d in left) + 1
        begin = end
        while begin > 0 and left[begin - 1] in folded:
            begin -= 1
        a, k, b = [math.prod([x.shape[d] for d in part]) for part in (left[:begin], left[begin:end], left[end:])]
        passes += _passes(kernels, x.dtype, a, k, b)
        left = left[:begin] + left[end:]
    steps = dict(zip(left, strides_in_order(tuple([x.shape[d] for d in left])), strict=True))
    kept = [d for d in range(x.ndim) if d not in dims]
    shape, strides = tuple([x.shape[d] for d in kept]), tuple([steps.get(d, 0) for d in kept])
    return _Plan(order if copied else None, tuple(passes), shape, strides)


def _passes(kernels: FoldKernels, dtype: np.dtype[Any], a: int, k: int, b: int) -> Iterator[_Pass]:
    """The passes that fold (a, k, b) over k, piece by piece."""
    while k > 1:
        by_rows = b == 1 and k > SHORT
        pieces = -(-k // (PIECE if by_rows else PIECE_OF_COLUMN))
        size = a * pieces * b
        make = partial(empty, (size,), dtype)
        if by_rows:
            yield _Pass(make, kernels.rows[dtype], size, (k, pieces))
        else:
            yield _Pass(make, kernels.columns[dtype], cover(size), (Columns(k, b, pieces), size))
        k = pieces


_KERNELS = {
    name: FoldKernels(name, compile_scalar(row.scalar), "if" if row.start is not None else "bif")
    for name, row in REDUCTIONS.items()
}


# --- the index of extremes


@kernel(lambda T: (pointer(T), pointer(int64), pointer(int64), named(Columns), int64, int64, int64), dtypes="bif")
def _extreme(x, indices, out, columns, count, largest, n):
    """The index of the extreme among each piece of `count` indices in columns of x (a, k, b): out (a, pieces, b).

    In the first pass the indices are 0 .. k - 1, and `indices` is not read.
    """
    k, b = columns.k, columns.b
    i = cuda.grid(1)
    while i < n:
        outer, piece, column = piece_of(i, columns)
        start = piece * PIECE_OF_COLUMN
        best_index = start if count == k else indices[(outer * count + start) * b + column]
        best = x[(outer * k + best_index) * b + column]
        for j in range(start + 1, min(start + PIECE_OF_COLUMN, count)):
            index = j if count == k else indices[(outer * count + j) * b + column]
            value = x[(outer * k + index) * b + column]
            better = value > best if largest else value < best
            if (better or value != value) and best == best:
                best = value
                best_index = index
        out[i] = best_index
        i += cuda.gridsize(1)


def arg_reduce(name: str, a: DeviceArray, dim: int) -> DeviceArray:
    """See Backend.arg_reduce."""
    x, (outer, k, b) = contiguous(a), around(a.shape, dim)
    out = empty(a.shape[:dim] + a.shape[dim + 1 :], _INT64)
    indices, count, pieces = out, k, 2
    while out.size and pieces > 1:
        pieces = -(-count // PIECE_OF_COLUMN)
        found = out if pieces == 1 else empty((outer * pieces * b,), _INT64)
        n = outer * pieces * b
        _extreme[a.dtype](cover(n), x, indices, found, Columns(k, b, pieces), count, int(name == "max"), n)
        indices, count = found, pieces
    return out
