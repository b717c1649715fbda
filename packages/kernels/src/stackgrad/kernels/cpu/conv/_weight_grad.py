"""The gradient of convolution for its weight; which shapes go which way, and why, stands in `__init__`.

A tile is some values of the image by a block of output channels. It takes in every pixel of a chunk of rows, in the
order of memory; chunks are then summed in their order.

Directly: the rows of a tile are neighbours in a run, which is what a row of the kernel reads in one piece of the image.
Packed: the images and g, the gradient of the result, are packed first, a block of pixels at a time:

      image (channels / ROWS, pixels, ROWS)           gradient (channels / WIDTH, pixels, WIDTH)
      +------+                                        +----------------+
      |c c c |  pixel                                 |o o o o o o o o |
      |c c c |  pixel + 1      each tap begins        |o o o o o o o o |   ->  tile (ROWS, WIDTH) for each tap
      | ...  |                 at another pixel       |      ...       |
"""

from __future__ import annotations

import math
from collections import namedtuple
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stackgrad.tensor import Window
from stackgrad.tensor._plans import Plans
from stackgrad.tensor._shape import NO_PADDING

from .._channels_last import fill_with
from .._copy import full
from .._kernel import Kernel, helper, kernel, named, rebind
from .._memory import maker
from .._parallel import MULTIPLY_ADDS
from .._parts import sum_of
from .._pointers import Memory, load, on_stack, store
from .._simd import tile_load, tile_multiply_add, tile_store, tile_zeros
from .._vector import vector_at
from .._width import lanes, lanes_of, wide_lanes, wide_lanes_of
from . import (
    DIRECT_TILES,
    LARGEST_SUMMAND,
    LONGEST_ROW,
    MOST_PIXELS,
    PACK_FROM,
    PACKED_PIXELS,
    PACKED_TILES,
    SUM_CHUNKS,
    SUMMAND_ROWS,
    SUMMED_CHANNELS,
    SUMMED_COLUMNS,
)
from ._forward import ONE_PIXEL, Rows, Step
from ._image import Image, Images, form, inside, padding, reading
from ._input_grad import runs_of
from ._neighbours import adding_pixels, for_weights, widened
from ._parts import of_pixels

Array = NDArray[Any]
Pair = tuple[int, int]
Run = Callable[[Any, Any], Array]

TILE_ROWS, TILE_VECTORS = 6, 2  # stand-ins: each kernel has those of its tile

_SUMMED = SUMMED_COLUMNS * SUMMED_CHANNELS


def conv2d_weight_grad(x: Images, g: Images, window: Window, groups: int) -> Array:
    """See Backend.conv2d_weight_grad."""
    return _plans.find((g.dtype, form(x), form(g), window, groups), x, g, window, groups)(x, g)


def _plan(x: Images, g: Images, window: Window, groups: int) -> Run:
    (n, o, oh, ow), c, dtype = g.shape, x.shape[1] // groups, g.dtype
    make = maker((o, c, *window.kernel), dtype)
    if 0 in (o, c, n, oh, ow):
        return lambda x, g: full((o, c, *window.kernel), 0, dtype)
    if n * oh * ow > MOST_PIXELS or ow > LONGEST_ROW:
        return lambda x, g: sum_of(
            conv2d_weight_grad(*part, groups) for part in of_pixels(inside(x), inside(g), window)
        )
    pixels = for_weights(window, ow, o, c, lanes(dtype)) if groups == 1 else 1
    if pixels == 1:
        return _summed(x, g, window, groups, 1, make)
    wide = widened(window, pixels)
    of_all = _summed(x, g, wide, 1, pixels, maker((pixels * o, c, *wide.kernel), dtype))
    add = adding_pixels((o, c, *window.kernel), dtype, window.stride[1], pixels)
    return lambda x, g: add(of_all(x, g))


_plans: Plans[Run] = Plans(_plan)

# Extents of the sums of chunks, (chunks, groups, taps, rows, columns); channels of the image and g among these.
_Parts = namedtuple("_Parts", "chunks groups taps rows columns into out")


@kernel(lambda T: (Memory(T), Memory(T), named(_Parts)))
def _sum_chunks(block, parts, out, of):
    """SUMMED_CHANNELS input channels of a weight's gradient, summed in the chunks' order.

    These channels lie side by side in `out`, so that a line of the cache is filled at once.
    """
    blocks = (of.into + SUMMED_CHANNELS - 1) // SUMMED_CHANNELS
    group, channel = block // blocks, block % blocks * SUMMED_CHANNELS
    together = min(SUMMED_CHANNELS, of.into - channel)
    length = of.groups * of.taps * of.rows * of.columns
    totals = on_stack(parts, _SUMMED)
    for first in range(0, of.out, SUMMED_COLUMNS):
        columns = min(SUMMED_COLUMNS, of.out - first)
        for tap in range(of.taps):
            for i in range(together):
                at = ((group * of.taps + tap) * of.rows + channel + i) * of.columns + first
                to = i * SUMMED_COLUMNS
                for o in range(columns):
                    store(totals, to + o, load(parts, at + o))
                for chunk in range(1, of.chunks):
                    for o in range(columns):
                        store(totals, to + o, load(totals, to + o) + load(parts, at + chunk * length + o))
            for o in range(columns):
                to = ((group * of.out + first + o) * of.into + channel) * of.taps + tap
                for i in range(together):
                    store(out, to + i * of.taps, load(totals, i * SUMMED_COLUMNS + o))


