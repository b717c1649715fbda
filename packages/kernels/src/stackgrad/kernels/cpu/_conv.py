"""Convolution, directly on channels-last images, in tiles held in registers (see _simd).

A tile is ROWS neighbouring pixels of an output row by a block of output channels; it starts from the bias and takes
in, for each tap and input channel, one number a pixel times one row of weights.

    image, channels-last                           weights (kh * kw * c, block)
    +---+---+---+---+---+                          +-----------------+
    |ccc|ccc|ccc|ccc|ccc| ...   x[pixel + tap]  x  |o o o o o o o o  |  ->  tile (ROWS pixels, block)
    +---+---+---+---+---+                          +-----------------+

Many weights are taken in parts that stay in the first-level cache: all tiles of a row take in one part before the next.

Windows of one pixel are matrix products. The gradients are in _conv_input_grad and _conv_weight_grad.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from stackgrad.tensor import OPS, Window

from ._channels_last import channels_first, channels_last, in_order
from ._conv_parts import TAPS, of_taps
from ._conv_pixels import for_output, widened, with_margins
from ._elementwise import elementwise
from ._kernel import Kernel, kernel, rebind
from ._margins import for_window, padded
from ._matmul import matmul
from ._memory import empty, has_slack
from ._parallel import MULTIPLY_ADDS
from ._parts import sum_of
from ._pointers import VECTOR_BYTES, load, store
from ._simd import lanes, tile_from_row, tile_load, tile_multiply_add, tile_relu, tile_store

Array = NDArray[Any]
Pair = tuple[int, int]
Steps = tuple[Pair, ...]  # (extent, distance in memory) of some dimensions

ROWS, VECTORS = 6, 2  # stand-ins: the kernel is compiled for outputs of one vector's width and for wider ones
ONE_PIXEL = Window((1, 1))
IMAGE_CHUNKS = 128
PART = 256  # rows of weights, 16 kB


# fmt: off
def _convolve(
    chunk, x, image_pitch, y_step, x_step, taps, weight, width, out, rows, n, oh, ow, out_c, groups, c, part, relu,
):
    # fmt: on
    """`rows` rows of the output, counted through all images. Pitch, steps and taps are distances in the flat x.

    `weight` is (groups, blocks, taps, width), and after it the bias (groups, blocks, width). `part` taps are taken in
    at a time.
    """
    out_group = out_c // groups
    blocks = (out_group + width - 1) // width
    dense = groups == 1 and out_c <= width and part >= taps.size
    for group in range(groups):
        for block in range(blocks):
            panel = group * blocks + block
            bias = weight.size - (groups * blocks - panel) * width
            columns = out_group - block * width
            for row in range(chunk * rows, min(n * oh, (chunk + 1) * rows)):
                start = row // oh * image_pitch + row % oh * y_step + group * c
                for first in range(0, max(1, taps.size), part):  # once for no channels: the bias
                    for column in range(0, ow, ROWS):
                        left = max(0, min(column, ow - ROWS))  # the last tile overlaps the one before it
                        at = (row * ow + left) * out_c + group * out_group + block * width
                        if first == 0:
                            tile = tile_from_row(weight, bias, ROWS, VECTORS)
                        else:
                            tile = tile_load(out, at, out_c, ROWS, VECTORS)
                        position, w = start + left * x_step, (panel * taps.size + first) * width
                        for tap in range(first, min(taps.size, first + part)):
                            tile = tile_multiply_add(tile, x, position + load(taps, tap), x_step, weight, w)
                            w += width
                        if relu and first + part >= taps.size:
                            tile = tile_relu(tile)
                        tile_store(tile, out, at, out_c, column - left, ow - left, columns, dense)


_TILE_ROWS: dict[int, tuple[int, ...]] = {1: (14,), 2: (5, 4)}
_CONVOLVE = {
    (rows, vectors): Kernel(
        rebind(_convolve, f"_convolve_{rows}x{vectors}", ROWS=rows, VECTORS=vectors),
        lambda T: (
            *(T[::1], types.intp, types.intp, types.intp, types.int64[::1], T[::1], types.intp, T[::1]),
            *[types.intp] * 8,
            types.boolean,
        ),
    )
    for vectors, heights in _TILE_ROWS.items()
    for rows in heights
}


@kernel(lambda T: (T[::1], *[types.intp] * 12, T[::1], T[::1], *[types.intp] * 2))
def _arrange(line, weight, start, s0, s1, s2, s3, sa, sb, e1, e2, e3, eb, blocks, bias, out, used, width):
    """e3 rows of a weight in another order: rows by four dimensions of strides s, columns by two, (a, b).

    The rows come in blocks of `width` columns: (e0, blocks, e1, e2, e3, width), zeros beyond the `used` columns. What
    comes after them is the bias, for each block a line of one row.
    """
    lines = e1 * e2
    panels = out.size // width // (lines * e3 + (1 if bias.size else 0))
    panel = line // lines if line < panels * lines else line - panels * lines
    group, first = panel // blocks, panel % blocks * width
    count = min(width, used - first)
    if line >= panels * lines:
        at = (panels * lines * e3 + panel) * width
        for o in range(width):
            store(out, at + o, load(bias, group * eb + (first + o) % eb) if o < count else 0)
        return
    source = start + group * s0 + line // e2 % e1 * s1 + line % e2 * s2 + first // eb * sa + first % eb * sb
    at = line * e3 * width
    for _ in range(e3):
        i, place = source, first % eb
        for o in range(count):
            store(out, at + o, load(weight, i))
            i, place = i + sb, place + 1
            if place == eb:
                i, place = i + sa - eb * sb, 0
        for o in range(count, width):
            store(out, at + o, 0)
        source, at = source + s3, at + width


def arranged(base: Array, start: int, rows: Steps, columns: Steps, width: int, bias: Array | None = None) -> Array:
    """The flat `base` from `start` on, by four dimensions of rows and two of columns, in blocks of `width` columns."""
    (e0, s0), (e1, s1), (e2, s2), (e3, s3) = rows
    (ea, sa), (eb, sb) = columns
    tail = np.empty(0, base.dtype) if bias is None else in_order(bias)
    blocks = -(-ea * eb // width)
    panels = e0 * blocks
    out = empty(panels * (e1 * e2 * e3 + (bias is not None)) * width, base.dtype)
    if out.size:
        shared = (base, start, s0, s1, s2, s3, sa, sb, e1, e2, e3, eb, blocks, tail, out, ea * eb, width)
        _arrange[base.dtype](panels * (e1 * e2 + (bias is not None)), out.size, shared)
    return out


@cache
def _taps(kh: int, kw: int, c: int, row: int, column: int) -> NDArray[np.int64]:
    """The distances from a window's first number to all, in the order of rows, columns and channels."""
    y, x, channel = np.ogrid[:kh, :kw, :c]
    return np.ravel(y * row + x * column + channel)


