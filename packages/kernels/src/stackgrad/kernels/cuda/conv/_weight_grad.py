"""The gradient of a convolution's weight: few tiles, with sums over all pixels that are cut into pieces."""

from __future__ import annotations

from stackgrad.tensor import Window

from .._array import DeviceArray, empty
from .._tile import cut, epilogue, joined
from ._walk import Operand, Walk, convolve


def conv2d_weight_grad(x: DeviceArray, g: DeviceArray, window: Window, groups: int) -> DeviceArray:
    """See Backend.conv2d_weight_grad."""
    n, channels, height, width = x.shape
    o, positions = g.shape[1], (g.shape[2], g.shape[3])
    c, (kh, kw) = channels // groups, window.kernel
    walk = Walk(
        groups, o // groups, (c, kh, kw), (n, *positions), (height, width),
        (*window.dilation, *window.stride, -window.padding[0][0], -window.padding[1][0]),
    )  # fmt: skip
    form = walk.form(x.dtype)
    pieces = cut(form, walk.tiles(form), walk.depth)
    out = empty((pieces[0], o, c, kh, kw), x.dtype)
    if out.size:
        piece, row, channel, tap_row, tap = out.strides
        xs, gs = x.strides, g.strides
        convolve(
            walk,
            Operand(g, (walk.rows * gs[1], gs[1], gs[0], gs[2], gs[3])),
            Operand(x, (c * xs[1], xs[1], xs[0], xs[2], xs[3])),
            Operand(out, (piece, walk.rows * row, row, channel, tap_row, tap)),
            form,
            pieces,
            epilogue(None, False, pieces[0], out),
        )
    return joined(out, None, relu=False)
