"""Pooling. Each pool and its adjoint are each other's gradients, to any order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ._autograd import Context, Primitive
from ._checks import expect_image
from ._conv import Conv2d
from ._errors import not_a_tensor
from ._mode import is_recording
from ._plans import Plans, exactly
from ._pooled import PooledGradient
from ._shape import NO_PADDING, Padding, Pair, Window
from ._value import Value

if TYPE_CHECKING:
    from ._tensor import Tensor


class MaxPool2d(Primitive):
    @staticmethod
    def forward(ctx: Context, x: Tensor, window: Window) -> Tensor:
        out, taps = x.backend.max_pool2d(x.data, window)
        ctx.window, ctx.size = window, x.data.shape[2:]
        ctx.of_relu = x.node is not None and Conv2d.took_relu(x.node)
        ctx.save(x.new(taps))
        return x.new(out)

    @staticmethod
    def backward(ctx: Context, g: Tensor) -> Tensor:
        (taps,) = ctx.saved
        if ctx.of_relu and not is_recording():
            return PooledGradient(g, taps, ctx.size, ctx.window)
        return MaxPool2dGrad.apply(g, taps.data, ctx.size, ctx.window)


class MaxPool2dTake(Primitive):
    @staticmethod
    def forward(ctx: Context, x: Tensor, taps: object, window: Window) -> Tensor:
        ctx.window, ctx.size = window, x.data.shape[2:]
        ctx.save(x.new(taps))
        return x.new(x.backend.max_pool2d_take(x.data, taps, window))

    @staticmethod
    def backward(ctx: Context, g: Tensor) -> Tensor:
        (taps,) = ctx.saved
        return MaxPool2dGrad.apply(g, taps.data, ctx.size, ctx.window)


class MaxPool2dGrad(Primitive):
    @staticmethod
    def forward(ctx: Context, g: Tensor, taps: object, size: Pair, window: Window) -> Tensor:
        ctx.window = window
        ctx.save(g.new(taps))
        return g.new(g.backend.max_pool2d_grad(g.data, taps, size, window))

    @staticmethod
    def backward(ctx: Context, gx: Tensor) -> Tensor:
        (taps,) = ctx.saved
        return MaxPool2dTake.apply(gx, taps.data, ctx.window)


class AvgPool2d(Primitive):
    @staticmethod
    def forward(ctx: Context, x: Tensor, window: Window) -> Tensor:
        ctx.window, ctx.size = window, x.data.shape[2:]
        return x.new(x.backend.avg_pool2d(x.data, window))

    @staticmethod
    def backward(ctx: Context, g: Tensor) -> Tensor:
        return AvgPool2dGrad.apply(g, ctx.size, ctx.window)


class AvgPool2dGrad(Primitive):
    @staticmethod
    def forward(ctx: Context, g: Tensor, size: Pair, window: Window) -> Tensor:
        ctx.window = window
        return g.new(g.backend.avg_pool2d_grad(g.data, size, window))

    @staticmethod
    def backward(ctx: Context, gx: Tensor) -> Tensor:
        return AvgPool2d.apply(gx, ctx.window)


def _pool_window(what: str, x: Tensor, *geometry: Any) -> Window:
    """The checked window of a pool over x; `geometry` is (kernel, stride, padding, ceil_mode)."""
    if not isinstance(x, Value):
        raise not_a_tensor(what, x)
    return _windows.find((what, x.data.shape, x.data.dtype, exactly(geometry)), what, x, *geometry)


def _checked_window(what: str, x: Tensor, kernel: Pair, stride: Pair, padding: Padding, ceil_mode: bool) -> Window:
    expect_image(what, x)
    window = Window(kernel, stride, padding)
    for extent, sides in zip(kernel, padding, strict=True):
        if max(sides) > extent // 2:
            raise ValueError(f"{what}: padding {padding} is more than half of kernel {kernel}")
    size = (x.shape[2], x.shape[3])
    if 0 in size:
        raise ValueError(f"{what}: input of shape {x.shape} has no rows or no columns")
    if ceil_mode:
        rows, columns = (_ceil_padding(*each) for each in zip(size, kernel, stride, padding, strict=True))
        window = Window(kernel, stride, (rows, columns))
    window.positions(size)
    return window


def _ceil_padding(extent: int, kernel: int, stride: int, padding: Pair) -> Pair:
    """The padding that lets the last window extend past the end, if it starts before the end."""
    before, after = padding
    last = -(-(before + extent + after - kernel) // stride)  # the index of the last window
    last -= last * stride >= before + extent
    return before, max(after, last * stride + kernel - before - extent)


_windows: Plans[Window] = Plans(_checked_window)


def max_pool2d(x: Tensor, kernel: Pair, stride: Pair, padding: Padding = NO_PADDING, ceil_mode: bool = False) -> Tensor:
    """The largest value under each window of x (n, c, h, w): (n, c, oh, ow). Padding is never the maximum.

    The gradient goes to the first of equal values, or to the last NaN. With `ceil_mode` the last window of a row or
    column may extend past the end. Raises ValueError if the window is larger than the image or `padding` is more than
    half of `kernel`, TypeError for integers.

    >>> max_pool2d(ones(1, 1, 4, 6), (2, 2), (2, 2)).shape
    (1, 1, 2, 3)
    """
    return MaxPool2d.apply(x, _pool_window("max_pool2d", x, kernel, stride, padding, ceil_mode))


def avg_pool2d(
    x: Tensor,
    kernel: Pair,
    stride: Pair,
    padding: Padding = NO_PADDING,
    ceil_mode: bool = False,
    count_padding: bool = True,
    divisor: int | None = None,
) -> Tensor:
    """The mean under each window of x (n, c, h, w): (n, c, oh, ow).

    Padded zeros count unless `count_padding` is False; the part that `ceil_mode` adds past the end does not. With a
    `divisor` it is the sum divided by that. Raises as `max_pool2d`.

    >>> avg_pool2d(ones(1, 1, 4, 6), (2, 2), (2, 2)).shape
    (1, 1, 2, 3)
    """
    window = _pool_window("avg_pool2d", x, kernel, stride, padding, ceil_mode)
    out = AvgPool2d.apply(x, window)
    if divisor is not None:
        return out * (kernel[0] * kernel[1] / divisor)
    counted = padding if count_padding else NO_PADDING
    if window.padding == counted:
        return out
    factors = _factors.find((window, counted, x.shape[2:], x.dtype), window, counted, x)
    return out * x.new(x.backend.from_numpy(factors))


def _by_counts(window: Window, counted: Padding, x: Tensor) -> NDArray[Any]:
    """The size of a window divided by the count of its elements that count: (oh, ow)."""
    inverse = []
    for i, count in enumerate(window.positions((x.shape[2], x.shape[3]))):
        first = np.arange(count) * window.stride[i] - window.padding[i][0]
        (before, after), kernel = counted[i], window.kernel[i]
        inside = np.minimum(first + kernel, x.shape[2 + i] + after) - np.maximum(first, -before)
        inverse.append(kernel / inside)
    return np.asarray(np.outer(*inverse), x.dtype)


_factors: Plans[NDArray[Any]] = Plans(_by_counts)
