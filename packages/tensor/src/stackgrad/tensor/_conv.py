"""Convolution. The convolution, its input gradient and its weight gradient are adjoint to one another: each has the
other two as its gradients, to any order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._autograd import Context, Node, Primitive
from ._checks import expect_float, expect_same_dtype
from ._indexing import Embed
from ._mode import is_recording
from ._ops import common_backend
from ._plans import Plans, exactly
from ._pooled import PooledGradient
from ._shape import NO_PADDING, Padding, Pair, Window

if TYPE_CHECKING:
    from ._tensor import Tensor

Geometry = tuple[Pair, Padding, Pair]  # stride, padding, dilation


class Conv2d(Primitive):
    @staticmethod
    def forward(
        ctx: Context, x: Tensor, weight: Tensor, bias: Tensor | None, window: Window, groups: int, relu: bool = False
    ) -> Tensor:
        offset = None if bias is None else bias.data
        data, image = x.backend.conv2d(x.data, weight.data, offset, window, groups, relu)
        out = x.new(data)
        ctx.window, ctx.groups, ctx.relu = window, groups, relu
        ctx.image = image if ctx.needs[1] else x.data  # x in the form that the backend reads for the weight gradient
        ctx.save(x, weight, *([out] if relu else []))
        return out

    @staticmethod
    def backward(ctx: Context, g: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, *out = ctx.saved
        window, groups = ctx.window, ctx.groups
        first, second, *rest = ctx.needs
        needs = first, second, True in rest
        if not is_recording():
            backend, positive = g.backend, out[0].data if out else None
            if out and isinstance(g, PooledGradient):
                passed, positive = backend.max_pool2d_relu_grad(g.g.data, g.taps.data, positive, g.window), None
            else:
                passed = g.data
            found = backend.conv2d_grads(passed, ctx.image, weight.data, positive, window, groups, needs)
            return tuple([None if grad is None else g.new(grad) for grad in found[: 2 + len(rest)]])
        if out:
            g = g.masked_by(out[0])
        grads = (
            Conv2dInputGrad.apply(g, weight, (x.shape[2], x.shape[3]), window, groups) if needs[0] else None,
            Conv2dWeightGrad.apply(x, g, window, groups) if needs[1] else None,
            g.sum((0, 2, 3)) if needs[2] else None,
        )
        return grads[: 2 + len(rest)]

    @staticmethod
    def took_relu(node: Node) -> bool:
        """Whether `node` belongs to a convolution with a fused relu."""
        context = node.context_of(Conv2d)
        return context is not None and context.relu


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
    part of the output channels sees only the i-th part of the input channels. `relu` fuses a relu into the result.
    Raises ValueError for shapes that do not match and TypeError for mixed or integer dtypes.

    >>> conv2d(ones(8, 1, 28, 28), ones(6, 1, 5, 5), padding=((2, 2), (2, 2))).shape
    (8, 6, 28, 28)
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

    `padding` is (before, after). It is `conv2d` of images of height 1, and raises the same errors.

    >>> conv1d(tensor([[[1.0, 2.0, 3.0]]]), tensor([[[1.0, 10.0]]]))
    tensor([[[21., 32.]]])
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

    oh = (h - 1) * stride - padding before and after + dilation * (kh - 1) + 1 + output_padding. With a stride, conv2d
    maps several heights to h: `output_padding`, less than `stride` or `dilation`, selects one. Raises as `conv2d`.

    >>> conv_transpose2d(ones(8, 6, 14, 14), ones(6, 1, 2, 2), stride=(2, 2)).shape
    (8, 1, 28, 28)
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
    """The adjoint of `conv1d` with weight (i, o / groups, kw): x (n, i, w) to (n, o, ow), plus bias (o,).

    It is `conv_transpose2d` of images of height 1, and raises the same errors.

    >>> conv_transpose1d(tensor([[[1.0, 2.0]]]), tensor([[[1.0, 10.0]]]))
    tensor([[[ 1., 12., 20.]]])
    """
    geometry = ((1, stride), ((0, 0), padding), (1, dilation))
    return _transposed("conv_transpose1d", x, weight, bias, geometry, (0, output_padding), groups)


def _transposed(
    what: str, x: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry, output_padding: Pair, groups: int
) -> Tensor:
    operands = (x, weight) if bias is None else (x, weight, bias)
    common_backend(what, *operands)
    form = tuple([(a.data.shape, a.data.dtype) for a in operands])
    key = (what, form, exactly((geometry, output_padding, groups)))
    window, size = _transposed_plans.find(key, what, x, weight, bias, geometry, output_padding, groups)
    flat = what == "conv_transpose1d"
    if flat:
        x, weight = x.unsqueeze(2), weight.unsqueeze(2)
    h, w = window.positions(size)
    if (h, w) != x.shape[2:]:  # output_padding is larger than the stride
        x = Embed.apply(x, (slice(None), slice(None), slice(x.shape[2]), slice(x.shape[3])), (*x.shape[:2], h, w))
    out = Conv2dInputGrad.apply(x, weight, size, window, groups)
    out = out if bias is None else out + bias.reshape(-1, 1, 1)
    return out.squeeze(2) if flat else out


def _checked_transposed(
    what: str, x: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry, output_padding: Pair, groups: int
) -> tuple[Window, Pair]:
    """The window of the adjoint convolution, and the height and width of the result. Raises as `conv_transpose2d`."""
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
    window = Window((kernel_height, kernel_width), *geometry)
    stride, padding, dilation = geometry
    if not all(0 <= more < max(each) for more, *each in zip(output_padding, stride, dilation, strict=True)):
        raise ValueError(
            f"{what}: output_padding {output_padding}: expected 0 or more, and less than stride {stride} or dilation "
            f"{dilation}"
        )
    rows, columns = (
        (extent - 1) * shift + span - sum(sides) + more
        for extent, shift, span, sides, more in zip(
            (1, *x.shape[2:])[-2:], stride, window.span, padding, output_padding, strict=True
        )
    )
    if 0 in x.shape[2:] or min(rows, columns) < 1:
        raise ValueError(f"{what}: input of shape {x.shape} gives an image of {rows}x{columns}: nothing is left")
    return window, (rows, columns)


_transposed_plans: Plans[tuple[Window, Pair]] = Plans(_checked_transposed)


def _window(what: str, x: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry, groups: int) -> Window:
    """The window of a convolution of these operands, once they are checked."""
    operands = (x, weight) if bias is None else (x, weight, bias)
    common_backend(what, *operands)
    form = tuple([(a.data.shape, a.data.dtype) for a in operands])
    return _windows.find((what, form, exactly((geometry, groups))), what, x, weight, bias, geometry, groups)


def _checked_window(
    what: str, x: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry, groups: int
) -> Window:
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
    window = Window((kernel_height, kernel_width), *geometry)
    window.positions((height, width))  # raises if the kernel is larger than the image
    return window


_windows: Plans[Window] = Plans(_checked_window)
