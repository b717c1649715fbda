"""Convolution and its gradients, directly on channels-last images, in tiles held in registers (see _simd).

Forward: a tile is ROWS neighbouring pixels of an output row by a block of output channels; it starts from the bias
and takes in, for each tap and input channel, one number a pixel times one row of weights.

    image, channels-last                           weights (kh * kw * c, channels)
    +---+---+---+---+---+                          +-----------------+
    |ccc|ccc|ccc|ccc|ccc| ...   x[pixel + tap]  x  |o o o o o o o o  |  ->  tile (ROWS pixels, channels)
    +---+---+---+---+---+                          +-----------------+

The gradient for the input is a convolution too: of the result's gradient, its pixels spread by the stride, with the
weights turned around and their channels exchanged. The gradient for the weights has a tile of ROWS taps by a block
of output channels, which takes in every pixel of a chunk of rows; chunks are summed in their order.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from stackgrad.tensor import Window

from ._buffers import empty
from ._jit import Kernel, rebind
from ._layout import channels_first, channels_last, spread
from ._parallel import MULTIPLY_ADDS, SERIAL
from ._simd import lanes, tile_from_row, tile_multiply_add, tile_store, tile_zeros

Array = NDArray[Any]
Pair = tuple[int, int]

ROWS, VECTORS = 6, 2  # stand-ins: each kernel below is compiled for outputs of one vector's width and for wider ones
FORWARD_CHUNKS = 32
GRAD_CHUNKS = 16
LARGEST_SUMMAND = 2**24  # elements of all chunks of a weights' gradient together


# fmt: off
def _convolve(
    chunk, x, image_pitch, y_step, x_step, tap_y, tap_x, weight, width, bias, out,
    rows, n, oh, ow, out_c, groups, c, kh, kw,
):
    # fmt: on
    """`rows` rows of the output, counted through all images. Pitch, steps and taps are distances in the flat x."""
    out_group = out_c // groups
    channels = bias.size // groups
    for group in range(groups):
        for o in range(0, out_group, width):
            for row in range(chunk * rows, min(n * oh, (chunk + 1) * rows)):
                start = row // oh * image_pitch + row % oh * y_step + group * c
                for column in range(0, ow, ROWS):
                    left = max(0, min(column, ow - ROWS))  # the last tile overlaps the one before it
                    w = group * kh * kw * c * channels + o
                    tile = tile_from_row(bias, group * channels + o, ROWS, VECTORS)
                    for i in range(kh):
                        for j in range(kw):
                            position = start + left * x_step + i * tap_y + j * tap_x
                            for _ in range(c):
                                tile = tile_multiply_add(tile, x, position, x_step, weight, w)
                                position += 1
                                w += channels
                    at = (row * ow + left) * out_c + group * out_group + o
                    tile_store(tile, out, at, out_c, ow - left, out_group - o)


# fmt: off
def _sum_over_pixels(
    chunk, x, image_pitch, y_step, x_step, tap_y, tap_x, g, width, out,
    rows, n, oh, ow, groups, runs, run, taps_in_row,
):
    # fmt: on
    """The gradient of the weights, (groups, runs * run, channels), of `rows` rows of g; a run is `run` numbers of x."""
    channels = g.size // (n * oh * ow * groups)
    for group in range(groups):
        for o in range(0, channels, width):
            for r in range(runs):
                offset = group * run + r // taps_in_row * tap_y + r % taps_in_row * tap_x
                for t in range(0, run, ROWS):
                    tile = tile_zeros(x, ROWS, VECTORS)
                    for row in range(chunk * rows, min(n * oh, (chunk + 1) * rows)):
                        position = row // oh * image_pitch + row % oh * y_step + offset + t
                        w = (row * ow * groups + group) * channels + o
                        for _ in range(ow):
                            tile = tile_multiply_add(tile, x, position, 1, g, w)
                            position += x_step
                            w += groups * channels
                    at = (((chunk * groups + group) * runs + r) * run + t) * channels + o
                    tile_store(tile, out, at, channels, run - t, width)


_CONVOLVE = {
    vectors: Kernel(
        rebind(_convolve, f"_convolve_{rows}x{vectors}", ROWS=rows, VECTORS=vectors),
        lambda T: (T[::1], *[types.intp] * 5, T[::1], types.intp, T[::1], T[::1], *[types.intp] * 9),
    )
    for rows, vectors in ((14, 1), (6, 2))
}
_SUM_OVER_PIXELS = {
    vectors: Kernel(
        rebind(_sum_over_pixels, f"_sum_over_pixels_{rows}x{vectors}", ROWS=rows, VECTORS=vectors),
        lambda T: (T[::1], *[types.intp] * 5, T[::1], types.intp, T[::1], *[types.intp] * 8),
    )
    for rows, vectors in ((6, 1), (6, 2))
}
_SLACK = 14  # pixels that a tile may read beyond the last row


def _vectors(channels: int, dtype: np.dtype[Any]) -> int:
    return 1 if channels <= lanes(dtype) else 2


def _correlate(x: Array, n: int, image: Pair, weight: Array, bias: Array | None, window: Window) -> Array:
    """x flat (n, *image, groups * c) under weight (groups, kh, kw, c, o): (n, oh, ow, groups * o)."""
    groups, kh, kw, c, o = weight.shape
    vectors = _vectors(o, x.dtype)
    width = vectors * lanes(x.dtype)
    channels = -(-o // width) * width
    padded = np.zeros((groups, kh, kw, c, channels), x.dtype)
    padded[..., :o] = weight
    start = np.zeros((groups, channels), x.dtype)
    if bias is not None:
        start[:, :o] = bias.reshape(groups, o)
    oh, ow = Window(window.kernel, window.stride, dilation=window.dilation).positions(image)
    pixel = groups * c
    image_pitch = image[0] * image[1] * pixel
    out = empty((n, oh, ow, groups * o), x.dtype)
    rows = max(1, -(-n * oh // FORWARD_CHUNKS))
    steps = (image_pitch, window.stride[0] * image[1] * pixel, window.stride[1] * pixel)
    taps = (window.dilation[0] * image[1] * pixel, window.dilation[1] * pixel)
    arrays = (padded.reshape(-1), width, start.reshape(-1), out.reshape(-1))
    shared = (x, *steps, *taps, *arrays, rows, n, oh, ow, groups * o, groups, c, kh, kw)
    serial = out.size * c * kh * kw < SERIAL * MULTIPLY_ADDS
    _CONVOLVE[vectors][x.dtype](-(-n * oh // rows), serial, shared)
    return out


def _padded(x: Array, window: Window) -> tuple[Array, Pair]:
    """x (n, c, h, w) flat and channels-last with the window's padding and slack, and its rows and columns."""
    size = window.padded((x.shape[2], x.shape[3]))
    slack = _SLACK * window.stride[1] * x.shape[1]
    corner = (window.padding[0][0], window.padding[1][0])
    return spread(channels_last(x), size, corner, slack=slack), size


