"""The gradient of a convolution's input.

A pixel of the image collects from the windows that contain it. With a stride, only every `stride`-th tap meets a window
there, and which taps do depends on the pixel's position. So the image is computed in phases, of pixels that are
`stride` apart. Each phase is a convolution of the gradient with its own taps:

    stride 2, 3 taps, no padding    image |0 1 0 1 0 1|    phase 0 has taps 0 and 2, phase 1 tap 1

Pixel p meets tap i of window w if p + padding == w stride + i dilation; with padding 1 the phases above swap taps.
Without dilation, the j-th pixel of a phase and its i-th tap read g at j - i plus a constant of the phase.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from stackgrad.tensor import Window
from stackgrad.tensor._types import Pair

from .._array import DeviceArray, empty
from .._tile import epilogue
from ._walk import Operand, Walk, convolve


class _Phase(NamedTuple):
    """Along one dimension, the pixels first, first + stride, ... of an image, and their taps and windows."""

    first: int
    pixels: int
    tap: int  # the first one that meets a window
    tap_step: int
    taps: int
    window: int  # the one that the first tap meets at the first pixel
    window_step: int  # from tap to tap


def _phases(size: int, kernel: int, stride: int, before: int, dilation: int) -> list[_Phase]:
    """The phases along a dimension of `size` pixels with `before` pixels of padding in front: see above."""
    common = math.gcd(stride, dilation)
    found = []
    for first in range(min(stride, size)):
        meeting = [i for i in range(min(kernel, stride)) if (first + before - i * dilation) % stride == 0]
        tap = meeting[0] if meeting else kernel
        found.append(
            _Phase(
                first,
                -(-(size - first) // stride),
                tap,
                stride // common,
                len(range(tap, kernel, stride // common)),
                (first + before - tap * dilation) // stride,
                -(dilation // common),
            )
        )
    return found


def conv2d_input_grad(g: DeviceArray, weight: DeviceArray, size: Pair, window: Window, groups: int) -> DeviceArray:
    """See Backend.conv2d_input_grad."""
    n, o, *positions = g.shape
    c = weight.shape[1]
    by_row, by_column = (
        _phases(size[d], window.kernel[d], window.stride[d], window.padding[d][0], window.dilation[d]) for d in (0, 1)
    )
    out = empty((n, groups * c, *size), g.dtype)
    image, channel, row, column = out.strides
    ws, gs = weight.strides, g.strides
    for y in by_row if out.size else []:
        for x in by_column:
            walk = Walk(
                groups, c, (n, y.pixels, x.pixels), (o // groups, y.taps, x.taps), (positions[0], positions[1]),
                (1, 1, y.window_step, x.window_step, y.window, x.window),
            )  # fmt: skip
            form = walk.form(g.dtype)
            taps = weight.view(weight.shape, ws, y.tap * ws[2] + x.tap * ws[3] if walk.depth else 0)
            pixels = out.view(out.shape, out.strides, y.first * row + x.first * column)
            convolve(
                walk,
                Operand(taps, (o // groups * ws[0], ws[1], ws[0], y.tap_step * ws[2], x.tap_step * ws[3])),
                Operand(g, (o // groups * gs[1], *gs)),
                Operand(pixels, (0, c * channel, channel, image, window.stride[0] * row, window.stride[1] * column)),
                form,
                (1, max(walk.depth, 1)),
                epilogue(None, False, 1, out),
            )
    return out
