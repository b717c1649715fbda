"""Reductions of the op table, arg-reductions and cumulative sums."""

from __future__ import annotations

from functools import partial

from stackgrad.tensor import REDUCTIONS

from ._operands import laid_out, normal
from ._suite import BACKENDS, Work, precompiled, timed
from ._values import LAYOUTS, SHAPES, SIZES

setup_cache = precompiled(__name__)


@timed(op=[*REDUCTIONS, "argmax"], layout=LAYOUTS, size=SIZES, backend=BACKENDS)
def time_all(op: str, layout: str, size: str, backend: str) -> Work:
    """Of all elements, float32."""
    work: Work = getattr(laid_out(layout, size, backend), op)
    return work


@timed(op=[*REDUCTIONS, "argmax", "cumsum"], dim=(0, 1), layout=LAYOUTS, backend=BACKENDS)
def time_dim(op: str, dim: int, layout: str, backend: str) -> Work:
    """Along one dimension of 1e6 elements, float32."""
    return partial(getattr(laid_out(layout, "1e6", backend), op), dim)


@timed(op=[*REDUCTIONS], dtype=("float64", "int64"), backend=BACKENDS)
def time_dtype(op: str, dtype: str, backend: str) -> Work:
    """Of 1e6 elements of other dtypes."""
    work: Work = getattr(normal(*SHAPES["1e6"], dtype=dtype, backend=backend), op)
    return work
