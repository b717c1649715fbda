"""Convolution, its input gradient and its weight gradient: for each of the three, the other two are the gradients.

Without bias and relu, each is linear in both of its tensors; so they have gradients of any order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from ._autograd import BuiltinFunction, Context, Node
from ._checks import expect_activation, expect_bias, expect_image, expect_same_dtype, expect_tensors
from ._mode import is_recording
from ._ops import common_backend
from ._plans import Plans, exactly
from ._pooled import PooledGradient
from ._types import Activation, Extents, Padding, Pair
from ._window import Window, image_size, is_integer

if TYPE_CHECKING:
    from ._tensor import Tensor

P = TypeVar("P")
Geometry = tuple[Extents, Padding, Extents]  # stride, padding, dilation


class Conv2d(BuiltinFunction):
    @staticmethod
    def forward(
        ctx: Context, x: Tensor, weight: Tensor, bias: Tensor | None, window: Window, groups: int, relu: bool = False
    ) -> Tensor:
        bias_data = None if bias is None else bias.data
        data, image = x.backend.conv2d(x.data, weight.data, bias_data, window, groups, relu)
        out = x.new(data)
        ctx.window, ctx.groups, ctx.relu = window, groups, relu
        ctx.image = image if ctx.needs[1] else x.data  # x in the form that the backend reads for the weight gradient
        ctx.save(x, weight, *([out] if relu else []))
        return out

    @staticmethod
    def backward(ctx: Context, g: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, *out = ctx.saved
        window, groups = ctx.window, ctx.groups
        first, second, *rest = ctx.needs  # without a bias, `rest` is empty
        needs = first, second, True in rest
        if not is_recording():  # the usual case: no gradient of the gradients is wanted
            backend, relu_out = g.backend, out[0].data if out else None
            if out and isinstance(g, PooledGradient):  # one value for each window of the max pool that follows
                conv_g, relu_out = backend.max_pool2d_relu_grad(g.g.data, g.taps.data, relu_out, g.window), None
            else:
                conv_g = g.data
            found = backend.conv2d_grads(conv_g, ctx.image, weight.data, relu_out, window, groups, needs)
            return tuple([None if grad is None else g.new(grad) for grad in found[: 2 + len(rest)]])
        if out:
            g = g.relu_grad(out[0])
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


class Conv2dInputGrad(BuiltinFunction):
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


class Conv2dWeightGrad(BuiltinFunction):
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
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Extents = 1,
    padding: Padding = 0,
    dilation: Extents = 1,
    groups: int = 1,
    activation: Activation = None,
) -> Tensor:
    """2-D cross-correlation: out[n, o, y, x] = bias[o] + sum of weight[o, c, i, j] * input[n, c, y + i, x + j].

    The formula is that of the default stride, padding, dilation and groups.

    Args:
        input: (batch, in_channels, height, width).
        weight: (out_channels, in_channels / groups, kernel_height, kernel_width).
        bias: (out_channels,), or None.
        stride: the distance between windows: an int or (rows, columns).
        padding: zeros around the input: an int, (rows, columns), ((top, bottom), (left, right)), "valid" (none), or
            "same" (the output has the input's size; stride 1 only; of an odd number of zeros, the end has one more).
        dilation: the distance between a kernel's elements: an int or (rows, columns).
        groups: the number of groups into which channels are split; each output group reads its own input group.
        activation: "relu" applies `relu` to the result in the same pass, which is faster; None applies nothing.

    Returns:
        (batch, out_channels, out_height, out_width), with
        out = (size + before + after - dilation * (kernel - 1) - 1) // stride + 1.

    Raises:
        TypeError: an argument that is not a tensor, mixed or integer dtypes.
        ValueError: shapes, channels or groups that do not match, a kernel larger than the padded input.

    >>> conv2d(ones(8, 1, 28, 28), ones(6, 1, 5, 5), padding=2).shape
    (8, 6, 28, 28)
    """
    window = find_plan(_windows, "conv2d", input, weight, bias, (stride, padding, dilation), groups, activation)
    return Conv2d.apply(input, weight, bias, window, groups, activation is not None)


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Extents = 1,
    padding: Padding = 0,
    dilation: Extents = 1,
    groups: int = 1,
    activation: Activation = None,
) -> Tensor:
    """1-D cross-correlation: `conv2d` of images of height 1.

    Args:
        input: (batch, in_channels, width).
        weight: (out_channels, in_channels / groups, kernel_width).
        bias: (out_channels,), or None.
        stride, dilation: an int or (columns,).
        padding: an int, (columns,), ((left, right),), "valid" or "same".
        groups, activation: as in `conv2d`.

    Returns:
        (batch, out_channels, out_width). Raises as `conv2d`.

    >>> conv1d(tensor([[[1.0, 2.0, 3.0]]]), tensor([[[1.0, 10.0]]]))
    tensor([[[21., 32.]]])
    """
    window = find_plan(_windows, "conv1d", input, weight, bias, (stride, padding, dilation), groups, activation)
    image, kernel = input.unsqueeze(2), weight.unsqueeze(2)
    return Conv2d.apply(image, kernel, bias, window, groups, activation is not None).squeeze(2)


def find_plan(plans: Plans[P], what: str, x: Tensor, weight: Tensor, bias: Tensor | None, *given: Any) -> P:
    """What `plans` makes of these arguments, such as their `Window`: made and checked once for the same shapes.

    Raises TypeError for what is not a tensor, ValueError for mixed backends.
    """
    operands = (x, weight) if bias is None else (x, weight, bias)
    try:
        common_backend(what, *operands)
    except TypeError:
        expect_tensors(what, **dict(zip(("input", "weight", "bias"), operands, strict=False)))
        raise
    shapes = tuple([(a.data.shape, a.data.dtype) for a in operands])
    return plans.find((what, shapes, exactly(given)), what, x, weight, bias, *given)


def _checked_window(
    what: str, x: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry, groups: int, activation: Activation
) -> Window:
    dims = expect_operands(what, x, weight, bias, "out, in / groups")
    expect_activation(activation)
    inputs, outputs = x.shape[1], weight.shape[0]
    if not is_integer(groups) or groups < 1 or inputs % groups or outputs % groups:
        raise ValueError(f"{what}: groups {groups} does not divide {inputs} input and {outputs} output channels")
    if inputs != weight.shape[1] * groups:
        raise ValueError(
            f"{what}: input of shape {x.shape} has {inputs} channels, weight of shape {weight.shape} "
            f"with groups {groups} expects {weight.shape[1] * groups}"
        )
    expect_bias(what, bias, outputs)
    window = Window(weight.shape[2:], *geometry, dims=dims)
    window.positions(image_size(x.shape))  # raises if the kernel is larger than the image
    return window


_windows: Plans[Window] = Plans(_checked_window)


def expect_operands(what: str, x: Tensor, weight: Tensor, bias: Tensor | None, channels: str) -> int:
    """The number of spatial dimensions, 1 or 2. Raises for other dimensions, mixed and integer dtypes."""
    dims = expect_image(what, x)
    expect_same_dtype(what, x, weight=weight, bias=bias)
    if weight.ndim != 2 + dims:
        kernel = ", ".join(("kernel height", "kernel width")[-dims:])
        raise ValueError(f"{what}: weight of shape {weight.shape}: expected ({channels}, {kernel})")
    return dims
