"""Transposed convolution: the gradient of a convolution with respect to its input, as a function."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._checks import expect_bias
from ._conv import Conv2dInputGrad, Geometry, expect_operands, find_plan
from ._indexing import Embed
from ._plans import Plans
from ._types import Extents, Padding, Pair
from ._window import Window, image_size, is_integer, one_per_dim

if TYPE_CHECKING:
    from ._tensor import Tensor


def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Extents = 1,
    padding: Padding = 0,
    output_padding: Extents = 0,
    groups: int = 1,
    dilation: Extents = 1,
) -> Tensor:
    """The adjoint of `conv2d` with this weight, stride, padding and dilation: the gradient of its input.

    Source: Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", arXiv:1603.07285.

    Args:
        input: (batch, in_channels, height, width).
        weight: (in_channels, out_channels / groups, kernel_height, kernel_width).
        bias: (out_channels,), or None.
        stride: the distance between the windows that are written to: an int or (rows, columns).
        padding: the border that is cut off the result, in the forms of `conv2d`.
        output_padding: extra rows and columns at the end of the result, fewer than the stride or the dilation: an int
            or (rows, columns). It selects one of the sizes that `conv2d` maps to the input's size.
        groups, dilation: as in `conv2d`.

    Returns:
        (batch, out_channels, out_height, out_width), with
        out = (size - 1) * stride - before - after + dilation * (kernel - 1) + 1 + output_padding.

    Raises:
        TypeError: an argument that is not a tensor, mixed or integer dtypes.
        ValueError: shapes, channels or groups that do not match, an `output_padding` that is too large.

    >>> conv_transpose2d(ones(8, 6, 14, 14), ones(6, 1, 2, 2), stride=2).shape
    (8, 1, 28, 28)
    """
    return _transposed("conv_transpose2d", input, weight, bias, (stride, padding, dilation), output_padding, groups)


def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Extents = 1,
    padding: Padding = 0,
    output_padding: Extents = 0,
    groups: int = 1,
    dilation: Extents = 1,
) -> Tensor:
    """The adjoint of `conv1d`: `conv_transpose2d` of images of height 1.

    Args:
        input: (batch, in_channels, width).
        weight: (in_channels, out_channels / groups, kernel_width).
        bias: (out_channels,), or None.
        stride, padding, output_padding, groups, dilation: as in `conv_transpose2d`, for the columns only.

    Returns:
        (batch, out_channels, out_width). Raises as `conv_transpose2d`.

    >>> conv_transpose1d(tensor([[[1.0, 2.0]]]), tensor([[[1.0, 10.0]]]))
    tensor([[[ 1., 12., 20.]]])
    """
    return _transposed("conv_transpose1d", input, weight, bias, (stride, padding, dilation), output_padding, groups)


def _transposed(
    what: str, x: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry, output_padding: Extents, groups: int
) -> Tensor:
    window, size = find_plan(_plans, what, x, weight, bias, geometry, output_padding, groups)
    flat = x.ndim == 3
    if flat:
        x, weight = x.unsqueeze(2), weight.unsqueeze(2)
    h, w = window.positions(size)
    if (h, w) != x.shape[2:]:  # output_padding is larger than the stride
        x = Embed.apply(x, (slice(None), slice(None), slice(x.shape[2]), slice(x.shape[3])), (*x.shape[:2], h, w))
    out = Conv2dInputGrad.apply(x, weight, size, window, groups)
    out = out if bias is None else out + bias.reshape(-1, 1, 1)
    return out.squeeze(2) if flat else out


def _checked(
    what: str, x: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry, output_padding: Extents, groups: int
) -> tuple[Window, Pair]:
    """The window of the adjoint convolution, and the height and width of the result. Raises as `conv_transpose2d`."""
    dims = expect_operands(what, x, weight, bias, "in, out / groups")
    if not is_integer(groups) or groups < 1 or weight.shape[0] % groups or x.shape[1] != weight.shape[0]:
        raise ValueError(
            f"{what}: input of shape {x.shape}, weight of shape {weight.shape} and groups {groups}: expected as many "
            "input channels, which groups divides"
        )
    expect_bias(what, bias, weight.shape[1] * groups)
    window = Window(weight.shape[2:], *geometry, dims=dims)
    extra = (0, *one_per_dim("output_padding", output_padding, dims, 0))[-2:]
    if not all(more < max(each) for more, *each in zip(extra, window.stride, window.dilation, strict=True)):
        raise ValueError(
            f"{what}: output_padding {output_padding}: expected less than stride {window.stride} or dilation "
            f"{window.dilation}"
        )
    each = zip(image_size(x.shape), window.stride, window.span, window.padding, extra, strict=True)
    rows, columns = ((extent - 1) * stride + span - sum(sides) + more for extent, stride, span, sides, more in each)
    if 0 in x.shape[2:] or min(rows, columns) < 1:
        raise ValueError(f"{what}: input of shape {x.shape} gives an image of {rows}x{columns}: nothing is left")
    return window, (rows, columns)


_plans: Plans[tuple[Window, Pair]] = Plans(_checked)
