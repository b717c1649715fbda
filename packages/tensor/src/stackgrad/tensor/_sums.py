"""Accurate sums on the host, for the reference backend: their error hardly grows with their length.

float32 is summed in float64 and rounded once. NumPy sums pairwise, so the error of a sum of n values grows with log n
(N. Higham, "The accuracy of floating point summation", SIAM Journal on Scientific Computing 14, 1993), but only along
contiguous elements: so operands are made contiguous first. Running sums and products cannot be pairwise; they keep the
exact rounding error of each operation and sum these errors (T. Ogita, S. Rump and S. Oishi, "Accurate sum and dot
product", SIAM Journal on Scientific Computing 26, 2005).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ._types import HostArray as Array
from ._types import Shape

PIECE = 4096
"""The count of products that `matmul` leaves to BLAS to sum, in any order."""


def total(a: Array, dims: Shape) -> Array:
    """The sum over `dims`, which are removed."""
    return np.asarray(np.add.reduce(_last(a, dims), axis=-1).astype(a.dtype))


def running(a: Array, dim: int) -> Array:
    """Running sums along `dim`."""
    wide = np.moveaxis(a, dim, -1).astype(np.float64)
    sums = np.cumsum(wide, axis=-1)
    before = np.zeros_like(sums)
    before[..., 1:] = sums[..., :-1]
    lost = _lost(before, wide, sums)
    return np.moveaxis((sums + np.cumsum(lost, axis=-1)).astype(a.dtype), -1, dim)


def product(a: Array, dims: Shape) -> Array:
    """The product over `dims`, which are removed: adjacent pairs are multiplied until one value is left.

    Mantissas and exponents are separate, so nothing overflows midway, and each mantissa carries its rounding error.
    """
    mantissa, exponent = np.frexp(_last(a, dims))
    exponent, low = exponent.astype(np.int64), np.zeros_like(mantissa)
    while mantissa.shape[-1] > 1:
        if mantissa.shape[-1] % 2:
            one = [(0, 0)] * (mantissa.ndim - 1) + [(0, 1)]
            mantissa = np.pad(mantissa, one, constant_values=1)
            low, exponent = np.pad(low, one), np.pad(exponent, one)
        x, y = mantissa[..., ::2], mantissa[..., 1::2]
        new = x * y
        low = _finite(_rounding(x, y, new) + (x * low[..., 1::2] + y * low[..., ::2]))
        mantissa, shift = np.frexp(new)
        low = np.ldexp(low, -shift)
        exponent = exponent[..., ::2] + exponent[..., 1::2] + shift
    if not mantissa.shape[-1]:
        return np.ones(mantissa.shape[:-1], a.dtype)
    exponent = np.clip(exponent, -5000, 5000).astype(np.int32)  # beyond the range of float64
    return np.asarray(np.ldexp(mantissa + low, exponent)[..., 0].astype(a.dtype))


def by_row(g: Array, index: NDArray[np.int64], rows: int) -> Array:
    """Zeros (rows, k) with each row g[i] of g (m, k) added to row index[i]."""
    out = np.zeros((rows, g.shape[1]), g.dtype)
    order = np.argsort(index, kind="stable")
    starts = np.flatnonzero(np.diff(index[order], prepend=-1))
    if starts.size:
        columns = np.ascontiguousarray(g[order].T, np.float64 if g.dtype.kind == "f" else g.dtype)
        out[index[order[starts]]] = np.add.reduceat(columns, starts, axis=1).T
    return out


def matmul(a: Array, b: Array) -> Array:
    """(*batch, n, k) times (*batch, k, m): k is split into pieces, whose results are summed as in `total`."""
    starts = range(0, a.shape[-1], PIECE)
    if len(starts) < 2:
        return np.asarray(np.matmul(a, b))
    return total(np.stack([np.matmul(a[..., i : i + PIECE], b[..., i : i + PIECE, :]) for i in starts]), (0,))


def tensordot(a: Array, b: Array, a_dims: Sequence[int], b_dims: Sequence[int]) -> Array:
    """np.tensordot by `matmul`; the result has the remaining dimensions of `a`, then those of `b`."""
    rows = [d for d in range(a.ndim) if d not in a_dims]
    columns = [d for d in range(b.ndim) if d not in b_dims]
    n, m = ([x.shape[d] for d in dims] for x, dims in ((a, rows), (b, columns)))
    k = math.prod([a.shape[d] for d in a_dims])
    left = a.transpose(*rows, *a_dims).reshape(math.prod(n), k)
    return matmul(left, b.transpose(*b_dims, *columns).reshape(k, math.prod(m))).reshape(*n, *m)


def _last(a: Array, dims: Shape) -> Array:
    """`a` in float64 with `dims` merged into one, the last, in contiguous memory."""
    kept = [d for d in range(a.ndim) if d not in dims]
    laid = np.ascontiguousarray(a.transpose(*kept, *dims), np.float64)
    return laid.reshape(*[a.shape[d] for d in kept], math.prod([a.shape[d] for d in dims]))


def _finite(errors: Array) -> Array:
    """Rounding errors, with 0 for those of infinities and NaN."""
    return np.asarray(np.where(np.isfinite(errors), errors, 0))


def _lost(a: Array, b: Array, rounded: Array) -> Array:
    """The exact rounding error of a + b (D. Knuth, The Art of Computer Programming 2, 4.2.2)."""
    part = rounded - a
    return _finite((a - (rounded - part)) + (b - part))


def _rounding(x: Array, y: Array, rounded: Array) -> Array:
    """The exact rounding error of x * y, from halves of their digits (T. Dekker, Numerische Mathematik 18, 1971)."""
    (x_high, x_low), (y_high, y_low) = _split(x), _split(y)
    return np.asarray(((x_high * y_high - rounded) + x_high * y_low + x_low * y_high) + x_low * y_low)


def _split(x: Array) -> tuple[Array, Array]:
    large = x * 134217729.0  # 2**27 + 1
    high = large - (large - x)
    return high, x - high