def conv2d(x: Array, weight: Array, bias: Array | None, window: Window, groups: int) -> Array:
    """See Backend.conv2d. The result is a view of channels-last memory."""
    o, c, kh, kw = weight.shape
    flat, size = _padded(x, window)
    ordered = weight.reshape(groups, o // groups, c, kh, kw).transpose(0, 3, 4, 2, 1)
    return channels_first(_correlate(flat, x.shape[0], size, ordered, bias, window))


def conv2d_input_grad(g: Array, weight: Array, size: Pair, window: Window, groups: int) -> Array:
    """See Backend.conv2d_input_grad. The result is a view of channels-last memory."""
    o, c, kh, kw = weight.shape
    turned = weight.reshape(groups, o // groups, c, kh, kw)[..., ::-1, ::-1].transpose(0, 3, 4, 1, 2)
    # Pad so that every place of the padded input is computed; what lies in the padding is cut off at the end.
    padded, span = window.padded(size), window.span
    image = (padded[0] + span[0] - 1, padded[1] + span[1] - 1)
    flat = spread(channels_last(g), image, (span[0] - 1, span[1] - 1), window.stride, slack=_SLACK * o)
    out = _correlate(flat, g.shape[0], image, turned, None, Window(window.kernel, dilation=window.dilation))
    (top, _), (left, _) = window.padding
    return channels_first(out[:, top : top + size[0], left : left + size[1]])


def conv2d_weight_grad(x: Array, g: Array, window: Window, groups: int) -> Array:
    """See Backend.conv2d_weight_grad."""
    flat, image = _padded(x, window)
    (n, o, oh, ow), c, (kh, kw) = g.shape, x.shape[1] // groups, window.kernel
    vectors = _vectors(o // groups, x.dtype)
    width = vectors * lanes(x.dtype)
    channels = -(-(o // groups) // width) * width
    by_group = channels_last(g).reshape(n, oh, ow * groups, o // groups)
    g_flat = spread(by_group, (oh, ow * groups), (0, 0), channels=channels)
    # With undilated columns the taps of one row of the kernel are neighbours in x, and make one run.
    joined = window.dilation[1] == 1 and groups == 1
    runs, run, taps_in_row = (kh, kw * c, 1) if joined else (kh * kw, c, kw)
    chunks = max(1, min(GRAD_CHUNKS, n * oh, LARGEST_SUMMAND // max(1, groups * runs * run * channels)))
    rows = max(1, -(-n * oh // chunks))
    chunks = -(-n * oh // rows)
    out = empty((chunks, groups, kh, kw, c, channels), x.dtype)
    if out.size:
        pixel = groups * c
        steps = (image[0] * image[1] * pixel, window.stride[0] * image[1] * pixel, window.stride[1] * pixel)
        taps = (window.dilation[0] * image[1] * pixel, window.dilation[1] * pixel)
        shared = (flat, *steps, *taps, g_flat, width, out.reshape(-1), rows, n, oh, ow, groups, runs, run, taps_in_row)
        serial = g.size * c * kh * kw < SERIAL * MULTIPLY_ADDS
        _SUM_OVER_PIXELS[vectors][x.dtype](chunks, serial, shared)
    total = out.sum(axis=0)[..., : o // groups]
    return np.ascontiguousarray(total.transpose(0, 4, 3, 1, 2).reshape(o, c, kh, kw))
