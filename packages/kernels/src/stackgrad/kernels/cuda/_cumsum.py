"""Running sums along a dimension: x is viewed as (a, k, b), where k is the extent of that dimension.

The k elements of each column are cut into pieces of fixed length, one thread per piece:

    column     |----piece----|----piece----|--|
    sums       |o|o|o|  the sum of each piece; their running sums, likewise; then those inside each piece
"""

from __future__ import annotations

from .._index import around
from ._array import DeviceArray, empty
from ._copy import contiguous
from ._driver import cuda
from ._kernel import T, cover, either, int64, kernel, named, pointer
from ._reduce import Columns, piece_of

PIECE = either(64, simulated=5)


@kernel(lambda T: (pointer(T), pointer(T), named(Columns), int64), dtypes="if")
def _piece_sums(x, out, columns, n):
    """Sums of the pieces of columns of x (a, k, b): out (a, pieces, b)."""
    i = cuda.grid(1)
    while i < n:
        outer, piece, column = piece_of(i, columns)
        start = piece * PIECE
        source = (outer * columns.k + start) * columns.b + column
        total = T(0)
        for _ in range(min(PIECE, columns.k - start)):
            total += x[source]
            source += columns.b
        out[i] = total
        i += cuda.gridsize(1)


@kernel(lambda T: (pointer(T), pointer(T), pointer(T), named(Columns), int64), dtypes="if")
def _running_sums(x, sums, out, columns, n):
    """Running sums of columns of x (a, k, b); sums (a, pieces, b) are those at the end of each piece."""
    i = cuda.grid(1)
    while i < n:
        outer, piece, column = piece_of(i, columns)
        start = piece * PIECE
        source = (outer * columns.k + start) * columns.b + column
        total = sums[i - columns.b] if piece > 0 else T(0)
        for _ in range(min(PIECE, columns.k - start)):
            total += x[source]
            out[source] = total
            source += columns.b
        i += cuda.gridsize(1)


def cumsum(a: DeviceArray, dim: int) -> DeviceArray:
    """See Backend.cumsum."""
    out = empty(a.shape, a.dtype)
    if out.size:
        _cumsum(contiguous(a), out, *around(a.shape, dim))
    return out


def _cumsum(x: DeviceArray, out: DeviceArray, outer: int, k: int, b: int) -> None:
    """Write the running sums of x (outer, k, b) along k to `out`."""
    pieces = -(-k // PIECE)
    columns, n = Columns(k, b, pieces), outer * pieces * b
    sums = x
    if pieces > 1:
        of_pieces, sums = empty((outer, pieces, b), x.dtype), empty((outer, pieces, b), x.dtype)
        _piece_sums[x.dtype](cover(n), x, of_pieces, columns, n)
        _cumsum(of_pieces, sums, outer, pieces, b)
    _running_sums[x.dtype](cover(n), x, sums, out, columns, n)
