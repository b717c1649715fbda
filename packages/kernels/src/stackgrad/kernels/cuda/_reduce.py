"""Reductions.

The array is seen as (a, k, b), k the elements to be reduced and b what lies inside them in memory. k is cut into
pieces of fixed length, each piece is folded into one value, and the values again the same way until one is left. The
form of this tree depends on the shape alone, and so does the result, to the bit.

Where b is 1 and rows are long, a block of threads has a piece of PIECE elements:

    piece      |0 1 2 ... 255|256 ...    |512 ...    |        thread t folds elements t, t + LANES, t + 2 LANES, ...
    partial    |p0 p1 ... p127 | p128 ... p255|               in shared memory: the right half is folded into the
               |p0 ... p63 | p64 ... p127|                    left one until one value is left
               |out|

Otherwise a thread has a piece of a column, PIECE_OF_COLUMN elements which lie b apart; neighbouring threads have
neighbouring columns:

    row i      |t0 t1 t2 ... |
    row i + 1  |t0 t1 t2 ... |    each folds downwards
"""

from __future__ import annotations

import math
from typing import Any

from stackgrad.tensor import REDUCTIONS, Reduction

from ._array import DeviceArray, Shape, empty, in_c_order, permute
from ._copy import contiguous, copy, full
from ._driver import cuda
from ._kernel import BLOCK, Kernel, T, cover, either, int64, pointer
from ._layout import divide
from ._math import compile_scalar

LANES = either(256, simulated=8)  # threads of a block that folds a row
PIECE = either(8192, simulated=32)  # elements of a row, a multiple of LANES
PIECE_OF_COLUMN = either(64, simulated=5)
SHORT = either(64, simulated=8)  # rows up to this long are folded by one thread each


def _scalar(x, y, z):
    """Stand-in: the kernels below are compiled with the function of one reduction in its place."""
    return x


def _fold_rows(x, out, k, pieces):
    """Piece p of row r of x (a, k) into out (a, pieces); block number r * pieces + p."""
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


def _fold_columns(x, out, k, b, pieces, n):
    """Pieces of the columns of x (a, k, b) into out (a, pieces, b), which has n elements."""
    i = cuda.grid(1)
    while i < n:
        block = divide(i, b)
        column = i - block * b
        outer = divide(block, pieces)
        start = (block - outer * pieces) * PIECE_OF_COLUMN
        count = min(PIECE_OF_COLUMN, k - start)
        source = (outer * k + start) * b + column
        total = x[source]
        for _ in range(1, count):
            source += b
            value = x[source]
            total = T(_scalar(total, value, value))
        out[i] = total
        i += cuda.gridsize(1)


class FoldKernels:
    """The two kernels that fold by `scalar`, an associative, commutative function of two numbers (and one unused)."""

    def __init__(self, name: str, scalar: Any, dtypes: str = "bif", registered: bool = True) -> None:
        def rows(T: Any) -> tuple[Any, ...]:
            return pointer(T), pointer(T), int64, int64

        def columns(T: Any) -> tuple[Any, ...]:
            return pointer(T), pointer(T), int64, int64, int64, int64

        def bind(dtype: Any) -> dict[str, Any]:
            return {"_scalar": scalar}

        self.rows = Kernel(_fold_rows, rows, LANES, dtypes, f"{name}_fold_rows", registered, bind)
        self.columns = Kernel(_fold_columns, columns, BLOCK, dtypes, f"{name}_fold_columns", registered, bind)


_KERNELS = {
    name: FoldKernels(name, compile_scalar(row.scalar), "if" if row.start is not None else "bif")
    for name, row in REDUCTIONS.items()
}


def reduce(reduction: Reduction, a: DeviceArray, dims: Shape) -> DeviceArray:
    """See Backend.reduce."""
    return run(_KERNELS[reduction.name], reduction.start, a, dims)


def run(kernels: FoldKernels, start: float | None, x: DeviceArray, dims: Shape) -> DeviceArray:
    """x folded over `dims`, which are removed; `start` where there is nothing to fold."""
    if not x.size:
        shape = tuple([n for d, n in enumerate(x.shape) if d not in dims])
        return full(shape, 0 if start is None else start, x.dtype)
    x, order, (a, k, b) = _as_akb(x, dims)
    kept = [d for d in order if d not in dims]
    shape = tuple([n for n, d in zip(x.shape, order, strict=True) if d not in dims])
    out = copy(x) if k == 1 else x
    while k > 1:
        by_rows = b == 1 and k > SHORT
        pieces = -(-k // (PIECE if by_rows else PIECE_OF_COLUMN))
        out = empty((a * pieces * b,), x.dtype)
        if by_rows:
            kernels.rows[x.dtype](a * pieces, x, out, k, pieces)
        else:
            kernels.columns[x.dtype](cover(out.size), x, out, k, b, pieces, out.size)
        x, k = out, pieces
    return permute(out.view(shape, in_c_order(shape)), tuple([kept.index(d) for d in sorted(kept)]))


def _as_akb(x: DeviceArray, dims: Shape) -> tuple[DeviceArray, Shape, tuple[int, int, int]]:
    """x with its dimensions in an order in which it is (a, k, b), copied if need be; that order; and a, k and b."""
    order = tuple(sorted(range(x.ndim), key=lambda d: (-x.strides[d], d)))
    places = [i for i, d in enumerate(order) if d in dims]
    turned = permute(x, order)
    if not turned.is_contiguous or places[-1] - places[0] >= len(places):
        order = (*[d for d in range(x.ndim) if d not in dims], *dims)
        turned = copy(permute(x, order))
        places = list(range(x.ndim - len(dims), x.ndim))
    extents, first, last = turned.shape, places[0], places[-1] + 1
    return turned, order, (math.prod(extents[:first]), math.prod(extents[first:last]), math.prod(extents[last:]))


def middle(x: DeviceArray, dim: int) -> tuple[DeviceArray, tuple[int, int, int]]:
    """x in C order, and (a, k, b) around `dim`."""
    return contiguous(x), (math.prod(x.shape[:dim]), x.shape[dim], math.prod(x.shape[dim + 1 :]))
