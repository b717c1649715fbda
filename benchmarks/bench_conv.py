"""Convolutions in one and two dimensions."""

from __future__ import annotations

from functools import partial
from typing import Any

from stackgrad import nn
from stackgrad.tensor import grad

from ._operands import normal
from ._shapes import CONVS
from ._suite import BACKENDS, Work, precompiled, timed
from ._values import extent

setup_cache = precompiled(__name__)


def _work(direction: str, shape: str, dtype: str, backend: str) -> Work:
    conv = CONVS[shape]
    x, weight, bias = (
        normal(*extents, dtype=dtype, backend=backend, seed=i, requires_grad=True)
        for i, extents in enumerate((conv.x, conv.weight, (conv.out,)))
    )
    function = nn.conv1d if len(conv.size) == 1 else nn.conv2d
    if direction == "forward":
        return partial(function, x.detach(), weight.detach(), bias.detach(), padding=conv.padding)
    g = normal(*conv.result, dtype=dtype, backend=backend, seed=3)
    wanted = (weight, bias) if direction == "weight" else (x, weight, bias)
    source = x.detach() if direction == "weight" else x
    return lambda: grad(function(source, weight, bias, padding=conv.padding), wanted, g)


@timed(direction=("forward", "backward"), shape=[*CONVS], backend=BACKENDS)
def time_float32(direction: str, shape: str, backend: str) -> Work:
    """Forward; or forward and the gradients of input, weight and bias."""
    return _work(direction, shape, "float32", backend)


@timed(shape=[*CONVS])
def time_first_layer(shape: str) -> Work:
    """Forward and the gradients of weight and bias alone, on cpu."""
    return _work("weight", shape, "float32", "cpu")


@timed(direction=("forward", "backward"), shape=[*CONVS])
def time_float64(direction: str, shape: str) -> Work:
    """In float64, on cpu."""
    return _work(direction, shape, "float64", "cpu")


@timed(case=("stride 2", "dilation 2", "groups 4"), direction=("forward", "backward"), backend=BACKENDS)
def time_variants(case: str, direction: str, backend: str) -> Work:
    """16x32x28x28 to 32, 3x3 pad 1, off the usual path."""
    name, number = case.split()
    options: dict[str, Any] = {name: int(number), "padding": 1}
    channels = 8 if name == "groups" else 32
    x = normal(extent(16, counted=1), 32, 28, 28, backend=backend, requires_grad=True)
    weight = normal(32, channels, 3, 3, backend=backend, seed=1, requires_grad=True)
    if direction == "forward":
        return partial(nn.conv2d, x.detach(), weight.detach(), **options)
    g = normal(*nn.conv2d(x.detach(), weight.detach(), **options).shape, backend=backend, seed=2)
    return lambda: grad(nn.conv2d(x, weight, **options), (x, weight), g)