def _summed(x: Images, g: Images, window: Window, groups: int, pixels: int, make: Callable[[], Array]) -> Run:
    """The gradient for images of g of which each row is `pixels` times as short, and has as many times the channels."""
    (n, o, oh, ow), dtype = g.shape, g.dtype
    of_g, c = (n, o * pixels, oh, ow // pixels), x.shape[1] // groups
    if groups == 1 and c >= PACK_FROM and o * pixels > lanes(dtype):
        sums, of = _by_packing(x, g, window, of_g)
    else:
        sums, of = _directly(x, g, window, groups, of_g)
    launch, blocks, size = _sum_chunks[dtype], groups * -(-c // SUMMED_CHANNELS), math.prod(of[:5])

    def run(x: Images, g: Images) -> Array:
        parts, out = sums(x, g), make()
        launch(blocks, size, (parts, out, of))
        return out

    return run


def _chunks(units: int, rows: int, channels: int, dtype: np.dtype[Any]) -> Pair:
    """How many chunks the units are summed in, each giving `rows` of channels of g, and the units in each.

    These are rounded up to vectors as all CPUs have them, on which the order of a sum may depend.
    """
    block = lanes(dtype) * (1 if channels <= lanes(dtype) else 2)
    size = rows * -(-channels // block) * block
    each = -(-units // max(1, min(SUM_CHUNKS, units, max(8, LARGEST_SUMMAND // size))))
    return -(-units // each), each


# --- directly

# How far it is in the image to the tap below and beside one; runs in a row of the kernel and in all, and their length.
_Taps = namedtuple("_Taps", "down across in_row in_all length")

# Groups, channels of g in each, and all columns of the tiles and of the sums.
_Columns = namedtuple("_Columns", "groups channels all")


def _sum_over_pixels(chunk, x, g, out, step, g_step, rows, taps, columns):
    """The gradient of the weight, (groups, runs, values of a run, columns), of some rows of g."""
    width = TILE_VECTORS * wide_lanes_of(x)
    for group in range(columns.groups):
        for o in range(0, columns.channels, width):
            for r in range(taps.in_all):
                offset = group * taps.length + r // taps.in_row * taps.down + r % taps.in_row * taps.across
                for t in range(0, taps.length, TILE_ROWS):
                    tile = tile_zeros(x, TILE_ROWS, TILE_VECTORS)
                    for row in range(chunk * rows.each, min(rows.images * rows.height, (chunk + 1) * rows.each)):
                        image, y = row // rows.height, row % rows.height
                        position = image * step.image + y * step.row + offset + t
                        w = image * g_step.image + y * g_step.row + group * columns.channels + o
                        for _ in range(rows.width):
                            tile = tile_multiply_add(tile, x, position, 1, g, w)
                            position += step.pixel
                            w += g_step.pixel
                    at = (((chunk * columns.groups + group) * taps.in_all + r) * taps.length + t) * columns.all + o
                    tile_store(tile, out, at, columns.all, 0, taps.length - t, width, False)


_SUM_OVER_PIXELS = {
    (rows, vectors): Kernel(
        rebind(_sum_over_pixels, f"_sum_over_pixels_{rows}x{vectors}", TILE_ROWS=rows, TILE_VECTORS=vectors),
        lambda T: (*[Memory(T)] * 3, named(Step), named(Step), named(Rows), named(_Taps), named(_Columns)),
    )
    for vectors, heights in DIRECT_TILES.items()
    for rows in heights
}


def _directly(x: Images, g: Images, window: Window, groups: int, of_g: tuple[int, ...]) -> tuple[Run, _Parts]:
    """What sums chunks of images as they lie, and the extents of these sums."""
    (n, o, oh, ow), pixel, (kh, kw), dtype = of_g, x.shape[1], window.kernel, g.dtype
    c, channels = pixel // groups, o // groups
    vectors = 1 if channels <= wide_lanes(dtype) else 2
    width = vectors * wide_lanes(dtype)
    columns = -(-channels // width) * width
    in_row, run = runs_of(window, groups, c)
    runs = kh * in_row
    chunks, each = _chunks(n * oh, groups * runs * run, channels, dtype)
    tile_rows = min(DIRECT_TILES[vectors], key=lambda rows: -(-run // rows) * max(rows * vectors, 8))
    rows, row_pixels = window.padded((x.shape[2], x.shape[3]))
    pitch = row_pixels * pixel
    step = Step(rows * pitch, window.stride[0] * pitch, window.stride[1] * pixel)
    taps = _Taps(window.dilation[0] * pitch, window.dilation[1] * pixel, in_row, runs, run)
    read, read_g, (g_image, g_row) = reading(x, window.padding, -run % tile_rows), *_rows(g, -channels % width)
    g_step, over = Step(g_image, g_row, o), Rows(each, n, oh, ow)
    of = _Parts(chunks, groups, kh * kw, c, columns, c, channels)
    make, launch = maker((math.prod(of[:5]),), dtype), _SUM_OVER_PIXELS[tile_rows, vectors][dtype]
    work, of_columns = n * o * oh * ow * c * kh * kw // MULTIPLY_ADDS, _Columns(groups, channels, columns)

    def sums(x: Images, g: Images) -> Array:
        parts = make()
        launch(chunks, work, (read(x), read_g(g), parts, step, g_step, over, taps, of_columns))
        return parts

    return sums, of


def _rows(g: Images, beyond: int) -> tuple[Callable[[Any], Array], Pair]:
    """What gives memory in which each row of g lies in one piece, and how far it is to the next image and row."""
    _, o, oh, ow = g.shape
    image, channel, row, pixel = (stride // g.itemsize for stride in g.strides)
    if isinstance(g, Image):
        return inside, (image, row)
    in_order = oh * ow * o, ow * o
    if (ow > 1 and pixel != o) or (o > 1 and channel != 1) or (beyond and (image, row) != in_order):
        copied = padding(g, NO_PADDING, beyond)
        return (lambda g: copied(g).memory), in_order
    return (inside, (image, row)) if not beyond else (reading(g, NO_PADDING, beyond), in_order)


# --- packed

# An operand: how far it is from one image, row, column and channel to the next; rows, columns and channels.
_Packed = namedtuple("_Packed", "image row column channel height width channels")

# Blocks in a chunk, in all and in an image; rows of g in each; and what a chunk packs.
_Blocks = namedtuple("_Blocks", "each all in_image rows length")

# The window, by rows and columns.
_Kernel = namedtuple("_Kernel", "height width down across tap_row tap top left")


@helper
def _pack_pixel(source, at, step, channels, out, to, apart, width):
    """Copy the channels of a pixel, source[at] and so on, into each panel of `width`, zeros beyond the last.

    In the first panel they begin at out[to]; panels lie `apart`.
    """
    lanes = lanes_of(source)
    for first in range(0, channels, width):
        left = channels - first
        if step == 1 and left >= (width + lanes - 1) // lanes * lanes:
            for i in range(0, width, lanes):
                tile_store(vector_at(source, at + first + i), out, to + i, 0, 0, 1, min(lanes, width - i), False)
        else:
            for i in range(width):
                store(out, to + i, load(source, at + (first + i) * step) if i < left else 0)
        to += apart


def _sum_packed(chunk, x, g, packed, out, of_x, of_g, blocks, window):
    """The gradient of the weight, (taps, panels * ROWS, columns), of some blocks of rows of g."""
    width = TILE_VECTORS * wide_lanes_of(x)
    panels, across = (of_x.channels + TILE_ROWS - 1) // TILE_ROWS, (of_g.channels + width - 1) // width
    lines = (blocks.rows - 1) * window.down + (window.height - 1) * window.tap_row + 1
    pitch = (of_g.width - 1) * window.across + (window.width - 1) * window.tap + 1
    taps, ow = window.height * window.width, of_g.width
    apart = lines * pitch * TILE_ROWS
    grads = chunk * blocks.length
    images = grads + across * blocks.rows * ow * width
    before = min(window.left, pitch)
    within = max(0, min(of_x.width, pitch - before))
    for unit in range(chunk * blocks.each, min(blocks.all, (chunk + 1) * blocks.each)):
        image, first = unit // blocks.in_image, unit % blocks.in_image * blocks.rows
        used = min(blocks.rows, of_g.height - first)
        for line in range((used - 1) * window.down + (window.height - 1) * window.tap_row + 1):
            y, to = first * window.down - window.top + line, images + line * pitch * TILE_ROWS
            start, end = to, to
            if 0 <= y < of_x.height:
                start, end = to + before * TILE_ROWS, to + (before + within) * TILE_ROWS
            for panel in range(0, panels * apart, apart):
                fill_with(packed, to + panel, start + panel, 0)
                fill_with(packed, end + panel, to + panel + pitch * TILE_ROWS, 0)
            at = image * of_x.image + y * of_x.row
            for pixel in range(start, end, TILE_ROWS):
                _pack_pixel(x, at, of_x.channel, of_x.channels, packed, pixel, apart, TILE_ROWS)
                at += of_x.column
        for row in range(used):
            at, to = image * of_g.image + (first + row) * of_g.row, grads + row * ow * width
            for pixel in range(to, to + ow * width, width):
                _pack_pixel(g, at, of_g.channel, of_g.channels, packed, pixel, blocks.rows * ow * width, width)
                at += of_g.column
        for block in range(across):
            for panel in range(panels):
                for tap in range(taps):
                    from_tap = tap // window.width * window.tap_row * pitch + tap % window.width * window.tap
                    tap_position = images + from_tap * TILE_ROWS + panel * apart
                    at = (((chunk * taps + tap) * panels + panel) * TILE_ROWS * across + block) * width
                    if unit == chunk * blocks.each:
                        tile = tile_zeros(x, TILE_ROWS, TILE_VECTORS)
                    else:
                        tile = tile_load(out, at, across * width, TILE_ROWS, TILE_VECTORS)
                    for row in range(used):
                        position = tap_position + row * window.down * pitch * TILE_ROWS
                        row_of_g = grads + (block * blocks.rows + row) * ow * width
                        for _ in range(ow):
                            tile = tile_multiply_add(tile, packed, position, 1, packed, row_of_g)
                            position += window.across * TILE_ROWS
                            row_of_g += width
                    tile_store(tile, out, at, across * width, 0, TILE_ROWS, width, False)


_SUM_PACKED = {
    (rows, vectors): Kernel(
        rebind(_sum_packed, f"_sum_packed_{rows}x{vectors}", TILE_ROWS=rows, TILE_VECTORS=vectors),
        lambda T: (*[Memory(T)] * 4, named(_Packed), named(_Packed), named(_Blocks), named(_Kernel)),
    )
    for vectors, heights in PACKED_TILES.items()
    for rows in heights
}


def _by_packing(x: Images, g: Images, window: Window, of_g: tuple[int, ...]) -> tuple[Run, _Parts]:
    """As `_directly`, for one group."""
    (n, o, oh, ow), (kh, kw), dtype = of_g, window.kernel, g.dtype
    read, image = _operand(x, 1, window)
    read_g, grad = _operand(g, g.shape[3] // ow, window)
    oh, ow = grad.height, grad.width
    c = image.channels
    vectors = 1 if o <= wide_lanes(dtype) else 2
    tile_rows, width = min(PACKED_TILES[vectors], key=lambda rows: -(-c // rows) * rows), vectors * wide_lanes(dtype)
    panel_rows, columns = -(-c // tile_rows) * tile_rows, -(-o // width) * width
    in_image = min(oh, -(-oh * ow // PACKED_PIXELS))
    rows = -(-oh // in_image)
    in_image = -(-oh // rows)
    chunks, each = _chunks(n * in_image, kh * kw * -(-c // SUMMAND_ROWS) * SUMMAND_ROWS, o, dtype)
    lines, pitch = (rows - 1) * window.stride[0] + window.span[0], (ow - 1) * window.stride[1] + window.span[1]
    length = columns * rows * ow + -(-panel_rows * lines * pitch // wide_lanes(dtype)) * wide_lanes(dtype)
    blocks = _Blocks(each, n * in_image, in_image, rows, length)
    by = _Kernel(kh, kw, *window.stride, *window.dilation, window.padding[0][0], window.padding[1][0])
    of = _Parts(chunks, 1, kh * kw, panel_rows, columns, c, o)
    pack, make = maker((chunks * length,), dtype), maker((math.prod(of[:5]),), dtype)
    launch = _SUM_PACKED[tile_rows, vectors][dtype]
    work = n * o * oh * ow * c * kh * kw // MULTIPLY_ADDS

    def sums(x: Images, g: Images) -> Array:
        parts = make()
        launch(chunks, work, (read(x), read_g(g), pack(), parts, image, grad, blocks, by))
        return parts

    return sums, of


def _operand(x: Images, pixels: int, window: Window) -> tuple[Callable[[Any], Array], _Packed]:
    """What gives the memory of an operand, and how it lies there, `pixels` neighbours taken as one.

    Where the window is one pixel, rows follow one another: of one long row fewer blocks are cut short.
    """
    _, c, h, w = x.shape
    if window == ONE_PIXEL:
        return reading(x, NO_PADDING, 0), _Packed(h * w * c, h * w * c, c, 1, 1, h * w, c)
    image, channel, row, column = (stride // x.itemsize for stride in x.strides)
    if pixels == 1:
        return inside, _Packed(image, row, column, channel, h, w, c)
    read, (image, row) = _rows(x, 0)
    return read, _Packed(image, row, pixels * c, 1, h, w // pixels, pixels * c)
