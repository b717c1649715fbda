"""Convolution. It, its gradient for the input and its gradient for the weight are adjoint to one another, so each has
the other two as its gradients, to any order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._autograd import Context, Function
from ._backend import Array
from ._checks import expect_float, expect_same_dtype
from ._mode import is_recording
from ._ops import common_backend
from ._shape import NO_PADDING, Padding, Pair, Window

if TYPE_CHECKING:
    from ._tensor import Tensor


class Conv2d(Function):
    @staticmethod
    def forward(
        ctx: Context, x: Tensor, weight: Tensor, bias: Tensor | None, window: Window, groups: int, relu: bool = False
    ) -> Tensor:
        ctx.window, ctx.groups = window, groups
        # The gradient of the weight reads the image as this does.
        image = x.backend.for_window(x.data, window) if ctx.needs[1] else x.data
        compute = x.backend.conv2d_relu if relu else x.backend.conv2d
        out = x.new(compute(image, weight.data, bias.data if bias is not None else None, window, groups))
        ctx.save(x, weight, x.new(image, x.version), *([out] if relu else []))
        return out

    @staticmethod
    def backward(ctx: Context, g: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, image, *out = ctx.saved
        total: Tensor | None = None  # the gradient of the bias
        if out and is_recording():
            g = g.masked_by(out[0])
        elif out:
            image_shape = x.shape if ctx.needs[0] else None
            both = g.backend.conv2d_relu_grad(g.data, out[0].data, image_shape, ctx.window, ctx.groups)
            g, total = (g.new(data) for data in both)
        size = (x.shape[2], x.shape[3])
        grads = [
            Conv2dInputGrad.apply(g, weight, size, ctx.window, ctx.groups) if ctx.needs[0] else None,
            Conv2dWeightGrad.apply(x, g, ctx.window, ctx.groups, image.data) if ctx.needs[1] else None,
        ]
        if len(ctx.needs) == 3:
            grads.append((g.sum((0, 2, 3)) if total is None else total) if ctx.needs[2] else None)
        return tuple(grads)


class Conv2dInputGrad(Function):
    @staticmethod
    def forward(ctx: Context, g: Tensor, weight: Tensor, size: Pair, window: Window, groups: int) -> Tensor:
        ctx.window, ctx.groups = window, groups
        ctx.save(g, weight)
        return g.new(g.backend.conv2d_input_grad(g.data, weight.data, size, window, groups))

    @staticmethod
    def backward(ctx: Context, gx: Tensor) -> tuple[Tensor | None, ...]:
        g, weight = ctx.saved
        return (
            Conv2d.apply(gx, weight, None, ctx.window, ctx.groups) if ctx.needs[0] else None,
            Conv2dWeightGrad.apply(gx, g, ctx.window, ctx.groups) if ctx.needs[1] else None,
        )


class Conv2dWeightGrad(Function):
    @staticmethod
    def forward(ctx: Context, x: Tensor, g: Tensor, window: Window, groups: int, image: Array | None = None) -> Tensor:
        """`image` is what `Backend.for_window` gave for x."""
        ctx.window, ctx.groups = window, groups
        ctx.save(x, g)
        return x.new(x.backend.conv2d_weight_grad(x.data if image is None else image, g.data, window, groups))

    @staticmethod
    def backward(ctx: Context, gw: Tensor) -> tuple[Tensor | None, ...]:
        x, g = ctx.saved
        size = (x.shape[2], x.shape[3])
        return (
            Conv2dInputGrad.apply(g, gw, size, ctx.window, ctx.groups) if ctx.needs[0] else None,
            Conv2d.apply(x, gw, None, ctx.window, ctx.groups) if ctx.needs[1] else None,
        )


def conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Pair = (1, 1),
    padding: Padding = NO_PADDING,
    dilation: Pair = (1, 1),
    groups: int = 1,
    relu: bool = False,
) -> Tensor:
    """Cross-correlation of x (n, c, h, w) with weight (o, c / groups, kh, kw), plus bias (o,): (n, o, oh, ow).

    `padding` holds (before, after) for the rows and for the columns, filled with zeros. With `groups`, the i-th
    part of the output channels sees the i-th part of the input channels only. With `relu`, its `relu` at once.
    Raises ValueError for shapes that do not fit and TypeError for mixed or integer dtypes.
    """
    _expect_to_fit("conv2d", x, weight, bias, groups, ("height", "width"))
    window = Window((weight.shape[2], weight.shape[3]), stride, padding, dilation)
    window.positions((x.shape[2], x.shape[3]))
    return Conv2d.apply(x, weight, bias, window, groups, relu)


def conv1d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int = 1,
    padding: Pair = (0, 0),
    dilation: int = 1,
    groups: int = 1,
    relu: bool = False,
) -> Tensor:
    """Cross-correlation of x (n, c, w) with weight (o, c / groups, kw), plus bias (o,): (n, o, ow).

    That of images of height 1; `padding` is (before, after), the rest as for `conv2d`.
    """
    _expect_to_fit("conv1d", x, weight, bias, groups, ("width",))
    window = Window((1, weight.shape[2]), (1, stride), ((0, 0), padding), (1, dilation))
    window.positions((1, x.shape[2]))
    return Conv2d.apply(x.unsqueeze(2), weight.unsqueeze(2), bias, window, groups, relu).squeeze(2)


def _expect_to_fit(
    what: str, x: Tensor, weight: Tensor, bias: Tensor | None, groups: int, dims: tuple[str, ...]
) -> None:
    common_backend(what, x, weight, *([bias] if bias is not None else []))
    if x.ndim != 2 + len(dims):
        raise ValueError(f"{what}: input of shape {x.shape}: expected (batch, channels, {', '.join(dims)})")
    expect_float(what, x)
    expect_same_dtype(what, x, weight=weight, bias=bias)
    if weight.ndim != 2 + len(dims):
        extents = ", ".join(f"kernel {dim}" for dim in dims)
        raise ValueError(f"{what}: weight of shape {weight.shape}: expected (out, in / groups, {extents})")
    if groups < 1 or x.shape[1] % groups or weight.shape[0] % groups:
        raise ValueError(
            f"{what}: groups {groups} does not divide {x.shape[1]} input and {weight.shape[0]} output channels"
        )
    if x.shape[1] != weight.shape[1] * groups:
        raise ValueError(
            f"{what}: input of shape {x.shape} has {x.shape[1]} channels, weight of shape {weight.shape} "
            f"with groups {groups} expects {weight.shape[1] * groups}"
        )
    if bias is not None and bias.shape != (weight.shape[0],):
        raise ValueError(
            f"{what}: bias of shape {bias.shape}: expected ({weight.shape[0]},), one for each output channel"
        )
