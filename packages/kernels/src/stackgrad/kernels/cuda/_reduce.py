"""Reductions.

The array is seen as (a, k, b), k the elements to be reduced and b what lies inside them in memory. Dimensions that
others part, as in the sum over batch and pixels of each channel, are reduced one after the other, the innermost first.
k is cut into pieces of fixed length, each piece is folded into one value, and the values again the same way until one
is left. The form of this tree depends on the shape and the strides alone, and so does the result, to the bit.

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
from typing import Any, NamedTuple

import numpy as np

from stackgrad.tensor import REDUCTIONS, Reduction
from stackgrad.tensor._shape import strides_in_order

from .._index import around
from ._array import DeviceArray, Shape, empty, permute
from ._copy import contiguous, copy, full
from ._driver import cuda, inlined
from ._kernel import BLOCK, Kernel, T, cover, either, int64, kernel, named, pointer
from ._math import compile_scalar
from ._strides import divide

_INT64 = np.dtype("int64")
LANES = either(256, simulated=8)  # threads of a block that folds a row
PIECE = either(8192, simulated=32)  # elements of a row, a multiple of LANES
PIECE_OF_COLUMN = either(64, simulated=5)
SHORT = either(64, simulated=8)  # rows up to this long are folded by one thread each


def _scalar(x, y, z):
    """Stand-in: the kernels below are compiled with the function of one reduction in its place."""
    return x


def _fold_rows(x, out, k, pieces):
    """Piece p of row r of x (a, k) into out (a, pieces); block r * pieces + p."""
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
    """How x (a, k, b) has columns of k elements, b of them side by side, each of so many pieces."""

    k: Any
    b: Any
    pieces: Any


@inlined
def piece_of(i, columns):
    """The piece whose result is element i of (a, pieces, b): its outer index, its index there, and its column."""
    block = divide(i, columns.b)
    outer = divide(block, columns.pieces)
    return outer, block - outer * columns.pieces, i - block * columns.b


def _fold_columns(x, out, columns, n):
    """Pieces of the columns of x (a, k, b) into out (a, pieces, b), which has n elements."""
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
            return pointer(T), pointer(T), named(Columns, int64), int64

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
    shape = tuple([n for d, n in enumerate(x.shape) if d not in dims])
    if not x.size:
        return full(shape, 0 if start is None else start, x.dtype)
    long = [d for d, n in enumerate(x.shape) if n != 1]
    squeezed = x.view(tuple([x.shape[d] for d in long]), tuple([x.strides[d] for d in long]))
    out = _fold(kernels, squeezed, tuple([long.index(d) for d in dims if d in long]))
    steps = iter(out.strides)
    return out.view(shape, tuple([0 if n == 1 else next(steps) for n in shape]))


def _fold(kernels: FoldKernels, x: DeviceArray, dims: Shape) -> DeviceArray:
    """x, without dimensions of extent 1, folded over `dims`: over those first that are innermost in memory."""
    if not dims:
        return copy(x)
    order = tuple(sorted(range(x.ndim), key=lambda d: (-x.strides[d], d)))
    transposed = permute(x, order)
    if not transposed.is_contiguous:
        order = (*[d for d in range(x.ndim) if d not in dims], *dims)
        transposed = copy(permute(x, order))
    end = max(order.index(d) for d in dims) + 1
    begin = end
    while begin > 0 and order[begin - 1] in dims:
        begin -= 1
    out = _fold_middle(kernels, transposed, begin, end)
    left = order[:begin] + order[end:]
    kept = sorted(left)
    rest = tuple([kept.index(d) for d in dims if d in left])
    out = permute(out, tuple([left.index(d) for d in kept]))
    return _fold(kernels, out, rest) if rest else out


def _fold_middle(kernels: FoldKernels, x: DeviceArray, begin: int, end: int) -> DeviceArray:
    """x, in C order, folded over the dimensions from `begin` to `end`."""
    a, k, b = math.prod(x.shape[:begin]), math.prod(x.shape[begin:end]), math.prod(x.shape[end:])
    shape = x.shape[:begin] + x.shape[end:]
    while k > 1:
        by_rows = b == 1 and k > SHORT
        pieces = -(-k // (PIECE if by_rows else PIECE_OF_COLUMN))
        out = empty((a * pieces * b,), x.dtype)
        if by_rows:
            kernels.rows[x.dtype](a * pieces, x, out, k, pieces)
        else:
            kernels.columns[x.dtype](cover(out.size), x, out, Columns(k, b, pieces), out.size)
        x, k = out, pieces
    return x.view(shape, strides_in_order(shape))


# --- the index of extremes


@kernel(
    lambda T: (pointer(T), pointer(int64), pointer(int64), named(Columns, int64), int64, int64, int64), dtypes="bif"
)
def _extreme(x, indices, out, columns, count, largest, n):
    """For each piece of `count` indices in columns of x (a, k, b), that of the extreme: out (a, pieces, b).

    At first the indices are 0 .. k - 1, and `indices` is not read.
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
