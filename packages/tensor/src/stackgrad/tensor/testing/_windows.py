"""Cases of convolution and pooling, against plain loops where these are fast enough and NumPy in float64 elsewhere."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from .._backend import Backend
from .._conv import conv2d
from .._dtypes import float64
from .._pool import avg_pool2d, max_pool2d
from .._shape import Padding, Pair, Shape, Window
from .._tensor import Tensor
from . import loops
from ._arrays import REFERENCE, Data, Limits, Sample, draw_dtype, draw_sample, uniform
from ._case import Case, check_gradient
from ._compare import expect_close, expect_equal, sum_bound

_LOOPS = 20_000  # multiplications that plain loops may do for one example


@dataclass(frozen=True)
class Convolution:
    """The shapes and arguments of one convolution."""

    x: Shape
    weight: Shape
    window: Window
    groups: int

    @property
    def out(self) -> Shape:
        return (self.x[0], self.weight[0], *loops.output_size((self.x[2], self.x[3]), self.window))

    @property
    def in_loops(self) -> bool:
        return math.prod(self.out) * math.prod(self.weight[1:]) <= _LOOPS


def _draw_pair(data: Data, low: int, high: int) -> Pair:
    return data.draw(st.integers(low, high)), data.draw(st.integers(low, high))


def _draw_padding(data: Data, most: Pair) -> Padding:
    return _draw_pair(data, 0, most[0]), _draw_pair(data, 0, most[1])


def draw_convolution(data: Data, limits: Limits, least: int = 0) -> Convolution:
    """Any stride, padding (uneven), dilation and groups; large channels and images only where `limits` has room."""
    large = limits.size >= 10_000 and data.draw(st.booleans())
    groups = data.draw(st.sampled_from([1, 1, 1, 2, 3][: limits.extent + 2]))
    most = (24, 40, 30) if large else (2, 2, limits.extent + 1)
    extent = st.integers(least, max(most[0], least))
    c, o = groups * data.draw(extent), groups * data.draw(st.integers(least, max(most[1], least)))
    n = data.draw(st.integers(least, 3 if large else 2))
    kernel = _draw_pair(data, 1, min(5, limits.extent) if large else 3)
    window = Window(kernel, _draw_pair(data, 1, 3), _draw_padding(data, (2, 2)), _draw_pair(data, 1, 2))
    sizes = []
    for span, sides in zip(window.span, window.padding, strict=True):
        smallest = max(span - sum(sides), 1)
        sizes.append(data.draw(st.integers(smallest, max(most[2], smallest))))
    return Convolution((n, c, sizes[0], sizes[1]), (o, c // groups, *kernel), window, groups)


def _near(
    what: str,
    backend: Backend,
    found: Any,
    exact: NDArray[Any],
    terms: int,
    magnitude: NDArray[Any],
    dtype: np.dtype[Any],
) -> None:
    expect_close(what, backend, found, exact.astype(dtype), sum_bound(terms, magnitude, dtype))


def check_conv2d(backend: Backend, data: Data, limits: Limits) -> None:
    """The convolution and its two gradients, each within `sum_bound` of plain loops, for operands of any layout."""
    dtype, shape = draw_dtype(data), draw_convolution(data, limits)
    window, groups = shape.window, shape.groups
    x, weight, g, bias = (
        draw_sample(data, drawn, uniform(dtype)) for drawn in (shape.x, shape.weight, shape.out, shape.weight[:1])
    )
    with_bias = data.draw(st.booleans())
    wide_x, wide_w, wide_g, wide_b = (sample.numpy().astype(float64) for sample in (x, weight, g, bias))
    size = (shape.x[2], shape.x[3])
    if shape.in_loops:
        out = loops.conv2d(wide_x, wide_w, wide_b if with_bias else None, window, groups)
        x_grad, weight_grad, _ = loops.conv2d_grads(wide_g, wide_x, wide_w, window, groups)
    else:
        out = REFERENCE.conv2d(wide_x, wide_w, wide_b if with_bias else None, window, groups)
        x_grad = REFERENCE.conv2d_input_grad(wide_g, wide_w, size, window, groups)
        weight_grad = REFERENCE.conv2d_weight_grad(wide_x, wide_g, window, groups)
    abs_x, abs_w, abs_g = np.abs(wide_x), np.abs(wide_w), np.abs(wide_g)
    what = f"{shape}, bias {with_bias}: "

    found = backend.conv2d(x.on(backend), weight.on(backend), bias.on(backend) if with_bias else None, window, groups)
    magnitude = REFERENCE.conv2d(abs_x, abs_w, np.abs(wide_b), window, groups)
    _near(what + "conv2d", backend, found, out, math.prod(shape.weight[1:]) + 1, magnitude, dtype)

    found = backend.conv2d_input_grad(g.on(backend), weight.on(backend), size, window, groups)
    magnitude = REFERENCE.conv2d_input_grad(abs_g, abs_w, size, window, groups)
    terms = shape.weight[0] * math.prod(window.kernel)
    _near(what + "input gradient", backend, found, x_grad, terms, magnitude, dtype)

    found = backend.conv2d_weight_grad(x.on(backend), g.on(backend), window, groups)
    magnitude = REFERENCE.conv2d_weight_grad(abs_x, abs_g, window, groups)
    terms = shape.out[0] * shape.out[2] * shape.out[3]
    _near(what + "weight gradient", backend, found, weight_grad, terms, magnitude, dtype)


def check_conv2d_gradient(order: int, backend: Backend, data: Data, limits: Limits) -> None:
    """Derivatives of the differentiable function for x, weight and, where there is one, bias."""
    shape = draw_convolution(data, Limits(min(limits.extent, 2), 0), least=1)
    shapes = [shape.x, shape.weight, shape.weight[:1]][: data.draw(st.integers(2, 3))]
    samples = [draw_sample(data, drawn, uniform(float64)) for drawn in shapes]
    window = shape.window

    def function(*leaves: Tensor) -> Tensor:
        operands = [sample.view(leaf) for sample, leaf in zip(samples, leaves, strict=True)]
        bias = operands[2] if len(operands) == 3 else None
        return conv2d(operands[0], operands[1], bias, window.stride, window.padding, window.dilation, shape.groups)

    check_gradient(function, [sample.leaf(backend) for sample in samples], order)


# --- pooling


def draw_pool(data: Data, limits: Limits, least: int = 0) -> tuple[Shape, Window]:
    """The shape of an image and a window with a padding of half the kernel at most."""
    kernel = _draw_pair(data, 1, min(limits.extent, 4))
    window = Window(kernel, _draw_pair(data, 1, 3), _draw_padding(data, (kernel[0] // 2, kernel[1] // 2)))
    sizes = []
    for span, sides in zip(window.span, window.padding, strict=True):
        smallest = max(span - sum(sides), 1)
        sizes.append(data.draw(st.integers(smallest, max(limits.extent + 2, smallest))))
    large = limits.size >= 10_000 and data.draw(st.booleans())
    extent = st.integers(least, 20 if large else 2)
    return (data.draw(extent), data.draw(extent), sizes[0], sizes[1]), window


def _few_levels(dtype: np.dtype[Any]) -> Callable[[np.random.Generator, Shape], NDArray[Any]]:
    """Many equal values, and some that are NaN or infinite."""

    def values(rng: np.random.Generator, shape: Shape) -> NDArray[Any]:
        return rng.choice(np.array([-1.0, 0.0, 0.0, 1.0, -np.inf, np.nan], dtype), shape)

    return values


def check_max_pool2d(backend: Backend, data: Data, limits: Limits) -> None:
    """Values and taps to the bit, ties, NaN and minus infinity included; `take` and the gradient by these taps."""
    dtype, (shape, window) = draw_dtype(data), draw_pool(data, limits)
    values = _few_levels(dtype) if data.draw(st.booleans()) else uniform(dtype)
    x = draw_sample(data, shape, values)
    out, taps = loops.max_pool2d(x.numpy(), window)
    found, found_taps = backend.max_pool2d(x.on(backend), window)
    what = f"max pool of {shape} by {window}"
    expect_equal(what, backend, found, out.astype(dtype))
    expect_equal(what + ": taps", backend, found_taps, taps)

    again = backend.max_pool2d_take(x.on(backend), found_taps, window)
    expect_equal(what + ": take", backend, again, out.astype(dtype))

    g = draw_sample(data, out.shape, uniform(dtype))
    found = backend.max_pool2d_grad(g.on(backend), found_taps, (shape[2], shape[3]), window)
    exact = loops.max_pool2d_grad(g.numpy(), x.numpy(), window)
    magnitude = loops.max_pool2d_grad(np.abs(g.numpy()), x.numpy(), window)
    _near(what + ": gradient", backend, found, exact, math.prod(window.kernel), magnitude, dtype)


def check_avg_pool2d(backend: Backend, data: Data, limits: Limits) -> None:
    """Means and their gradient within `sum_bound`."""
    dtype, (shape, window) = draw_dtype(data), draw_pool(data, limits)
    x = draw_sample(data, shape, uniform(dtype))
    what, terms = f"average pool of {shape} by {window}", math.prod(window.kernel)
    exact, magnitude = loops.avg_pool2d(x.numpy(), window), loops.avg_pool2d(np.abs(x.numpy()), window)
    _near(what, backend, backend.avg_pool2d(x.on(backend), window), exact, terms, magnitude, dtype)

    g = draw_sample(data, exact.shape, uniform(dtype))
    size = (shape[2], shape[3])
    found = backend.avg_pool2d_grad(g.on(backend), size, window)
    exact, magnitude = (
        loops.avg_pool2d_grad(g.numpy(), size, window),
        loops.avg_pool2d_grad(abs(g.numpy()), size, window),
    )
    _near(what + ": gradient", backend, found, exact, terms, magnitude, dtype)


def check_pool_gradient(name: str, order: int, backend: Backend, data: Data, limits: Limits) -> None:
    """Derivatives of the differentiable function, without equal values."""
    shape, window = draw_pool(data, Limits(min(limits.extent, 2), 0), least=1)

    def distinct(rng: np.random.Generator, drawn: Shape) -> NDArray[Any]:
        return np.asarray(rng.permutation(math.prod(drawn)) * 0.1, float64).reshape(drawn)

    sample: Sample = draw_sample(data, shape, distinct)
    pool = max_pool2d if name == "max_pool2d" else avg_pool2d
    check_gradient(
        lambda leaf: pool(sample.view(leaf), window.kernel, window.stride, window.padding),
        [sample.leaf(backend)],
        order,
    )


WINDOW_CASES: tuple[Case, ...] = (
    Case("conv2d", "values", check_conv2d),
    Case("conv2d", "gradient", partial(check_conv2d_gradient, 1)),
    Case("conv2d", "second", partial(check_conv2d_gradient, 2)),
    Case("max_pool2d", "values", check_max_pool2d),
    Case("max_pool2d", "gradient", partial(check_pool_gradient, "max_pool2d", 1)),
    Case("max_pool2d", "second", partial(check_pool_gradient, "max_pool2d", 2)),
    Case("avg_pool2d", "values", check_avg_pool2d),
    Case("avg_pool2d", "gradient", partial(check_pool_gradient, "avg_pool2d", 1)),
    Case("avg_pool2d", "second", partial(check_pool_gradient, "avg_pool2d", 2)),
)
