"""Pooling. A pool and its adjoint have each other as gradients, to any order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._autograd import Context, Function
from ._checks import expect_image
from ._errors import no_tensor
from ._plans import Plans
from ._shape import NO_PADDING, Padding, Pair, Window
from ._value import Value

if TYPE_CHECKING:
    from ._tensor import Tensor


class MaxPool2d(Function):
    @staticmethod
    def forward(ctx: Context, x: Tensor, window: Window) -> Tensor:
        out, taps = x.backend.max_pool2d(x.data, window)
        ctx.window, ctx.size = window, (x.shape[2], x.shape[3])
        ctx.save(x.new(taps))
        return x.new(out)

    @staticmethod
    def backward(ctx: Context, g: Tensor) -> Tensor:
        (taps,) = ctx.saved
        return MaxPool2dGrad.apply(g, taps.data, ctx.size, ctx.window)


class MaxPool2dTake(Function):
    @staticmethod
    def forward(ctx: Context, x: Tensor, taps: object, window: Window) -> Tensor:
        ctx.window, ctx.size = window, (x.shape[2], x.shape[3])
        ctx.save(x.new(taps))
        return x.new(x.backend.max_pool2d_take(x.data, taps, window))

    @staticmethod
    def backward(ctx: Context, g: Tensor) -> Tensor:
        (taps,) = ctx.saved
        return MaxPool2dGrad.apply(g, taps.data, ctx.size, ctx.window)


class MaxPool2dGrad(Function):
    @staticmethod
    def forward(ctx: Context, g: Tensor, taps: object, size: Pair, window: Window) -> Tensor:
        ctx.window = window
        ctx.save(g.new(taps))
        return g.new(g.backend.max_pool2d_grad(g.data, taps, size, window))

    @staticmethod
    def backward(ctx: Context, gx: Tensor) -> Tensor:
        (taps,) = ctx.saved
        return MaxPool2dTake.apply(gx, taps.data, ctx.window)


class AvgPool2d(Function):
    @staticmethod
    def forward(ctx: Context, x: Tensor, window: Window) -> Tensor:
        ctx.window, ctx.size = window, (x.shape[2], x.shape[3])
        return x.new(x.backend.avg_pool2d(x.data, window))

    @staticmethod
    def backward(ctx: Context, g: Tensor) -> Tensor:
        return AvgPool2dGrad.apply(g, ctx.size, ctx.window)


class AvgPool2dGrad(Function):
    @staticmethod
    def forward(ctx: Context, g: Tensor, size: Pair, window: Window) -> Tensor:
        ctx.window = window
        return g.new(g.backend.avg_pool2d_grad(g.data, size, window))

    @staticmethod
    def backward(ctx: Context, gx: Tensor) -> Tensor:
        return AvgPool2d.apply(gx, ctx.window)


def _pool_window(what: str, x: Tensor, *steps: Any) -> Window:
    """The window that fits x; `steps` are its kernel, stride and padding."""
    if not isinstance(x, Value):
        raise no_tensor(what, x)
    return _windows.find((what, x.data.shape, x.data.dtype, repr(steps)), what, x, *steps)  # 1 is not 1.0


def _fitting_window(what: str, x: Tensor, kernel: Pair, stride: Pair, padding: Padding) -> Window:
    expect_image(what, x)
    window = Window(kernel, stride, padding)
    for extent, sides in zip(kernel, padding, strict=True):
        if max(sides) > extent // 2:
            raise ValueError(f"{what}: padding {padding} is more than half of kernel {kernel}")
    if 0 in x.shape[2:]:
        raise ValueError(f"{what}: input of shape {x.shape} has no rows or no columns")
    window.positions((x.shape[2], x.shape[3]))
    return window


_windows: Plans[Window] = Plans(_fitting_window)


def max_pool2d(x: Tensor, kernel: Pair, stride: Pair, padding: Padding = NO_PADDING) -> Tensor:
    """The largest value under each window of x (n, c, h, w): (n, c, oh, ow). Padding never wins.

    The gradient goes to the first of equal values, or to the last NaN. Raises ValueError when the window does not fit
    or `padding` is more than half of `kernel`, TypeError for integers.
    """
    return MaxPool2d.apply(x, _pool_window("max_pool2d", x, kernel, stride, padding))


def avg_pool2d(x: Tensor, kernel: Pair, stride: Pair, padding: Padding = NO_PADDING) -> Tensor:
    """The mean under each window of x (n, c, h, w), padded zeros counted: (n, c, oh, ow).

    Raises as `max_pool2d`.
    """
    return AvgPool2d.apply(x, _pool_window("avg_pool2d", x, kernel, stride, padding))
