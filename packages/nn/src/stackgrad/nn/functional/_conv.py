"""Convolution."""

import stackgrad.tensor as sg
from stackgrad.tensor import Tensor

from .._arguments import Activation, Padding, Size, expect_tensors, is_relu, sizes, sliding


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
    activation: Activation = None,
) -> Tensor:
    """2-D cross-correlation: out[n, o, y, x] = bias[o] + sum of weight[o, c, i, j] * input[n, c, y + i, x + j].

    Args:
        input: (batch, in_channels, height, width).
        weight: (out_channels, in_channels / groups, kernel_height, kernel_width).
        bias: (out_channels,), or None.
        stride: the distance between windows: an int or (rows, columns).
        padding: zeros around the input: an int, (rows, columns), ((top, bottom), (left, right)), "valid" (none), or
            "same" (the output has the input's size; stride 1 only; an odd zero goes to the end).
        dilation: the distance between a kernel's elements: an int or (rows, columns).
        groups: the number of groups into which channels are split; each output group reads its own input group.
        activation: as in `linear`.

    Returns:
        (batch, out_channels, out_height, out_width), with
        out = (size + before + after - dilation * (kernel - 1) - 1) // stride + 1.

    Raises:
        ValueError: shapes, channels or groups that do not match, a kernel larger than the padded input.
    """
    expect_tensors("conv2d", input=input, weight=weight, bias=bias)
    window = sliding(2, weight.shape[2:], stride, padding, dilation)
    return sg.conv2d(input, weight, bias, *window, groups, is_relu(activation))  # type: ignore[arg-type]


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
    activation: Activation = None,
) -> Tensor:
    """1-D cross-correlation: `conv2d` on an image of height 1.

    Args:
        input: (batch, in_channels, width).
        weight: (out_channels, in_channels / groups, kernel_width).
        bias: (out_channels,), or None.
        stride: the distance between windows: an int or (columns,).
        padding: an int, (columns,), ((left, right),), "valid" or "same", as in `conv2d`.
        dilation: the distance between a kernel's elements: an int or (columns,).
        groups, activation: as in `conv2d`.

    Returns:
        (batch, out_channels, out_width).

    Raises:
        ValueError: as in `conv2d`.
    """
    expect_tensors("conv1d", input=input, weight=weight, bias=bias)
    (strides,), (pads,), (dilations,) = sliding(1, weight.shape[2:], stride, padding, dilation)
    return sg.conv1d(input, weight, bias, strides, pads, dilations, groups, is_relu(activation))


def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Padding = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Tensor:
    """The adjoint of `conv2d` with this weight, stride, padding and dilation: the gradient of its input.

    Source: Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", arXiv:1603.07285.

    Args:
        input: (batch, in_channels, height, width).
        weight: (in_channels, out_channels / groups, kernel_height, kernel_width).
        bias: (out_channels,), or None.
        stride: the distance between the windows that are written to: an int or (rows, columns).
        padding: the border that is cut off the result: an int, (rows, columns) or ((top, bottom), (left, right)).
        output_padding: extra rows and columns at the end of the result, fewer than the stride or the dilation: an int
            or (rows, columns). It selects one of the sizes that `conv2d` maps to the input's size.
        groups: as in `conv2d`.
        dilation: the distance between a kernel's elements: an int or (rows, columns).

    Returns:
        (batch, out_channels, out_height, out_width), with
        out = (size - 1) * stride - before - after + dilation * (kernel - 1) + 1 + output_padding.

    Raises:
        ValueError: shapes, channels or groups that do not match, an `output_padding` that is too large.
    """
    expect_tensors("conv_transpose2d", input=input, weight=weight, bias=bias)
    strides, pads, dilations = sliding(2, weight.shape[2:], stride, padding, dilation)
    more = sizes("output_padding", output_padding, 2, 0)
    return sg.conv_transpose2d(input, weight, bias, strides, pads, more, groups, dilations)  # type: ignore[arg-type]


def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Padding = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Tensor:
    """`conv_transpose2d` on an image of height 1.

    Args:
        input: (batch, in_channels, width).
        weight: (in_channels, out_channels / groups, kernel_width).
        bias: (out_channels,), or None.
        stride, padding, output_padding, groups, dilation: as in `conv_transpose2d`, for the columns only.

    Returns:
        (batch, out_channels, out_width).

    Raises:
        ValueError: as in `conv_transpose2d`.
    """
    expect_tensors("conv_transpose1d", input=input, weight=weight, bias=bias)
    (strides,), (pads,), (dilations,) = sliding(1, weight.shape[2:], stride, padding, dilation)
    (columns,) = sizes("output_padding", output_padding, 1, 0)
    return sg.conv_transpose1d(input, weight, bias, strides, pads, columns, groups, dilations)
