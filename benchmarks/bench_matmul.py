"""Matrix products and the linear layer."""

from __future__ import annotations

from functools import partial

from stackgrad.tensor import grad, linear

from ._operands import normal
from ._suite import BACKENDS, Work, precompiled, timed
from ._values import extent

setup_cache = precompiled(__name__)


@timed(size=(64, 128, 256, 512, 1024), dtype=("float32", "float64"), backend=BACKENDS)
def time_square(size: int, dtype: str, backend: str) -> Work:
    """Two square matrices."""
    a, b = (normal(size, size, dtype=dtype, backend=backend, seed=i) for i in (0, 1))
    return partial(a.matmul, b)


@timed(backend=BACKENDS)
def time_transposed(backend: str) -> Work:
    """512 square, both operands transposed views, float32."""
    size = extent(512, counted=128)
    a, b = (normal(size, size, backend=backend, seed=i).T for i in (0, 1))
    return partial(a.matmul, b)


@timed(dtype=("float32", "float64"), backend=BACKENDS)
def time_batched(dtype: str, backend: str) -> Work:
    """64 products of 32x32."""
    a, b = (normal(extent(64, counted=16), 32, 32, dtype=dtype, backend=backend, seed=i) for i in (0, 1))
    return partial(a.matmul, b)


@timed(direction=("forward", "backward"), backend=BACKENDS)
def time_linear(direction: str, backend: str) -> Work:
    """64x400 to 120; backward is forward and all gradients."""
    x, weight = (normal(n, 400, backend=backend, seed=n, requires_grad=True) for n in (64, 120))
    bias = normal(120, backend=backend, requires_grad=True)
    g = normal(64, 120, backend=backend)
    if direction == "forward":
        return partial(linear, x.detach(), weight.detach(), bias.detach())
    return lambda: grad(linear(x, weight, bias), (x, weight, bias), g)
