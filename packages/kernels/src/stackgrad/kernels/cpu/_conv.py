"""Convolution and its gradients, directly on channels-last images, in tiles held in registers (see _simd).

Forward: a tile is ROWS neighbouring pixels of an output row by a block of output channels; it starts from the bias
and takes in, for each tap and input channel, one number a pixel times one row of weights.

    image, channels-last                           weights (kh * kw * c, channels)
    +---+---+---+---+---+                          +-----------------+
    |ccc|ccc|ccc|ccc|ccc| ...   x[pixel + tap]  x  |o o o o o o o o  |  ->  tile (ROWS pixels, channels)
    +---+---+---+---+---+                          +-----------------+

With undilated columns and one group the taps of a row of the kernel lie side by side in the image, and make one run of
kw * c numbers; else each tap is a run of c.

The gradient for the input goes the other way: a tile is ROWS neighbouring pixels of the result's gradient by a block
of a run; it takes in, for each output channel and each row of the kernel that leads to the same row of the image, one
number a pixel times one row of weights (channels, run), and is then added to the image where each pixel's run lies.

The gradient for the weights has a tile of ROWS numbers of a run by a block of output channels, which takes in every
pixel of a chunk of rows; chunks are summed in their order.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from stackgrad.tensor import Window

from ._buffers import empty
from ._jit import Kernel, kernel, rebind
from ._layout import channels_first, channels_last, in_order, readable_beyond, spread
from ._on_host import on_host
from ._parallel import MULTIPLY_ADDS, SERIAL
from ._simd import (
    VECTOR_BYTES,
    lanes,
    load,
    store,
    tile_add,
    tile_from_row,
    tile_multiply_add,
    tile_relu,
    tile_store,
    tile_zeros,
)

Array = NDArray[Any]
Pair = tuple[int, int]

ROWS, VECTORS = 6, 2  # stand-ins: each kernel below is compiled for outputs of one vector's width and for wider ones
BACK_ROWS, BACK_VECTORS = 5, 2
IMAGE_CHUNKS = 32
WEIGHT_CHUNKS = 16
ARRANGED_ROWS = 64
LARGEST_SUMMAND = 2**24  # elements of all chunks of a weights' gradient together


# fmt: off
def _convolve(
    chunk, x, image_pitch, y_step, x_step, tap_y, tap_x, weight, width, out,
    rows, n, oh, ow, out_c, groups, c, kh, runs, run, relu,
):
    # fmt: on
    """`rows` rows of the output, counted through all images. Pitch, steps and taps are distances in the flat x.

    `weight` is (groups, kh, runs, run, channels), and after it the bias (groups, channels).
    """
    out_group = out_c // groups
    channels = weight.size // (groups * (kh * runs * run + 1))
    for group in range(groups):
        for o in range(0, out_group, width):
            for row in range(chunk * rows, min(n * oh, (chunk + 1) * rows)):
                start = row // oh * image_pitch + row % oh * y_step + group * c
                for column in range(0, ow, ROWS):
                    left = max(0, min(column, ow - ROWS))  # the last tile overlaps the one before it
                    w = group * kh * runs * run * channels + o
                    tile = tile_from_row(weight, weight.size - (groups - group) * channels + o, ROWS, VECTORS)
                    for i in range(kh):
                        for j in range(runs):
                            position = start + left * x_step + i * tap_y + j * tap_x
                            for _ in range(run):
                                tile = tile_multiply_add(tile, x, position, x_step, weight, w)
                                position += 1
                                w += channels
                    if relu:
                        tile = tile_relu(tile)
                    at = (row * ow + left) * out_c + group * out_group + o
                    tile_store(tile, out, at, out_c, ow - left, out_group - o, groups == 1 and out_c <= width)


# fmt: off
@kernel(lambda T: (T[::1], T[::1], T[::1], T[::1], *[types.intp] * 20))
def _send_back(
    chunk, g, weight, image, padded, rows, n, height, length, above, before, padded_length,
    oh, ow, groups, c, channels, kh, runs, run, columns, y_step, x_step, tap_y, tap_x,
):
    # fmt: on
    """`rows` rows of the image's gradient, (n, height, length), above and before which lies the padding.

    A row is added up in the chunk's own part of `padded`, which has room for the padding too. `weight` is (groups, kh,
    runs, channels, columns), of which `run` columns are used. `y_step` and `tap_y` count rows, `x_step`, `tap_x` and
    lengths numbers.
    """
    g_pixel, block, start = groups * channels, BACK_VECTORS * (VECTOR_BYTES // g.itemsize), chunk * padded_length
    for row in range(chunk * rows, min(n * height, (chunk + 1) * rows)):
        top = row % height + above
        for e in range(start, start + padded_length):
            store(padded, e, 0)
        for group in range(groups):
            for j in range(runs):
                for column in range(0, run, block):
                    for x in range(0, ow, BACK_ROWS):
                        left = max(0, min(x, ow - BACK_ROWS))  # the last tile leaves out what the one before it had
                        tile = tile_zeros(g, BACK_ROWS, BACK_VECTORS)
                        for i in range(kh):
                            y = top - i * tap_y
                            if y_step > 1:
                                y = y // y_step if y % y_step == 0 else -1
                            if 0 <= y < oh:
                                position = ((row // height * oh + y) * ow + left) * g_pixel + group * channels
                                w = ((group * kh + i) * runs + j) * channels * columns + column
                                for _ in range(channels):
                                    tile = tile_multiply_add(tile, g, position, g_pixel, weight, w)
                                    position += 1
                                    w += columns
                        at = start + left * x_step + j * tap_x + group * c + column
                        tile_add(tile, padded, at, x_step, x - left, ow - left, run - column)
        for e in range(length):
            store(image, row * length + e, load(padded, start + before + e))


# fmt: off
def _sum_over_pixels(
    chunk, x, image_pitch, y_step, x_step, tap_y, tap_x, g, channels, width, out, columns,
    rows, n, oh, ow, groups, runs, run, taps_in_row,
):
    # fmt: on
    """The gradient of the weights, (groups, runs * run, columns), of `rows` rows of g; a run is `run` numbers of x."""
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
                    at = (((chunk * groups + group) * runs + r) * run + t) * columns + o
                    tile_store(tile, out, at, columns, run - t, width, False)


_TILE_ROWS = {1: 14, 2: 5}
_CONVOLVE = {
    vectors: Kernel(
        rebind(_convolve, f"_convolve_{rows}x{vectors}", ROWS=rows, VECTORS=vectors),
        lambda T: (T[::1], *[types.intp] * 5, T[::1], types.intp, T[::1], *[types.intp] * 10, types.boolean),
    )
    for vectors, rows in _TILE_ROWS.items()
}
_SUM_OVER_PIXELS = {
    vectors: Kernel(
        rebind(_sum_over_pixels, f"_sum_over_pixels_{rows}x{vectors}", ROWS=rows, VECTORS=vectors),
        lambda T: (T[::1], *[types.intp] * 5, T[::1], *[types.intp] * 2, T[::1], *[types.intp] * 9),
    )
    for rows, vectors in ((6, 1), (6, 2))
}
_SLACK = 14  # pixels that a tile may read beyond the last row


@kernel(lambda T: (T[::1], *[types.intp] * 10, T[::1], T[::1], *[types.intp] * 2))
def _arrange(chunk, weight, s0, s1, s2, s3, sa, sb, e1, e2, e3, eb, bias, out, used, width):
    """ARRANGED_ROWS rows of a weight in another order: rows by four dimensions of strides s, columns by two, (a, b).

    A row has `width` columns, zeros beyond those `used`. The last rows are the bias.
    """
    total = out.size // width
    rows = total - bias.size // used
    for row in range(chunk * ARRANGED_ROWS, min(total, (chunk + 1) * ARRANGED_ROWS)):
        source = row // (e1 * e2 * e3) * s0 + row // (e2 * e3) % e1 * s1 + row // e3 % e2 * s2 + row % e3 * s3
        for o in range(width):
            if o >= used:
                store(out, row * width + o, 0)
            elif row < rows:
                store(out, row * width + o, load(weight, source + o // eb * sa + o % eb * sb))
            else:
                store(out, row * width + o, load(bias, (row - rows) * used + o))


@kernel(lambda T: (T[::1], T[::1], *[types.intp] * 6))
def _sum_chunks(row, parts, out, chunks, rows, channels, width, c, taps):
    """One row, a tap and channel of the input, of a weight's gradient: (chunks, rows, width) summed in their order."""
    for o in range(channels):
        total = load(parts, row * width + o)
        for chunk in range(1, chunks):
            total += load(parts, (chunk * rows + row) * width + o)
        store(out, ((row // (taps * c) * channels + o) * c + row % c) * taps + row // c % taps, total)


@on_host
def _clear(out: Array) -> None:
    out.fill(0)


def _vectors(channels: int, dtype: np.dtype[Any]) -> int:
    return 1 if channels <= lanes(dtype) else 2


def _runs(window: Window, groups: int, c: int) -> Pair:
    """The runs in a row of the kernel, and the numbers in each."""
    kw = window.kernel[1]
    return (1, kw * c) if window.dilation[1] == 1 and groups == 1 else (kw, c)


def _arranged(weight: Array, rows: Any, columns: Any, width: int, bias: Array | None = None) -> Array:
    """The weight (o, c, kh, kw) by rows and columns; both are given as (extent, distance in the weight) a dimension."""
    (e0, s0), (e1, s1), (e2, s2), (e3, s3) = rows
    (ea, sa), (eb, sb) = columns
    flat, tail = in_order(weight).reshape(-1), np.empty(0, weight.dtype) if bias is None else in_order(bias)
    count = e0 * e1 * e2 * e3 + tail.size // max(1, ea * eb)
    out = empty(count * width, weight.dtype)
    if out.size:
        shared = (flat, s0, s1, s2, s3, sa, sb, e1, e2, e3, eb, tail, out, ea * eb, width)
        _arrange[weight.dtype](-(-count // ARRANGED_ROWS), out.size < SERIAL, shared)
    return out


def _padded(x: Array, window: Window, rows: int) -> tuple[Array, Pair]:
    """x (n, c, h, w) flat and channels-last with the window's padding, and its rows and columns.

    Tiles of `rows` pixels may read so many beyond the end, where the result has fewer columns.
    """
    size = window.padded((x.shape[2], x.shape[3]))
    last = channels_last(x)
    if size == x.shape[2:] and window.positions(size)[1] >= rows:
        return readable_beyond(last), size
    slack = _SLACK * window.stride[1] * x.shape[1]
    return spread(last, size, (window.padding[0][0], window.padding[1][0]), slack=slack), size


def conv2d_relu(x: Array, weight: Array, bias: Array | None, window: Window, groups: int) -> Array:
    """See Backend.conv2d_relu. The result is a view of channels-last memory."""
    return conv2d(x, weight, bias, window, groups, relu=True)


def conv2d(
    x: Array, weight: Array, bias: Array | None, window: Window, groups: int, relu: bool = False
) -> Array:
    """See Backend.conv2d. The result is a view of channels-last memory."""
    (n, pixel), (o, c, kh, kw) = x.shape[:2], weight.shape
    channels = o // groups
    vectors = _vectors(channels, x.dtype)
    width = vectors * lanes(x.dtype)
    if bias is None:
        bias = np.zeros(o, x.dtype)
    taps = kh * kw
    rows = ((groups, channels * c * taps), (kh, kw), (kw, 1), (c, taps))
    arranged = _arranged(weight, rows, ((1, 0), (channels, c * taps)), -(-channels // width) * width, bias)
    flat, image = _padded(x, window, _TILE_ROWS[vectors])
    oh, ow = window.positions((x.shape[2], x.shape[3]))
    out = empty((n, oh, ow, o), x.dtype)
    chunk_rows = max(1, -(-n * oh // IMAGE_CHUNKS))
    steps = (image[0] * image[1] * pixel, window.stride[0] * image[1] * pixel, window.stride[1] * pixel)
    tap_steps = (window.dilation[0] * image[1] * pixel, window.dilation[1] * pixel)
    counts = (chunk_rows, n, oh, ow, o, groups, c, kh, *_runs(window, groups, c), relu)
    serial = out.size * c * taps < SERIAL * MULTIPLY_ADDS
    shared = (flat, *steps, *tap_steps, arranged, width, out.reshape(-1), *counts)
    _CONVOLVE[vectors][x.dtype](-(-n * oh // chunk_rows), serial, shared)
    return channels_first(out)


def conv2d_input_grad(g: Array, weight: Array, size: Pair, window: Window, groups: int) -> Array:
    """See Backend.conv2d_input_grad. The result is a view of channels-last memory."""
    (n, o, oh, ow), (_, c, kh, kw) = g.shape, weight.shape
    channels, taps, block = o // groups, kh * kw, BACK_VECTORS * lanes(g.dtype)
    runs, run = _runs(window, groups, c)
    columns = -(-run // block) * block
    rows = ((groups, channels * c * taps), (kh, kw), (runs, 1), (channels, c * taps))
    arranged = _arranged(weight, rows, ((kw // runs, 1), (c, taps)), columns)
    last = channels_last(g)
    flat = last.reshape(-1) if ow >= BACK_ROWS else spread(last, (oh, ow), (0, 0), slack=BACK_ROWS * o)
    (height, width), ((top, _), (left, _)), pixel = size, window.padding, groups * c
    out = empty((n, height, width, pixel), g.dtype)
    if out.size:
        chunk_rows = max(1, -(-n * height // IMAGE_CHUNKS))
        chunks = -(-n * height // chunk_rows)
        length = window.padded(size)[1] * pixel
        steps = (window.stride[0], window.stride[1] * pixel, window.dilation[0], window.dilation[1] * pixel)
        image = (chunk_rows, n, height, width * pixel, top, left * pixel, length)
        counts = (oh, ow, groups, c, channels, kh, runs, run, columns)
        shared = (flat, arranged, out.reshape(-1), empty(chunks * length, g.dtype), *image, *counts, *steps)
        _send_back[g.dtype](chunks, g.size * c * taps < SERIAL * MULTIPLY_ADDS, shared)
    return channels_first(out)


def conv2d_weight_grad(x: Array, g: Array, window: Window, groups: int) -> Array:
    """See Backend.conv2d_weight_grad."""
    flat, image = _padded(x, window, 1)
    (n, o, oh, ow), c, (kh, kw) = g.shape, x.shape[1] // groups, window.kernel
    channels = o // groups
    vectors = _vectors(channels, x.dtype)
    width = vectors * lanes(x.dtype)
    columns = -(-channels // width) * width
    runs_in_row, run = _runs(window, groups, c)
    runs = kh * runs_in_row
    chunks = max(1, min(WEIGHT_CHUNKS, n * oh, LARGEST_SUMMAND // max(1, groups * runs * run * columns)))
    rows = max(1, -(-n * oh // chunks))
    chunks = -(-n * oh // rows)
    parts = empty(chunks * groups * runs * run * columns, x.dtype)
    out = empty((o, c, kh, kw), x.dtype)
    if not parts.size:
        _clear(out)
    else:
        pixel = groups * c
        steps = (image[0] * image[1] * pixel, window.stride[0] * image[1] * pixel, window.stride[1] * pixel)
        taps = (window.dilation[0] * image[1] * pixel, window.dilation[1] * pixel)
        counts = (rows, n, oh, ow, groups, runs, run, runs_in_row)
        g_flat = readable_beyond(channels_last(g))
        shared = (flat, *steps, *taps, g_flat, channels, width, parts, columns, *counts)
        serial = g.size * c * kh * kw < SERIAL * MULTIPLY_ADDS
        _SUM_OVER_PIXELS[vectors][x.dtype](chunks, serial, shared)
        total = (parts, out.reshape(-1), chunks, groups * runs * run, channels, columns, c, kh * kw)
        _sum_chunks[x.dtype](groups * runs * run, parts.size < SERIAL, total)
    return out
