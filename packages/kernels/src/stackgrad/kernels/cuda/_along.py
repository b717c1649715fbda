"""Places of extremes, and running sums, along a dimension: x is seen as (a, k, b), k the elements along it.

Both cut the k elements of each column into pieces of fixed length, one thread a piece:

    column     |----piece----|----piece----|--|
    places     |o|o|o|  the place of each piece's extreme; then the same of those places, until one is left
    sums       |o|o|o|  the sum of each piece; their running sums, in the same way; each piece from there on
"""

from __future__ import annotations

import numpy as np

from ._array import DeviceArray, empty
from ._driver import cuda
from ._kernel import T, cover, either, int64, kernel, pointer
from ._reduce import middle
from ._strides import divide

PIECE = either(64, simulated=5)


def _places_arguments(T):
    return pointer(T), pointer(int64), pointer(int64), int64, int64, int64, int64, int64, int64


@kernel(_places_arguments, dtypes="bif")
def _extreme(x, places, out, k, count, b, pieces, n, largest):
    """For each piece of `count` places in columns of x (a, k, b), the place of the extreme: out (a, pieces, b).

    Places are numbers in 0 .. k - 1. At first they are all of these, and `places` is not read.
    """
    i = cuda.grid(1)
    while i < n:
        block = divide(i, b)
        column = i - block * b
        outer = divide(block, pieces)
        start = (block - outer * pieces) * PIECE
        best_place = start if count == k else places[(outer * count + start) * b + column]
        best = x[(outer * k + best_place) * b + column]
        for j in range(start + 1, min(start + PIECE, count)):
            place = j if count == k else places[(outer * count + j) * b + column]
            value = x[(outer * k + place) * b + column]
            better = value > best if largest else value < best
            if (better or value != value) and best == best:
                best = value
                best_place = place
        out[i] = best_place
        i += cuda.gridsize(1)


def arg_reduce(name: str, a: DeviceArray, dim: int) -> DeviceArray:
    """See Backend.arg_reduce."""
    x, (outer, k, b) = middle(a, dim)
    shape = a.shape[:dim] + a.shape[dim + 1 :]
    out = empty(shape, np.dtype("int64"))
    places, count = out, k
    while out.size:
        pieces = -(-count // PIECE)
        found = out if pieces == 1 else empty((outer * pieces * b,), np.dtype("int64"))
        n = outer * pieces * b
        _extreme[a.dtype](cover(n), x, places, found, k, count, b, pieces, n, int(name == "max"))
        places, count = found, pieces
        if pieces == 1:
            break
    return out


def _sums_arguments(T):
    return pointer(T), pointer(T), int64, int64, int64, int64


@kernel(_sums_arguments, dtypes="if")
def _piece_sums(x, out, k, b, pieces, n):
    """The sums of pieces of columns of x (a, k, b): out (a, pieces, b)."""
    i = cuda.grid(1)
    while i < n:
        block = divide(i, b)
        outer = divide(block, pieces)
        start = (block - outer * pieces) * PIECE
        source = (outer * k + start) * b + i - block * b
        total = T(0)
        for _ in range(min(PIECE, k - start)):
            total += x[source]
            source += b
        out[i] = total
        i += cuda.gridsize(1)


@kernel(lambda T: (pointer(T), *_sums_arguments(T)), dtypes="if")
def _running_sums(x, sums, out, k, b, pieces, n):
    """The running sums of columns of x (a, k, b); sums (a, pieces, b) are those at the end of each piece."""
    i = cuda.grid(1)
    while i < n:
        block = divide(i, b)
        outer = divide(block, pieces)
        piece = block - outer * pieces
        start = piece * PIECE
        source = (outer * k + start) * b + i - block * b
        total = sums[i - b] if piece > 0 else T(0)
        for _ in range(min(PIECE, k - start)):
            total += x[source]
            out[source] = total
            source += b
        i += cuda.gridsize(1)


def cumsum(a: DeviceArray, dim: int) -> DeviceArray:
    """See Backend.cumsum."""
    x, (outer, k, b) = middle(a, dim)
    out = empty(a.shape, a.dtype)
    if out.size:
        _cumsum(x, out, outer, k, b)
    return out


def _cumsum(x: DeviceArray, out: DeviceArray, outer: int, k: int, b: int) -> None:
    """The running sums of x (outer, k, b) along k."""
    pieces = -(-k // PIECE)
    n = outer * pieces * b
    sums = x
    if pieces > 1:
        sums = empty((outer, pieces, b), x.dtype)
        _piece_sums[x.dtype](cover(n), x, sums, k, b, pieces, n)
        before = empty(sums.shape, x.dtype)
        _cumsum(sums, before, outer, pieces, b)
        sums = before
    _running_sums[x.dtype](cover(n), x, sums, out, k, b, pieces, n)
