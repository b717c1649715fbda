"""The result of a convolution. If its sums are cut into pieces, bias and relu wait until these are added."""

from __future__ import annotations

from stackgrad.tensor import Window

from .._array import DeviceArray, empty
from .._tile import cut, epilogue, joined
from ._walk import Operand, Walk, convolve


def conv2d(
    x: DeviceArray, weight: DeviceArray, bias: DeviceArray | None, window: Window, groups: int, relu: bool
) -> tuple[DeviceArray, DeviceArray]:
    """See Backend.conv2d."""
    n, _, *size = x.shape
    o, c, *kernel = weight.shape
    positions = window.positions((size[0], size[1]))
    walk = Walk(
        groups, o // groups, (n, *positions), (c, kernel[0], kernel[1]), (size[0], size[1]),
        (*window.stride, *window.dilation, -window.padding[0][0], -window.padding[1][0]),
    )  # fmt: skip
    form = walk.form(x.dtype)
    pieces = cut(form, walk.tiles(form), walk.depth)
    out = empty((pieces[0], n, o, *positions), x.dtype)
    if out.size:
        piece, image, channel, row, column = out.strides
        ws, xs = weight.strides, x.strides
        convolve(
            walk,
            Operand(weight, (walk.rows * ws[0], *ws)),
            Operand(x, (c * xs[1], *xs)),
            Operand(out, (piece, walk.rows * channel, channel, image, row, column)),
            form,
            pieces,
            epilogue(bias, relu, pieces[0], out),
        )
    return joined(out, bias and bias.view((o, 1, 1), (*bias.strides, 0, 0)), relu), x
