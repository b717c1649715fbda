"""The gradient of convolution for its weight, with many channels: images are packed, a block of pixels at a time.

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

from stackgrad.tensor import Window
from stackgrad.tensor._types import HostArray as Array
from stackgrad.tensor._window import NO_PADDING

from .._channels_last import fill_with
from .._kernel import Kernel, named, rebind
from .._memory import maker
from .._numba import helper
from .._parallel import MULTIPLY_ADDS
from .._pointers import Memory, load, store
from .._simd import tile_load, tile_multiply_add, tile_store, tile_zeros
from .._vector import vector_at
from .._width import lanes_of, wide_lanes, wide_lanes_of
from . import PACKED_PIXELS, PACKED_TILES, SUMMAND_ROWS
from ._chunks import Parts, chunks_of, rows_of
from ._forward import ONE_PIXEL
from ._image import Images, inside, reading

Run = Callable[[Any, Any], Array]

TILE_ROWS, TILE_VECTORS = 6, 2  # placeholders: each kernel has those of its tile

# An operand: the strides of images, rows, columns and channels; and its rows, columns and channels.
_Packed = namedtuple("_Packed", "image row column channel height width channels")

# Blocks in a chunk, in all and in an image; rows of g in each; and the elements that a chunk packs.
_Blocks = namedtuple("_Blocks", "each all in_image rows length")

# The window: its size, stride, dilation and padding.
_Kernel = namedtuple("_Kernel", "height width down across tap_row tap top left")


@helper
def _pack_pixel(source, at, step, channels, out, to, apart, width):
    """Copy the channels of a pixel, from source[at] on, to panels of `width` channels, with zeros after the last.

    They begin at out[to] in the first panel; panels are `apart` elements apart.
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
    """The gradient of the weight (taps, panels * ROWS, columns) from some blocks of rows of g."""
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


def by_packing(x: Images, g: Images, window: Window, of_g: tuple[int, ...]) -> tuple[Run, Parts]:
    """A function that sums chunks of packed images, with one group, and the extents of these sums."""
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
    chunks, each = chunks_of(n * in_image, kh * kw * -(-c // SUMMAND_ROWS) * SUMMAND_ROWS, o, dtype)
    lines, pitch = (rows - 1) * window.stride[0] + window.span[0], (ow - 1) * window.stride[1] + window.span[1]
    length = columns * rows * ow + -(-panel_rows * lines * pitch // wide_lanes(dtype)) * wide_lanes(dtype)
    blocks = _Blocks(each, n * in_image, in_image, rows, length)
    by = _Kernel(kh, kw, *window.stride, *window.dilation, window.padding[0][0], window.padding[1][0])
    of = Parts(chunks, 1, kh * kw, panel_rows, columns, c, o)
    pack, make = maker((chunks * length,), dtype), maker((math.prod(of[:5]),), dtype)
    launch = _SUM_PACKED[tile_rows, vectors][dtype]
    work = n * o * oh * ow * c * kh * kw // MULTIPLY_ADDS

    def sums(x: Images, g: Images) -> Array:
        parts = make()
        launch(chunks, work, (read(x), read_g(g), pack(), parts, image, grad, blocks, by))
        return parts

    return sums, of


def _operand(x: Images, pixels: int, window: Window) -> tuple[Callable[[Any], Array], _Packed]:
    """A function that gives the memory of an operand, and its layout there, with `pixels` adjacent pixels as one.

    If the window is one pixel, an image is one long row, which has fewer partial blocks.
    """
    _, c, h, w = x.shape
    if window == ONE_PIXEL:
        return reading(x, NO_PADDING, 0), _Packed(h * w * c, h * w * c, c, 1, 1, h * w, c)
    image, channel, row, column = (stride // x.itemsize for stride in x.strides)
    if pixels == 1:
        return inside, _Packed(image, row, column, channel, h, w, c)
    read, (image, row) = rows_of(x, 0)
    return read, _Packed(image, row, pixels * c, 1, h, w // pixels, pixels * c)
