"""Operations that move elements without computing: copies between layouts and dtypes, joins, sorts."""

from __future__ import annotations

from functools import partial

from stackgrad.tensor import cat, stack

from ._operands import laid_out, normal
from ._suite import BACKENDS, Work, precompiled, timed
from ._values import LAYOUTS, extent

setup_cache = precompiled(__name__)


@timed(layout=LAYOUTS, backend=BACKENDS)
def time_clone(layout: str, backend: str) -> Work:
    """1e6 float32, into C order."""
    return laid_out(layout, "1e6", backend).clone


@timed(to=("float64", "int64", "bool"), backend=BACKENDS)
def time_cast(to: str, backend: str) -> Work:
    """1e6 float32."""
    return partial(laid_out("contiguous", "1e6", backend).astype, to)


@timed(channels=("last", "first"), backend=BACKENDS)
def time_permute(channels: str, backend: str) -> Work:
    """64x16x28x28 between NCHW and channels last."""
    batch = extent(64, counted=4)
    if channels == "last":
        return normal(batch, 16, 28, 28, backend=backend).permute(0, 2, 3, 1).contiguous
    return normal(batch, 28, 28, 16, backend=backend).permute(0, 3, 1, 2).contiguous


@timed(how=("cat", "stack"), dim=(0, 1), backend=BACKENDS)
def time_join(how: str, dim: int, backend: str) -> Work:
    """Two of 1e6 float32."""
    parts = [laid_out("contiguous", "1e6", backend, seed) for seed in (0, 1)]
    return partial(cat if how == "cat" else stack, parts, dim)


@timed(op=("sort", "argsort"), dim=(0, 1), dtype=("float32", "int64"), backend=BACKENDS)
def time_sort(op: str, dim: int, dtype: str, backend: str) -> Work:
    """1e6 numbers along one dimension."""
    x = normal(*extent((1000, 1000), counted=(100, 100)), dtype=dtype, backend=backend)
    return partial(getattr(x, op), dim)
