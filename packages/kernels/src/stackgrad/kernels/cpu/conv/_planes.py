"""Convolution with few output channels: the lanes of a vector are adjacent pixels of a row.

A tile is the output channels by adjacent pixels: a weight, broadcast to all lanes, multiplies a vector of one plane of
the image. Few lanes are idle, while a tile with channels as lanes would leave many idle. An image of one channel is a
plane already; of other images a chunk first copies the rows that it needs to planes. The result is channels-last.

    rows of an image, channels-last       planes (c, rows, pitch)
    |abc|abc|abc|abc| ...                 |aaaa ...   |bbbb ...   |cccc ...
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from typing import Any

import numpy as np

from stackgrad.tensor import Window
from stackgrad.tensor._types import HostArray as Array

from .._channels_last import channels_first
from .._kernel import Kernel, named, rebind
from .._memory import maker
from .._numba import helper, types
from .._parallel import MULTIPLY_ADDS
from .._pointers import Memory, from_line, load
from .._simd import tile_multiply_add_columns, tile_relu, tile_store
from .._transposed import tile_from_column, tile_of_planes, tile_store_pixels
from .._width import IS_WIDE, wide_lanes, wide_lanes_of
from . import PLANE_INPUTS, PLANE_OUTPUTS, RESULT_CHUNKS, RESULT_TILES
from ._neighbours import for_output
from ._weights import Panels, Strides, arranging


@helper
def _of_one_row(at, apart, down):
    return at, at + apart


@helper
def _of_two_rows(at, apart, down):
    return at, at + apart, at + down, at + down + apart


# Placeholders: each kernel has its own channels, and tiles of two rows if there are registers for them.
TILE_ROWS, INPUTS = 4, 1
TILE_VECTORS, OFFSETS = (4, _of_two_rows) if IS_WIDE else (2, _of_one_row)

# The strides in memory from one image and one row under the window to the next.
_Step = namedtuple("_Step", "image row")

# Rows of the result in a chunk, images, and rows and pixels in each; taps, including input channels.
_Rows = namedtuple("_Rows", "each images height width taps")

# Image rows under a window, and the stride between windows; an image's row; of planes: pitch, size, a chunk's part.
_Packed = namedtuple("_Packed", "span down row pitch plane own")


def _convolve_planes(chunk, x, taps, weight, planes, out, step, rows, packed, relu):
    """Some rows of the output, counted through all images. `taps` are offsets in the planes."""
    weight, lanes = from_line(weight), wide_lanes_of(x)
    end = min(rows.images * rows.height, (chunk + 1) * rows.each)
    next_row = chunk * rows.each
    while next_row < end:
        image, first = next_row // rows.height, next_row % rows.height
        count = min(end - next_row, rows.height - first)
        source, start, down = image * step.image + first * step.row, chunk * packed.own, packed.down * packed.pitch
        if INPUTS == 1:
            start, down = source, step.row
        else:
            for line in range((count - 1) * packed.down + packed.span):
                at, to = source + line * packed.row, start + line * packed.pitch
                for column in range(0, packed.pitch, lanes):
                    tile = tile_of_planes(x, at + column * INPUTS, INPUTS)
                    tile_store(tile, planes, to + column, packed.plane, 0, INPUTS, lanes, False)
        for row in range(0, count, TILE_VECTORS // 2):
            below = min(1, count - 1 - row)  # an odd last row is computed twice
            for column in range(0, rows.width, 2 * lanes):
                left = min(column, rows.width - lanes)  # the last tiles overlap those before them
                apart = min(lanes, rows.width - lanes - left)
                tile = tile_from_column(weight, rows.taps * TILE_ROWS, TILE_ROWS, TILE_VECTORS)
                position, w = start + row * down + left, 0
                for tap in range(rows.taps):
                    offsets = OFFSETS(position + load(taps, tap), apart, below * down)
                    if INPUTS == 1:
                        tile = tile_multiply_add_columns(tile, weight, w, x, offsets)
                    else:
                        tile = tile_multiply_add_columns(tile, weight, w, planes, offsets)
                    w += TILE_ROWS
                if relu:
                    tile = tile_relu(tile)
                to = ((next_row + row) * rows.width + left) * TILE_ROWS
                tile_store_pixels(tile, out, OFFSETS(to, apart * TILE_ROWS, below * rows.width * TILE_ROWS))
        next_row += count


_CONVOLVE = {
    (outputs, inputs): Kernel(
        rebind(_convolve_planes, f"_convolve_planes_{inputs}to{outputs}", TILE_ROWS=outputs, INPUTS=inputs),
        lambda T: (
            *(Memory(T), Memory(types.int64), Memory(T), Memory(T), Memory(T)),
            *(named(_Step), named(_Rows), named(_Packed), types.boolean),
        ),
    )
    for outputs in PLANE_OUTPUTS
    for inputs in PLANE_INPUTS
}


def fit(window: Window, groups: int, columns: int, o: int, c: int, dtype: np.dtype[Any]) -> bool:
    """Whether planes take fewer multiply-adds for such a convolution, with `columns` pixels in an output row."""
    lanes = wide_lanes(dtype)
    if groups > 1 or window.stride[1] > 1 or o not in PLANE_OUTPUTS or c not in PLANE_INPUTS or columns < lanes:
        return False
    _, of_tiles = for_output(window, columns, o, RESULT_TILES[1], lanes)
    return 2 * -(-columns // (2 * lanes)) * o * window.kernel[1] < of_tiles


def by_planes(
    shape: tuple[int, ...], weight: Array, window: Window, relu: bool
) -> tuple[int, Callable[[Array, Array, Array | None], Array]]:
    """How many elements past the padded images it reads, and a function that convolves channels-last images.

    The function takes the memory of images (n, c, h, w) with their padding.
    """
    (n, c, h, w), (o, _, kh, kw), dtype = shape, weight.shape, weight.dtype
    oh, ow = window.positions((h, w))
    lines, columns = window.padded((h, w))
    lanes = wide_lanes(dtype)
    panels = Panels(1, kh, kw, c, o, o, o, 0, kw, 1)
    so, sc, sy, sx = (stride // weight.itemsize for stride in weight.strides)
    arrange = arranging(dtype, Strides(o * so, sy, sx, sc, so), panels)

    each = max(1, -(-n * oh // RESULT_CHUNKS))
    row, span = columns * c, window.span[0]
    pitch = row if c == 1 else -(-columns // lanes) * lanes
    plane = ((min(each, oh) - 1) * window.stride[0] + span) * pitch
    chunks, work = -(-n * oh // each), n * oh * ow * o * c * kh * kw // MULTIPLY_ADDS
    y, x, channel = np.ogrid[:kh, :kw, :c]
    taps = np.ravel(channel * plane + y * window.dilation[0] * pitch + x * window.dilation[1])
    step, over = _Step(lines * row, window.stride[0] * row), _Rows(each, n, oh, ow, taps.size)
    packed = _Packed(span, window.stride[0], row, pitch, plane, c * plane)
    make = maker((n, oh, ow, o), dtype)
    make_planes = maker((chunks * c * plane if c > 1 else 1,), dtype)
    launch = _CONVOLVE[o, c][dtype]

    def convolve(image: Array, weight: Array, bias: Array | None) -> Array:
        out = make()
        launch(chunks, work, (image, taps, arrange(weight, bias), make_planes(), out, step, over, packed, relu))
        return channels_first(out)

    return (lanes * c if c > 1 else 0), convolve
