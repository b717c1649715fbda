"""Convolution. It, its gradient for the input and its gradient for the weight are adjoint to one another, so each has
the other two as its gradients, to any order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._autograd import Context, Primitive
from ._checks import expect_float, expect_same_dtype
from ._indexing import Embed
from ._mode import is_recording
from ._ops import common_backend
from ._plans import Plans, exactly
from ._shape import NO_PADDING, Padding, Pair, Window

if TYPE_CHECKING:
    from ._tensor import Tensor

Steps = tuple[Pair, Padding, Pair]


class Conv2d(Primitive):
    @staticmethod
    def forward(
        ctx: Context, x: Tensor, weight: Tensor, bias: Tensor | None, window: Window, groups: int, relu: bool = False
    ) -> Tensor:
        offset = None if bias is None else bias.data
        data, image = x.backend.conv2d(x.data, weight.data, offset, window, groups, relu)
        out = x.new(data)
        ctx.window, ctx.groups = window, groups
        ctx.image = image if ctx.needs[1] else x.data  # the gradient of the weight reads x as the backend did
        ctx.save(x, weight, *([out] if relu else []))
        return out

    @staticmethod
    def backward(ctx: Context, g: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, *out = ctx.saved
        window, groups = ctx.window, ctx.groups
        first, second, *rest = ctx.needs
        needs = first, second, True in rest
        if not is_recording():
            positive = out[0].data if out else None
            found = g.backend.conv2d_grads(g.data, ctx.image, weight.data, positive, window, groups, needs)
            return tuple([None if grad is None else g.new(grad) for grad in found[: 2 + len(rest)]])
        if out:
            g = g.masked_by(out[0])
        grads = (
            Conv2dInputGrad.apply(g, weight, (x.shape[2], x.shape[3]), window, groups) if needs[0] else None,
            Conv2dWeightGrad.apply(x, g, window, groups) if needs[1] else None,
            g.sum((0, 2, 3)) if needs[2] else None,
        )
        return grads[: 2 + len(rest)]


class Conv2dInputGrad(Primitive):
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


class Conv2dWeightGrad(Primitive):
    @staticmethod
    def forward(ctx: Context, x: Tensor, g: Tensor, window: Window, groups: int) -> Tensor:
        ctx.window, ctx.groups = window, groups
        ctx.save(x, g)
        return x.new(x.backend.conv2d_weight_grad(x.data, g.data, window, groups))

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
    window = _window("conv2d", x, weight, bias, (stride, padding, dilation), groups)
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
    window = _window("conv1d", x, weight, bias, ((1, stride), ((0, 0), padding), (1, dilation)), groups)
    return Conv2d.apply(x.unsqueeze(2), weight.unsqueeze(2), bias, window, groups, relu).squeeze(2)


def conv_transpose2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Pair = (1, 1),
    padding: Padding = NO_PADDING,
    output_padding: Pair = (0, 0),
    groups: int = 1,
    dilation: Pair = (1, 1),
) -> Tensor:
    """The adjoint of `conv2d` with weight (i, o / groups, kh, kw): x (n, i, h, w) to (n, o, oh, ow), plus bias (o,).

    oh = (h - 1) * stride - padding before and after + dilation * (kh - 1) + 1 + output_padding, which is less than
    `stride` or `dilation`: it says which of the sizes that conv2d brings to h is meant. Raises as `conv2d`.
    """
    return _transposed("conv_transpose2d", x, weight, bias, (stride, padding, dilation), output_padding, groups)


def conv_transpose1d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int = 1,
    padding: Pair = (0, 0),
    output_padding: int = 0,
    groups: int = 1,
    dilation: int = 1,
) -> Tensor:
    """The adjoint of `conv1d` with this weight (i, o / groups, kw): x (n, i, w) to (n, o, ow), plus bias (o,).

    That of images of height 1; the rest as for `conv_transpose2d`.
    """
    steps = ((1, stride), ((0, 0), padding), (1, dilation))
    return _transposed("conv_transpose1d", x, weight, bias, steps, (0, output_padding), groups)


def _transposed(
    what: str, x: Tensor, weight: Tensor, bias: Tensor | None, steps: Steps, output_padding: Pair, groups: int
) -> Tensor:
    operands = (x, weight) if bias is None else (x, weight, bias)
    common_backend(what, *operands)
    form = tuple([(a.data.shape, a.data.dtype) for a in operands])
    key = (what, form, exactly((steps, output_padding, groups)))
    window, size = _spreads.find(key, what, x, weight, bias, steps, output_padding, groups)
    flat = what == "conv_transpose1d"
    if flat:
        x, weight = x.unsqueeze(2), weight.unsqueeze(2)
    h, w = window.positions(size)
    if (h, w) != x.shape[2:]:  # with an output_padding beyond the stride
        x = Embed.apply(x, (slice(None), slice(None), slice(x.shape[2]), slice(x.shape[3])), (*x.shape[:2], h, w))
    out = Conv2dInputGrad.apply(x, weight, size, window, groups)
    out = out if bias is None else out + bias.reshape(-1, 1, 1)
    return out.squeeze(2) if flat else out


def _fitting_spread(
    what: str, x: Tensor, weight: Tensor, bias: Tensor | None, steps: Steps, output_padding: Pair, groups: int
) -> tuple[Window, Pair]:
    """The window of the convolution that it is the adjoint of, and the rows and columns of the result."""
    dims = ("height", "width") if what == "conv_transpose2d" else ("width",)
    if x.ndim != 2 + len(dims):
        raise ValueError(f"{what}: input of shape {x.shape}: expected (batch, channels, {', '.join(dims)})")
    expect_float(what, x)
    expect_same_dtype(what, x, weight=weight, bias=bias)
    if weight.ndim != 2 + len(dims):
        extents = ", ".join(f"kernel {dim}" for dim in dims)
        raise ValueError(f"{what}: weight of shape {weight.shape}: expected (in, out / groups, {extents})")
    if groups < 1 or weight.shape[0] % groups or x.shape[1] != weight.shape[0]:
        raise ValueError(
            f"{what}: input of shape {x.shape}, weight of shape {weight.shape} and groups {groups}: expected as many "
            "input channels, which groups divides"
        )
    channels = weight.shape[1] * groups
    if bias is not None and bias.shape != (channels,):
        raise ValueError(f"{what}: bias of shape {bias.shape}: expected ({channels},), one for each output channel")
    kernel_height, kernel_width = (1, *weight.shape[2:])[-2:]
    window = Window((kernel_height, kernel_width), *steps)
    stride, padding, dilation = steps
    if not all(0 <= more < max(each) for more, *each in zip(output_padding, stride, dilation, strict=True)):
        raise ValueError(
            f"{what}: output_padding {output_padding}: expected 0 or more, and less than stride {stride} or dilation "
            f"{dilation}"
        )
    rows, columns = (
        (extent - 1) * step + span - sum(sides) + more
        for extent, step, span, sides, more in zip(
            (1, *x.shape[2:])[-2:], stride, window.span, padding, output_padding, strict=True
        )
    )
    if 0 in x.shape[2:] or min(rows, columns) < 1:
        raise ValueError(f"{what}: input of shape {x.shape} gives an image of {rows}x{columns}: nothing is left")
    return window, (rows, columns)


_spreads: Plans[tuple[Window, Pair]] = Plans(_fitting_spread)


def _window(what: str, x: Tensor, weight: Tensor, bias: Tensor | None, steps: Steps, groups: int) -> Window:
    """The window of operands that fit; `steps` are its stride, padding and dilation."""
    operands = (x, weight) if bias is None else (x, weight, bias)
    common_backend(what, *operands)
    form = tuple([(a.data.shape, a.data.dtype) for a in operands])
    return _windows.find((what, form, exactly((steps, groups))), what, x, weight, bias, steps, groups)


def _fitting_window(what: str, x: Tensor, weight: Tensor, bias: Tensor | None, steps: Steps, groups: int) -> Window:
    dims = ("height", "width") if what == "conv2d" else ("width",)
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
    height, width = (1, *x.shape[2:])[-2:]
    kernel_height, kernel_width = (1, *weight.shape[2:])[-2:]
    window = Window((kernel_height, kernel_width), *steps)
    window.positions((height, width))
    return window


_windows: Plans[Window] = Plans(_fitting_window)
