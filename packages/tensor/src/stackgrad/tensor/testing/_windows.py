"""Cases of convolution and pooling, against plain loops if they are fast enough, else against NumPy in float64."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._backend import Backend
from .._conv import conv2d
from .._dtypes import float64
from .._optable import OPS
from .._pool import avg_pool2d, max_pool2d
from .._tensor import Tensor
from .._types import Activation, Pair, Shape, Sides
from .._window import Window
from . import loops
from ._case import Case, check_gradient
from ._compare import expect_close, expect_equal, sum_bound
from ._draw import REFERENCE, Draw, Limits, Sample, uniform

_LOOPS = 20_000  # the most multiplications in plain loops for one example


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


def _draw_padding(draw: Draw, most: Pair) -> Sides:
    return draw.pair(0, most[0]), draw.pair(0, most[1])


def _draw_sizes(draw: Draw, window: Window, most: int) -> Pair:
    """A height and width that the window fits on, up to `most` unless it needs more."""
    least = [max(span - sum(sides), 1) for span, sides in zip(window.span, window.padding, strict=True)]
    return draw.integer(least[0], max(most, least[0])), draw.integer(least[1], max(most, least[1]))


def draw_convolution(draw: Draw, least: int = 0) -> Convolution:
    """A convolution with any stride, (uneven) padding, dilation and groups; it is large only if the limits allow it."""
    large = draw.limits.size >= 10_000 and draw.one_in(2)
    groups = draw.choice([1, 1, 1, 2, 3][: draw.limits.extent + 2])
    c, o = groups * draw.count(24 if large else 2, least), groups * draw.count(40 if large else 2, least)
    kernel = draw.pair(1, min(5 if large else 3, draw.limits.extent))
    window = Window(kernel, draw.pair(1, 3), _draw_padding(draw, (2, 2)), draw.pair(1, 2))
    sizes = _draw_sizes(draw, window, 30 if large else draw.limits.extent + 1)
    n = draw.count(3 if large else 2, least)
    return Convolution((n, c, *sizes), (o, c // groups, *kernel), window, groups)


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


def check_conv2d(backend: Backend, draw: Draw) -> None:
    """The convolution and its gradients are within `sum_bound` of plain loops, for operands of any layout."""
    dtype, shape = draw.dtype(), draw_convolution(draw)
    window, groups = shape.window, shape.groups
    x, weight, g, bias = (
        draw.sample(drawn, uniform(dtype)) for drawn in (shape.x, shape.weight, shape.out, shape.weight[:1])
    )
    with_bias, relu = draw.one_in(2), draw.one_in(2)
    needs = draw.one_in(2), draw.one_in(2), draw.one_in(2)
    wide_x, wide_w, wide_b = (sample.numpy().astype(float64) for sample in (x, weight, bias))
    offset = wide_b if with_bias else None
    if shape.in_loops:
        exact = loops.conv2d(wide_x, wide_w, offset, window, groups)
    else:
        exact, _ = REFERENCE.conv2d(wide_x, wide_w, offset, window, groups, False)
    what = f"{shape}, bias {with_bias}: "

    operands = x.on(backend), weight.on(backend), bias.on(backend) if with_bias else None, window, groups
    out, image = backend.conv2d(*operands, False)
    magnitude, _ = REFERENCE.conv2d(np.abs(wide_x), np.abs(wide_w), np.abs(wide_b), window, groups, False)
    _near(what + "conv2d", backend, out, exact, math.prod(shape.weight[1:]) + 1, magnitude, dtype)
    above, g_above = REFERENCE.elementwise(OPS["relu"], backend.to_numpy(out)), g.numpy()
    if relu:
        out, image = backend.conv2d(*operands, True)
        expect_equal(what + "relu of conv2d", backend, out, above)
        g_above = np.where(above > 0, g_above, 0)

    image = x.on(backend) if draw.one_in(2) else image
    out = out if relu else None
    grads = backend.conv2d_grads(g.on(backend), image, weight.on(backend), out, window, groups, needs)
    assert [grad is not None for grad in grads] == [*needs], what + f"conv2d_grads of {needs}"
    _expect_gradients(what + f"relu {relu}, ", backend, shape, (wide_x, wide_w, g_above), grads)
    size = (shape.x[2], shape.x[3])
    plain = (
        backend.conv2d_input_grad(g.on(backend), weight.on(backend), size, window, groups),
        backend.conv2d_weight_grad(x.on(backend), g.on(backend), window, groups),
        None,
    )
    _expect_gradients(what, backend, shape, (wide_x, wide_w, g.numpy()), plain)


def _expect_gradients(
    what: str, backend: Backend, shape: Convolution, operands: tuple[NDArray[Any], ...], found: tuple[Any, ...]
) -> None:
    """The gradients found for x, weight and bias (or None) match, for operands x, weight and the gradient g."""
    x, weight, narrow_g = operands
    g, window, groups, size = narrow_g.astype(float64), shape.window, shape.groups, (shape.x[2], shape.x[3])
    pixels = shape.out[0] * shape.out[2] * shape.out[3]
    terms = {"x": shape.weight[0] * math.prod(window.kernel), "weight": pixels, "bias": pixels}

    def reference(g: NDArray[Any], x: NDArray[Any], weight: NDArray[Any]) -> list[NDArray[Any]]:
        return [
            REFERENCE.conv2d_input_grad(g, weight, size, window, groups),
            REFERENCE.conv2d_weight_grad(x, g, window, groups),
            g.sum((0, 2, 3)),
        ]

    exact = loops.conv2d_grads(g, x, weight, window, groups) if shape.in_loops else reference(g, x, weight)
    magnitudes = reference(np.abs(g), np.abs(x), np.abs(weight))
    for name, grad, right, magnitude in zip(terms, found, exact, magnitudes, strict=True):
        if grad is not None:
            _near(what + f"gradient for {name}", backend, grad, right, terms[name], magnitude, narrow_g.dtype)


def check_conv2d_gradient(order: int, backend: Backend, draw: Draw) -> None:
    """Derivatives for x, weight and bias, if any, match central differences."""
    shape = draw_convolution(draw.within(Limits(min(draw.limits.extent, 2), 0)), 1)
    shapes = [shape.x, shape.weight, shape.weight[:1]][: draw.integer(2, 3)]
    samples = [draw.sample(drawn, uniform(float64), slices=False) for drawn in shapes]
    window = shape.window
    activation: Activation = "relu" if draw.one_in(2) else None
    geometry = window.stride, window.padding, window.dilation

    def function(*leaves: Tensor) -> Tensor:
        operands = [sample.view(leaf) for sample, leaf in zip(samples, leaves, strict=True)]
        bias = operands[2] if len(operands) == 3 else None
        return conv2d(operands[0], operands[1], bias, *geometry, shape.groups, activation)

    check_gradient(function, [sample.leaf(backend) for sample in samples], order)


# --- pooling


def draw_pool(draw: Draw, least: int = 0) -> tuple[Shape, Window]:
    """The shape of an image, and a window whose padding is at most half the kernel."""
    kernel = draw.pair(1, min(draw.limits.extent, 4))
    window = Window(kernel, draw.pair(1, 3), _draw_padding(draw, (kernel[0] // 2, kernel[1] // 2)))
    most = 12 if draw.limits.size >= 10_000 and draw.one_in(2) else 2
    sizes = _draw_sizes(draw, window, draw.limits.extent + 2)
    return (draw.count(most, least), draw.count(most, least), *sizes), window


def _few_levels(dtype: np.dtype[Any]) -> Callable[[np.random.Generator, Shape], NDArray[Any]]:
    """Values with many ties, NaN and infinities."""

    def values(rng: np.random.Generator, shape: Shape) -> NDArray[Any]:
        return rng.choice(np.array([-1.0, 0.0, 0.0, 1.0, -np.inf, np.nan], dtype), shape)

    return values


def check_max_pool2d(backend: Backend, draw: Draw) -> None:
    """Values and positions are exact, for ties, NaN and minus infinity; `take` and the gradient follow the taps."""
    dtype, (shape, window) = draw.dtype(), draw_pool(draw)
    values = _few_levels(dtype) if draw.one_in(2) else uniform(dtype)
    x = draw.sample(shape, values)
    out, taps = loops.max_pool2d(x.numpy(), window)
    found, found_taps = backend.max_pool2d(x.on(backend), window)
    what = f"max pool of {shape} by {window}"
    expect_equal(what, backend, found, out.astype(dtype))
    indices = np.arange(x.numpy().size, dtype=dtype).reshape(shape)
    where = backend.max_pool2d_take(backend.from_numpy(indices), found_taps, window)
    expect_equal(what + ": taps", backend, where, REFERENCE.max_pool2d_take(indices, taps, window))

    again = backend.max_pool2d_take(x.on(backend), found_taps, window)
    expect_equal(what + ": take", backend, again, out.astype(dtype))

    g = draw.sample(out.shape, uniform(dtype))
    found = backend.max_pool2d_grad(g.on(backend), found_taps, (shape[2], shape[3]), window)
    exact = loops.max_pool2d_grad(g.numpy(), x.numpy(), window)
    magnitude = loops.max_pool2d_grad(np.abs(g.numpy()), x.numpy(), window)
    _near(what + ": gradient", backend, found, exact, math.prod(window.kernel), magnitude, dtype)


def check_max_pool2d_relu_grad(backend: Backend, draw: Draw) -> None:
    """A convolution's gradients through relu and pool equal those computed from the gradient of the pool's input."""
    dtype, (shape, pool) = draw.dtype(), draw_pool(draw)
    values = _few_levels(dtype) if draw.one_in(2) else uniform(dtype)
    above = draw.sample(shape, values).on(backend)
    above = backend.elementwise(OPS["relu"], above)
    kernel = draw.pair(1, 3)
    window = Window(kernel, padding=((kernel[0] // 2, (kernel[0] - 1) // 2), (kernel[1] // 2, (kernel[1] - 1) // 2)))
    size = shape[2], shape[3]
    inputs = draw.integer(1, max(1, min(20, draw.limits.size // max(1, shape[0] * size[0] * size[1]))))
    x = draw.sample((shape[0], inputs, *size), uniform(dtype)).on(backend)
    weight = draw.sample((shape[1], inputs, *kernel), uniform(dtype)).on(backend)
    out, taps = backend.max_pool2d(above, pool)
    g = draw.sample(backend.to_numpy(out).shape, uniform(dtype)).on(backend)
    needs = draw.one_in(2), draw.one_in(2), True

    masked = backend.max_pool2d_relu_grad(g, taps, above, pool)
    found = backend.conv2d_grads(masked, x, weight, None, window, 1, needs)
    spread = backend.max_pool2d_grad(g, taps, size, pool)
    expected = backend.conv2d_grads(spread, x, weight, above, window, 1, needs)
    for name, grad, right in zip(("x", "weight", "bias"), found, expected, strict=True):
        what = f"gradient for {name} through relu and max pool of {shape} by {pool}"
        assert (grad is None) == (right is None), what
        if grad is not None:
            expect_equal(what, backend, grad, backend.to_numpy(right))


def check_avg_pool2d(backend: Backend, draw: Draw) -> None:
    """The means and their gradient are within `sum_bound`."""
    dtype, (shape, window) = draw.dtype(), draw_pool(draw)
    x = draw.sample(shape, uniform(dtype))
    what, terms = f"average pool of {shape} by {window}", math.prod(window.kernel)
    exact, magnitude = loops.avg_pool2d(x.numpy(), window), loops.avg_pool2d(np.abs(x.numpy()), window)
    _near(what, backend, backend.avg_pool2d(x.on(backend), window), exact, terms, magnitude, dtype)

    g = draw.sample(exact.shape, uniform(dtype))
    size = (shape[2], shape[3])
    found = backend.avg_pool2d_grad(g.on(backend), size, window)
    exact, magnitude = (
        loops.avg_pool2d_grad(g.numpy(), size, window),
        loops.avg_pool2d_grad(abs(g.numpy()), size, window),
    )
    _near(what + ": gradient", backend, found, exact, terms, magnitude, dtype)


def check_pool_gradient(name: str, order: int, backend: Backend, draw: Draw) -> None:
    """Derivatives match central differences, for distinct values."""
    shape, window = draw_pool(draw.within(Limits(min(draw.limits.extent, 2), 0)), 1)

    def distinct(rng: np.random.Generator, drawn: Shape) -> NDArray[Any]:
        return np.asarray(rng.permutation(math.prod(drawn)) * 0.1, float64).reshape(drawn)

    sample: Sample = draw.sample(shape, distinct, slices=False)
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
    Case("max_pool2d_relu_grad", "values", check_max_pool2d_relu_grad),
    Case("max_pool2d", "gradient", partial(check_pool_gradient, "max_pool2d", 1)),
    Case("max_pool2d", "second", partial(check_pool_gradient, "max_pool2d", 2)),
    Case("avg_pool2d", "values", check_avg_pool2d),
    Case("avg_pool2d", "gradient", partial(check_pool_gradient, "avg_pool2d", 1)),
    Case("avg_pool2d", "second", partial(check_pool_gradient, "avg_pool2d", 2)),
)
