"""Convolution in tiles held in registers (see _simd); `__init__` says which shapes take which algorithm, and why.

A tile is some adjacent pixels of an output row by a block of output channels. It starts from the bias; for each tap and
input channel it adds one value per pixel times one row of weights.

    image, channels-last                           weights (kh * kw * c, block)
    +---+---+---+---+---+                          +-----------------+
    |ccc|ccc|ccc|ccc|ccc| ...   x[pixel + tap]  x  |o o o o o o o o  |  ->  tile (pixels, block)
    +---+---+---+---+---+                          +-----------------+
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stackgrad.tensor import OPS, Window
from stackgrad.tensor._plans import Plans
from stackgrad.tensor._types import HostArray as Array
from stackgrad.tensor._window import NO_PADDING

from .._channels_last import channels_first, channels_last, in_order
from .._elementwise import elementwise
from .._kernel import Kernel, named, rebind
from .._matmul import matmul
from .._memory import is_lent, maker
from .._numba import types
from .._parallel import MULTIPLY_ADDS
from .._parts import sum_of
from .._pointers import Memory, from_line, load
from .._simd import tile_from_row, tile_load, tile_multiply_add, tile_relu, tile_store
from .._width import wide_lanes, wide_lanes_of
from . import LONGEST_SUM, PRODUCT_FROM, RESULT_CHUNKS, RESULT_TILES, WEIGHTS_AT_ONCE
from ._image import Image, Images, form, inside, padding, reading, room
from ._neighbours import for_output, widened
from ._parts import of_taps
from ._planes import by_planes, fit
from ._weights import Panels, Strides, arranging

Run = Callable[[Any, Array, Array | None], tuple[Array, Images]]

ONE_PIXEL = Window((1, 1))

TILE_ROWS, TILE_VECTORS = 6, 2  # placeholders: each kernel has those of its tile

# The strides in memory from one image, row and pixel under the window to the next.
Step = namedtuple("Step", "image row pixel")

# What a kernel goes through: rows in a chunk, images, and rows and pixels in each image.
Rows = namedtuple("Rows", "each images height width")

# Output channels, groups, input channels of a group; taps, and how many of them are added at a time.
Channels = namedtuple("Channels", "out groups into taps at_once")


def _convolve(chunk, x, taps, weight, out, step, rows, channels, relu):
    """Some rows of the output, counted through all images. `taps` are offsets in the image."""
    weight = from_line(weight)
    out_group = channels.out // channels.groups
    width = TILE_VECTORS * wide_lanes_of(x)
    blocks = (out_group + width - 1) // width
    count, at_once, biases = channels.taps, channels.at_once, channels.groups * blocks * channels.taps
    dense = channels.groups == 1 and channels.out <= width and at_once >= count
    for group in range(channels.groups):
        for block in range(blocks):
            panel = group * blocks + block
            columns = out_group - block * width
            for row in range(chunk * rows.each, min(rows.images * rows.height, (chunk + 1) * rows.each)):
                start = row // rows.height * step.image + row % rows.height * step.row + group * channels.into
                for first in range(0, max(1, count), at_once):  # once even without channels: for the bias
                    for column in range(0, rows.width, TILE_ROWS):
                        left = max(0, min(column, rows.width - TILE_ROWS))  # the last tile overlaps the one before it
                        at = (row * rows.width + left) * channels.out + group * out_group + block * width
                        if first == 0:
                            tile = tile_from_row(weight, (biases + panel) * width, TILE_ROWS, TILE_VECTORS)
                        else:
                            tile = tile_load(out, at, channels.out, TILE_ROWS, TILE_VECTORS)
                        position, w = start + left * step.pixel, (panel * count + first) * width
                        for tap in range(first, min(count, first + at_once)):
                            tile = tile_multiply_add(tile, x, position + load(taps, tap), step.pixel, weight, w)
                            w += width
                        if relu and first + at_once >= count:
                            tile = tile_relu(tile)
                        tile_store(tile, out, at, channels.out, column - left, rows.width - left, columns, dense)


_CONVOLVE = {
    (rows, vectors): Kernel(
        rebind(_convolve, f"_convolve_{rows}x{vectors}", TILE_ROWS=rows, TILE_VECTORS=vectors),
        lambda T: (
            *(Memory(T), Memory(types.int64), Memory(T), Memory(T)),
            *(named(Step), named(Rows), named(Channels), types.boolean),
        ),
    )
    for vectors, heights in RESULT_TILES.items()
    for rows in heights
}


def conv2d(
    x: Images, weight: Array, bias: Array | None, window: Window, groups: int, relu: bool
) -> tuple[Array, Images]:
    """See Backend.conv2d. The result is a view of channels-last memory."""
    return find(x, weight, window, groups, relu)(x, weight, bias)


def find(x: Images, weight: Array, window: Window, groups: int, relu: bool) -> Run:
    """The plan for these operands."""
    key = (weight.dtype, form(x), weight.shape, weight.strides, window, groups, relu)
    return _plans.find(key, x, weight, window, groups, relu)


def _plan(x: Images, weight: Array, window: Window, groups: int, relu: bool) -> Run:
    o, c, kh, kw = weight.shape
    if window == ONE_PIXEL and groups == 1 and o >= PRODUCT_FROM:
        return lambda x, weight, bias: (_product(inside(x), weight[:, :, 0, 0], bias, relu), x)
    if c * kh * kw > LONGEST_SUM:
        return lambda x, weight, bias: (_in_parts(inside(x), weight, bias, window, groups, relu), x)
    if fit(window, groups, window.positions((x.shape[2], x.shape[3]))[1], o, c, weight.dtype):
        return _padded(x, window, weight.dtype, *by_planes(x.shape, weight, window, relu))
    return _by_tiles(x, weight, window, groups, relu)


_plans: Plans[Run] = Plans(_plan)


def _product(x: Array, weight: Array, bias: Array | None, relu: bool) -> Array:
    """The channels of each pixel of x (n, c, h, w) times the weight (o, c): (n, o, h, w), channels-last."""
    n, c, h, w = x.shape
    out = matmul(channels_last(x).reshape(n * h * w, c), weight.T, bias, relu)
    return channels_first(out.reshape(n, h, w, weight.shape[0]))


def _in_parts(x: Array, weight: Array, bias: Array | None, window: Window, groups: int, relu: bool) -> Array:
    """The convolution with a kernel that has too many taps for one sum."""
    parts = of_taps(x, weight, window, groups)
    out = sum_of(conv2d(some, taps, None, part, groups, False)[0] for some, taps, part in parts)
    if bias is not None:
        out = elementwise(OPS["add"], out, in_order(bias).reshape(-1, 1, 1))
    return elementwise(OPS["relu"], out) if relu else out


def _by_tiles(x: Images, weight: Array, window: Window, groups: int, relu: bool) -> Run:
    (n, channels, *size), (o, c, kh, _), dtype = x.shape, weight.shape, weight.dtype
    shape = (n, *window.positions((size[0], size[1])), o)
    height, width = (1, size[0] * size[1]) if window == ONE_PIXEL else size  # a long row has fewer partial tiles
    oh, ow = window.positions((height, width))
    pixels = for_output(window, ow, o, RESULT_TILES[1], wide_lanes(dtype))[0] if groups == 1 else 1
    wide, across, used = widened(window, pixels), ow // pixels, o * pixels // groups
    vectors = 1 if used <= wide_lanes(dtype) else 2
    tile_rows = min(RESULT_TILES[vectors], key=lambda rows: -(-across // rows) * rows)  # few are computed twice

    so, sc, sy, sx = (stride // weight.itemsize for stride in weight.strides)
    panels = Panels(
        groups, kh, wide.kernel[1], c, o // groups, used, vectors * wide_lanes(dtype),
        -window.stride[1], window.kernel[1], 1,
    )  # fmt: skip
    arrange = arranging(dtype, Strides(o // groups * so, sy, sx, sc, so), panels)

    rows, columns = window.padded((height, width))
    pitch = columns * channels
    step = Step(rows * pitch, window.stride[0] * pitch, wide.stride[1] * channels)
    taps = _taps(kh, wide.kernel[1], c, window.dilation[0] * pitch, window.dilation[1] * channels)
    each = max(1, -(-n * oh // RESULT_CHUNKS))
    over = Rows(each, n, oh, across)
    make, launch = maker(shape, dtype), _CONVOLVE[tile_rows, vectors][dtype]
    at_once = WEIGHTS_AT_ONCE if is_lent(shape, dtype) else max(1, taps.size)
    of = Channels(o * pixels, groups, c, taps.size, at_once)
    chunks, work = -(-n * oh // each), n * oh * ow * o * taps.size // MULTIPLY_ADDS

    def convolve(image: Array, weight: Array, bias: Array | None) -> Array:
        out, arranged = make(), arrange(weight, bias)
        launch(chunks, work, (image, taps, arranged, out, step, over, of, relu))
        return channels_first(out)

    return _padded(x, window, weight.dtype, max(0, tile_rows - across) * step.pixel, convolve)


def _padded(
    x: Images,
    window: Window,
    dtype: np.dtype[Any],
    beyond: int,
    convolve: Callable[[Array, Array, Array | None], Array],
) -> Run:
    """Wrap `convolve`, which takes padded images and reads `beyond` elements past them, for images like x."""
    if window.padding != NO_PADDING and not isinstance(x, Image):
        pad = padding(x, window.padding, room(x.shape[1], window.stride[1], dtype))

        def padded(x: Array, weight: Array, bias: Array | None) -> tuple[Array, Images]:
            image = pad(x)
            return convolve(image.memory, weight, bias), image

        return padded
    read = reading(x, window.padding, beyond)
    return lambda x, weight, bias: (convolve(read(x), weight, bias), x)


def _taps(kh: int, kw: int, c: int, row: int, column: int) -> NDArray[np.int64]:
    """The offsets of all taps from a window's first element, in the order of rows, columns and channels."""
    y, x, channel = np.ogrid[:kh, :kw, :c]
    return np.ravel(y * row + x * column + channel)
