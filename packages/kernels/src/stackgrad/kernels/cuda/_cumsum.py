"""Running sums along a dimension: x is seen as (a, k, b), k the elements along it.

The k elements of each column are cut into pieces of fixed length, one thread a piece:

    column     |----piece----|----piece----|--|
    sums       |o|o|o|  the sum of each piece; their running sums, in the same way; each piece from there on
"""

from __future__ import annotations

from .._index import around
from ._array import DeviceArray, empty
from ._copy import contiguous
from ._driver import cuda
from ._kernel import T, cover, either, int64, kernel, pointer
from ._strides import divide

PIECE = either(64, simulated=5)


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
    x, (outer, k, b) = contiguous(a), around(a.shape, dim)
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