def as_rows(window: Window, *images: Array) -> tuple[Array, ...]:
    """Images (n, c, h, w) as (n, c, 1, h * w), of which fewer tiles are cut short, where the window is one pixel."""
    if window != ONE_PIXEL:
        return images
    return tuple(
        [channels_first(channels_last(x).reshape(n, 1, h * w, c)) for x in images for n, c, h, w in [x.shape]]
    )


def conv2d(
    x: Array, weight: Array, bias: Array | None, window: Window, groups: int, relu: bool
) -> tuple[Array, Array]:
    """See Backend.conv2d. The result is a view of channels-last memory."""
    x = for_window(x, window)
    return cross_correlate(x, weight, bias, window, groups, relu), x


def cross_correlate(
    x: Array, weight: Array, bias: Array | None, window: Window, groups: int, relu: bool = False
) -> Array:
    """The result of `conv2d`."""
    o, c, kh, kw = weight.shape
    if is_product(window, groups, o):
        return product_of_pixels(x, in_order(weight).reshape(o, c).T, bias, relu)
    if c * kh * kw > TAPS:
        out = sum_of(cross_correlate(*part[:2], None, part[2], groups) for part in of_taps(x, weight, window, groups))
        if bias is not None:
            out = elementwise(OPS["add"], out, in_order(bias).reshape(o, 1, 1))
        return elementwise(OPS["relu"], out) if relu else out
    steps = (c * kh * kw, kh * kw, kw, 1)
    return convolve(x, in_order(weight).reshape(-1), 0, (o, c), steps, bias, window, groups, relu)


