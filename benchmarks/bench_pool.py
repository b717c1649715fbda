"""Pooling, at a shape of the networks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from stackgrad import nn
from stackgrad.tensor import Tensor, grad

from ._operands import normal
from ._suite import BACKENDS, Work, precompiled, timed
from ._values import extent

POOLS: dict[str, Callable[..., Tensor]] = {"max": nn.max_pool2d, "avg": nn.avg_pool2d}
setup_cache = precompiled(__name__)


@timed(kind=[*POOLS], window=(2, 4), direction=("forward", "backward"), dtype=("float32", "float64"), backend=BACKENDS)
def time_pool(kind: str, window: int, direction: str, dtype: str, backend: str) -> Work:
    """64x8x28x28; backward is forward and the gradient of the input."""
    pool = POOLS[kind]
    batch = extent(64, counted=4)
    x = normal(batch, 8, 28, 28, dtype=dtype, backend=backend, requires_grad=True)
    if direction == "forward":
        return partial(pool, x.detach(), window)
    g = normal(batch, 8, 28 // window, 28 // window, dtype=dtype, backend=backend)
    return lambda: grad(pool(x, window), x, g)
