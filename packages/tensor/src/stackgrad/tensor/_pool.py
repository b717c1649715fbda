"""Pooling. Each pool and its adjoint are each other's gradients, to any order."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ._autograd import BuiltinFunction, Context
from ._checks import expect_image
from ._conv import Conv2d
from ._create import full, stack
from ._errors import not_a_tensor
from ._mode import is_recording
from ._plans import Plans, exactly
from ._pooled import PooledGradient
from ._types import Extents, HostArray, Padding, Pair, Sides
from ._value import Value
from ._window import NO_PADDING, Window, image_size, is_integer

if TYPE_CHECKING:
    from ._tensor import Tensor

P = TypeVar("P")


class MaxPool2d(BuiltinFunction):
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


class MaxPool2dTake(BuiltinFunction):
    @staticmethod
    def forward(ctx: Context, x: Tensor, taps: object, window: Window) -> Tensor:
        ctx.window, ctx.size = window, x.data.shape[2:]
        ctx.save(x.new(taps))
        return x.new(x.backend.max_pool2d_take(x.data, taps, window))

    @staticmethod
    def backward(ctx: Context, g: Tensor) -> Tensor:
        (taps,) = ctx.saved
        return MaxPool2dGrad.apply(g, taps.data, ctx.size, ctx.window)


class MaxPool2dGrad(BuiltinFunction):
    @staticmethod
    def forward(ctx: Context, g: Tensor, taps: object, size: Pair, window: Window) -> Tensor:
        ctx.window = window
        ctx.save(g.new(taps))
        return g.new(g.backend.max_pool2d_grad(g.data, taps, size, window))

    @staticmethod
    def backward(ctx: Context, gx: Tensor) -> Tensor:
        (taps,) = ctx.saved
        return MaxPool2dTake.apply(gx, taps.data, ctx.window)


class AvgPool2d(BuiltinFunction):
    @staticmethod
    def forward(ctx: Context, x: Tensor, window: Window) -> Tensor:
        ctx.window, ctx.size = window, x.data.shape[2:]
        return x.new(x.backend.avg_pool2d(x.data, window))

    @staticmethod
    def backward(ctx: Context, g: Tensor) -> Tensor:
        return AvgPool2dGrad.apply(g, ctx.size, ctx.window)


class AvgPool2dGrad(BuiltinFunction):
    @staticmethod
    def forward(ctx: Context, g: Tensor, size: Pair, window: Window) -> Tensor:
        ctx.window = window
        return g.new(g.backend.avg_pool2d_grad(g.data, size, window))

    @staticmethod
    def backward(ctx: Context, gx: Tensor) -> Tensor:
        return AvgPool2d.apply(gx, ctx.window)


def max_pool2d(
    input: Tensor,
    kernel_size: Extents,
    stride: Extents | None = None,
    padding: Padding = 0,
    dilation: Extents = 1,
    ceil_mode: bool = False,
) -> Tensor:
    """The largest value of each window. The gradient goes to the first of equal values, or to the last NaN.

    Args:
        input: (batch, channels, height, width).
        kernel_size: an int or (rows, columns).
        stride: the same forms; the kernel size if None.
        padding: an int, (rows, columns) or ((top, bottom), (left, right)), at most half the kernel. Padding
            is never the largest value.
        dilation: the distance between a window's elements: an int or (rows, columns).
        ceil_mode: whether the last window of a row or column may extend past the end. Otherwise an edge that holds no
            whole window is dropped.

    Returns:
        (batch, channels, out_height, out_width).

    Raises:
        TypeError: an argument that is not a tensor, an integer dtype.
        ValueError: a wrong number of dimensions, sizes that do not match.

    >>> max_pool2d(ones(1, 1, 4, 6), 2).shape
    (1, 1, 2, 3)
    """
    window, _ = _find("max_pool2d", _windows, input, kernel_size, stride, padding, dilation, ceil_mode)
    return _largest(input, window)


def max_pool1d(
    input: Tensor,
    kernel_size: Extents,
    stride: Extents | None = None,
    padding: Padding = 0,
    dilation: Extents = 1,
    ceil_mode: bool = False,
) -> Tensor:
    """`max_pool2d` of (batch, channels, width): (batch, channels, out_width).

    >>> max_pool1d(tensor([[[1.0, 3.0, 2.0, 4.0]]]), 2)
    tensor([[[3., 4.]]])
    """
    window, _ = _find("max_pool1d", _windows, input, kernel_size, stride, padding, dilation, ceil_mode)
    return _largest(input.unsqueeze(2), window).squeeze(2)


def _largest(x: Tensor, window: Window) -> Tensor:
    if window.dilation == (1, 1):
        return MaxPool2d.apply(x, window)
    n, c, h, w = x.shape
    (top, _), (left, _) = window.padding
    padded = full((n, c, *window.padded((h, w))), -math.inf, dtype=x.dtype, backend=x.backend)
    padded[:, :, top : top + h, left : left + w] = x
    rows, columns = map(_slices, window.kernel, window.stride, window.dilation, window.positions((h, w)))
    return stack([padded[:, :, row, column] for row in rows for column in columns]).max(0)


def _slices(kernel: int, stride: int, dilation: int, count: int) -> list[slice]:
    """For each element of a window, what it is at all positions of the window."""
    starts = range(0, kernel * dilation, dilation)
    return [slice(start, start + (count - 1) * stride + 1, stride) for start in starts]


def avg_pool2d(
    input: Tensor,
    kernel_size: Extents,
    stride: Extents | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window.

    Args:
        input, kernel_size, stride, padding, ceil_mode: as in `max_pool2d`; elements past the end do not count.
        count_include_pad: whether padded zeros count.
        divisor_override: the divisor of the sums, instead of the number of elements that count.

    Returns and raises as `max_pool2d`; ValueError for a `divisor_override` of 0.

    >>> avg_pool2d(ones(1, 1, 4, 6), 2).shape
    (1, 1, 2, 3)
    """
    given = (kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
    window, factors = _find("avg_pool2d", _averages, input, *given)
    return _scaled(AvgPool2d.apply(input, window), factors)


def avg_pool1d(
    input: Tensor,
    kernel_size: Extents,
    stride: Extents | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """`avg_pool2d` of (batch, channels, width): (batch, channels, out_width).

    >>> avg_pool1d(tensor([[[1.0, 3.0, 2.0, 4.0]]]), 2)
    tensor([[[2., 3.]]])
    """
    given = (kernel_size, stride, padding, ceil_mode, count_include_pad, None)
    window, factors = _find("avg_pool1d", _averages, input, *given)
    return _scaled(AvgPool2d.apply(input.unsqueeze(2), window), factors).squeeze(2)


def _scaled(means: Tensor, factors: float | HostArray | None) -> Tensor:
    if factors is None:
        return means
    return means * (factors if isinstance(factors, float) else means.new(means.backend.from_numpy(factors)))


def _find(what: str, plans: Plans[P], x: Tensor, *given: Any) -> P:
    """The plan of a pool over x with these arguments."""
    if not isinstance(x, Value):
        raise not_a_tensor(f"{what}: input", x)
    return plans.find((what, x.data.shape, x.data.dtype, exactly(given)), what, x, *given)


def _checked_window(
    what: str, x: Tensor, kernel: Extents, stride: Extents | None, padding: Padding, dilation: Extents, ceil_mode: bool
) -> tuple[Window, Sides]:
    """The window, and the padding as it was given: with `ceil_mode` the window may extend past the end."""
    dims = expect_image(what, x)
    window = Window(kernel, kernel if stride is None else stride, padding, dilation, dims)
    size, given = image_size(x.shape), window.padding
    if any(max(sides) > extent // 2 for sides, extent in zip(given, window.kernel, strict=True)):
        raise ValueError(f"{what}: padding {given} is more than half of kernel {window.kernel}")
    if 0 in size:
        raise ValueError(f"{what}: input of shape {x.shape} has no rows or no columns")
    if ceil_mode:
        rows, columns = map(_ceil_padding, size, window.span, window.stride, given)
        window = window._replace(padding=(rows, columns))
    window.positions(size)  # raises if the kernel is larger than the image
    return window, given


_windows: Plans[tuple[Window, Sides]] = Plans(_checked_window)


def _ceil_padding(extent: int, span: int, stride: int, padding: Pair) -> Pair:
    """The padding that lets the last window extend past the end, if it starts before the end."""
    before, after = padding
    last = -(-(before + extent + after - span) // stride)  # the index of the last window
    last -= last * stride >= before + extent
    return before, max(after, last * stride + span - before - extent)


def _checked_average(
    what: str,
    x: Tensor,
    kernel: Extents,
    stride: Extents | None,
    padding: Padding,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> tuple[Window, float | HostArray | None]:
    """The window, and what its mean is multiplied by: nothing, one factor, or one for each position (oh, ow)."""
    window, given = _checked_window(what, x, kernel, stride, padding, 1, ceil_mode)
    if divisor_override is not None:
        if not is_integer(divisor_override) or not divisor_override:
            raise ValueError(f"{what}: divisor_override must be an int other than 0; got {divisor_override!r}")
        return window, window.kernel[0] * window.kernel[1] / divisor_override
    counted = given if count_include_pad else NO_PADDING
    if window.padding == counted:
        return window, None
    inverse, size = [], image_size(x.shape)
    for i, count in enumerate(window.positions(size)):
        first = np.arange(count) * window.stride[i] - window.padding[i][0]
        (before, after), extent = counted[i], window.kernel[i]
        inside = np.minimum(first + extent, size[i] + after) - np.maximum(first, -before)
        inverse.append(extent / inside)
    return window, np.asarray(np.outer(*inverse), x.dtype)


_averages: Plans[tuple[Window, float | HostArray | None]] = Plans(_checked_average)