def is_product(window: Window, groups: int, channels: int) -> bool:
    """Whether a convolution is a matrix product, pixels by weights, that fills vectors."""
    return window == ONE_PIXEL and groups == 1 and channels > VECTOR_BYTES // 4


def product_of_pixels(x: Array, matrix: Array, bias: Array | None = None, relu: bool = False) -> Array:
    """The channels of each pixel of x (n, c, h, w) times the matrix (c, o): (n, o, h, w), channels-last in memory."""
    n, c, h, w = x.shape
    out = matmul(channels_last(x).reshape(n * h * w, c), matrix, bias, relu)
    return channels_first(out.reshape(n, h, w, matrix.shape[1]))


# fmt: off
def convolve(
    x: Array, weight: Array, start: int, channels: Pair, steps: tuple[int, int, int, int], bias: Array | None,
    window: Window, groups: int, relu: bool = False,
) -> Array:
    # fmt: on
    """`conv2d` with the weight in the flat `weight` from `start` on, as `steps` lead from one number to the next.

    The steps are those between output channels, input channels, rows and columns; `channels` is how many of the first
    two there are.
    """
    (n, pixel), (o, c), (so, sc, sy, sx) = x.shape[:2], channels, steps
    out = empty((n, *window.positions((x.shape[2], x.shape[3])), o), x.dtype)
    if bias is None:
        bias = np.zeros(o, x.dtype)
    (x,) = as_rows(window, x)
    oh, ow = window.positions((x.shape[2], x.shape[3]))
    pixels = for_output(window, ow, o, _TILE_ROWS[1][0], lanes(x.dtype))[0] if groups == 1 else 1
    columns = ((pixels, -window.stride[1] * sx), (o // groups, so))
    if pixels > 1:
        margin = (pixels - 1) * window.stride[1]
        weight, start, (so, sc, sy) = with_margins(weight, start, (so, sc, sy), window.kernel[1], margin)
        columns = (columns[0], (o, so))
        window, ow, o = widened(window, pixels), ow // pixels, o * pixels
    group, (kh, kw) = o // groups, window.kernel
    vectors = 1 if group <= lanes(x.dtype) else 2
    width = vectors * lanes(x.dtype)
    panels = arranged(weight, start, ((groups, group * so), (kh, sy), (kw, sx), (c, sc)), columns, width, bias)
    rows = min(_TILE_ROWS[vectors], key=lambda rows: -(-ow // rows) * rows)  # so that few pixels come twice
    flat, image = padded(x, window, rows)
    chunk_rows = max(1, -(-n * oh // IMAGE_CHUNKS))
    distances = (image[0] * image[1] * pixel, window.stride[0] * image[1] * pixel, window.stride[1] * pixel)
    taps = _taps(kh, kw, c, window.dilation[0] * image[1] * pixel, window.dilation[1] * pixel)
    part = PART if has_slack(out) else max(1, taps.size)
    work = out.size * c * kh * kw // MULTIPLY_ADDS
    counts = (chunk_rows, n, oh, ow, o, groups, c, part)
    shared = (flat, *distances, taps, panels, width, out.reshape(-1), *counts, relu)
    _CONVOLVE[rows, vectors][x.dtype](-(-n * oh // chunk_rows), work, shared)
    return channels_first(out)
