"""The gradient of convolution for its weight; `__init__` says which shapes take which algorithm, and why.

A tile is some values of the image by a block of output channels. It sums over every pixel of a chunk of rows, in the
order of memory; the chunks are then summed in order (`_chunks`).

A row of the kernel reads one or more contiguous runs of the image. The rows of a tile are adjacent values of a run, or
the runs of all rows of the kernel if registers hold them. If a run fills a register and channels are few, a tile is the
channels by the runs. Images of many channels are packed first (`_packed`).
"""

from __future__ import annotations

import math
from collections import namedtuple
from collections.abc import Callable
from typing import Any

from stackgrad.tensor import Window
from stackgrad.tensor._plans import Plans
from stackgrad.tensor._types import HostArray as Array

from .._copy import full
from .._kernel import Kernel, named, rebind
from .._memory import maker
from .._numba import helper
from .._parallel import MULTIPLY_ADDS
from .._parts import sum_of
from .._pointers import Memory, load, on_stack, store
from .._simd import (
    tile_multiply_add,
    tile_multiply_add_columns,
    tile_multiply_add_runs,
    tile_store,
    tile_zeros,
)
from .._width import lanes, wide_lanes, wide_lanes_of
from . import (
    CHANNEL_TILES,
    DIRECT_TILES,
    LONGEST_ROW,
    MOST_PIXELS,
    PACK_FROM,
    SUMMED_CHANNELS,
    WHOLE_KERNELS,
)
from ._chunks import Parts, chunks_of, rows_of, sum_chunks
from ._forward import Rows, Step
from ._image import Images, form, reading
from ._input_grad import runs_of
from ._neighbours import adding_pixels, for_weights, widened
from ._packed import by_packing
from ._parts import of_pixels

Run = Callable[[Any, Any], Array]

TILE_ROWS, TILE_VECTORS, TILE_RUNS = 6, 2, 1  # placeholders: each kernel has those of its tile


def conv2d_weight_grad(x: Images, g: Images, window: Window, groups: int) -> Array:
    """See Backend.conv2d_weight_grad."""
    return _plans.find((g.dtype, form(x), form(g), window, groups), x, g, window, groups)(x, g)


def _plan(x: Images, g: Images, window: Window, groups: int) -> Run:
    (n, o, oh, ow), c, dtype = g.shape, x.shape[1] // groups, g.dtype
    make = maker((o, c, *window.kernel), dtype)
    if 0 in (o, c, n, oh, ow):
        return lambda x, g: full((o, c, *window.kernel), 0, dtype)
    if n * oh * ow > MOST_PIXELS or ow > LONGEST_ROW:
        return lambda x, g: sum_of(conv2d_weight_grad(*part, groups) for part in of_pixels(x, g, window))
    pixels = for_weights(window, ow, o, c, lanes(dtype)) if groups == 1 else 1
    if pixels == 1:
        return _summed(x, g, window, groups, 1, make)
    wide = widened(window, pixels)
    of_all = _summed(x, g, wide, 1, pixels, maker((pixels * o, c, *wide.kernel), dtype))
    add = adding_pixels((o, c, *window.kernel), dtype, window.stride[1], pixels)
    return lambda x, g: add(of_all(x, g))


_plans: Plans[Run] = Plans(_plan)


def _summed(x: Images, g: Images, window: Window, groups: int, pixels: int, make: Callable[[], Array]) -> Run:
    """The gradient if g is viewed with `pixels` adjacent pixels as one, which has `pixels` times the channels."""
    (n, o, oh, ow), dtype = g.shape, g.dtype
    of_g, c = (n, o * pixels, oh, ow // pixels), x.shape[1] // groups
    if groups == 1 and c >= PACK_FROM and o * pixels > lanes(dtype):
        sums, of = by_packing(x, g, window, of_g)
    else:
        sums, of = _directly(x, g, window, groups, of_g)
    launch, blocks, size = sum_chunks[dtype], groups * -(-c // SUMMED_CHANNELS), math.prod(of[:5])

    def run(x: Images, g: Images) -> Array:
        parts, out = sums(x, g), make()
        launch(blocks, size, (parts, out, of))
        return out

    return run


# --- directly

# The strides in the image to the tap below and to the next one; runs in a row of the kernel and in all; their length.
_Taps = namedtuple("_Taps", "down across in_row in_all length")

# Groups, channels of g in each, and columns of all tiles, which are those of the sums.
_Columns = namedtuple("_Columns", "groups channels all")


def _sum_over_pixels(chunk, x, g, out, step, g_step, rows, taps, columns):
    """The gradient of the weight (groups, runs, values of a run, columns) from some rows of g."""
    width = TILE_VECTORS * wide_lanes_of(x)
    for group in range(columns.groups):
        for o in range(0, columns.channels, width):
            for r in range(0, taps.in_all, TILE_RUNS):
                offset = group * taps.length + r // taps.in_row * taps.down + r % taps.in_row * taps.across
                for t in range(0, taps.length, TILE_ROWS):
                    tile = tile_zeros(x, TILE_ROWS, TILE_VECTORS)
                    for row in range(chunk * rows.each, min(rows.images * rows.height, (chunk + 1) * rows.each)):
                        image, y = row // rows.height, row % rows.height
                        position = image * step.image + y * step.row + offset + t
                        w = image * g_step.image + y * g_step.row + group * columns.channels + o
                        for _ in range(rows.width):
                            if TILE_RUNS == 1:
                                tile = tile_multiply_add(tile, x, position, 1, g, w)
                            else:
                                tile = tile_multiply_add_runs(tile, x, position, taps.down, g, w, TILE_RUNS)
                            position += step.pixel
                            w += g_step.pixel
                    at = (((chunk * columns.groups + group) * taps.in_all + r) * taps.length + t) * columns.all + o
                    tile_store(tile, out, at, columns.all, 0, taps.length * TILE_RUNS - t, width, False)


def _summing(rows: int, vectors: int, runs: int = 1) -> Kernel:
    name = f"_sum_over_pixels_{rows}x{vectors}" + (f"_of_{runs}" if runs > 1 else "")
    return Kernel(
        rebind(_sum_over_pixels, name, TILE_ROWS=rows, TILE_VECTORS=vectors, TILE_RUNS=runs),
        lambda T: (*[Memory(T)] * 3, named(Step), named(Step), named(Rows), named(_Taps), named(_Columns)),
    )


_SUM_OVER_PIXELS = {
    (rows, vectors): _summing(rows, vectors) for vectors, heights in DIRECT_TILES.items() for rows in heights
}
_SUM_WHOLE_KERNELS = {(runs, length): _summing(runs * length, 1, runs) for runs, length in WHOLE_KERNELS}


@helper
def _three(at, down):
    return at, at + down, at + 2 * down


def _sum_over_pixels_by_channels(chunk, x, g, out, step, g_step, rows, taps, columns):
    """Like `_sum_over_pixels`, for one group: a tile is the channels of g by the run of each row of the kernel.

    So each value of g is used for TILE_VECTORS vectors of the image.
    """
    width, lanes = TILE_ROWS, wide_lanes_of(x)
    sums = on_stack(x, 512)  # the contents of all registers
    tile = tile_zeros(x, TILE_ROWS, TILE_VECTORS)
    for row in range(chunk * rows.each, min(rows.images * rows.height, (chunk + 1) * rows.each)):
        image, y = row // rows.height, row % rows.height
        position, w = image * step.image + y * step.row, image * g_step.image + y * g_step.row
        for _ in range(rows.width):
            tile = tile_multiply_add_columns(tile, g, w, x, _three(position, taps.down))
            position += step.pixel
            w += g_step.pixel
    tile_store(tile, sums, 0, TILE_VECTORS * lanes, 0, TILE_ROWS, TILE_VECTORS * lanes, False)
    at = chunk * TILE_VECTORS * taps.length * columns.all
    for r in range(TILE_VECTORS):
        for i in range(taps.length):
            for o in range(width):
                store(out, at + o, load(sums, (o * TILE_VECTORS + r) * lanes + i))
            at += columns.all


_SUM_BY_CHANNELS = {
    (channels, runs): Kernel(
        rebind(
            *(_sum_over_pixels_by_channels, f"_sum_over_pixels_by_{channels}x{runs}"),
            TILE_ROWS=channels,
            TILE_VECTORS=runs,
        ),
        lambda T: (*[Memory(T)] * 3, named(Step), named(Step), named(Rows), named(_Taps), named(_Columns)),
    )
    for channels, runs in CHANNEL_TILES
}


def _directly(x: Images, g: Images, window: Window, groups: int, of_g: tuple[int, ...]) -> tuple[Run, Parts]:
    """A function that sums chunks of images without packing them, and the extents of these sums."""
    (n, o, oh, ow), pixel, (kh, kw), dtype = of_g, x.shape[1], window.kernel, g.dtype
    c, channels = pixel // groups, o // groups
    vectors = 1 if channels <= wide_lanes(dtype) else 2
    width = vectors * wide_lanes(dtype)
    columns = -(-channels // width) * width
    in_row, run = runs_of(window, groups, c)
    runs = kh * in_row
    chunks, each = chunks_of(n * oh, groups * runs * run, channels, dtype)
    tile_rows = min(DIRECT_TILES[vectors], key=lambda rows: -(-run // rows) * max(rows * vectors, 8))
    rows, row_pixels = window.padded((x.shape[2], x.shape[3]))
    pitch = row_pixels * pixel
    step = Step(rows * pitch, window.stride[0] * pitch, window.stride[1] * pixel)
    taps = _Taps(window.dilation[0] * pitch, window.dilation[1] * pixel, in_row, runs, run)
    of = Parts(chunks, groups, kh * kw, c, columns, c, channels)
    make, entry = maker((math.prod(of[:5]),), dtype), _SUM_OVER_PIXELS[tile_rows, vectors]
    if vectors == 1 and in_row == 1:
        entry = _SUM_WHOLE_KERNELS.get((runs, run), entry)
        if CHANNEL_TILES.get((channels, runs), run + 1) <= run <= wide_lanes(dtype):
            entry, tile_rows = _SUM_BY_CHANNELS[channels, runs], wide_lanes(dtype)
    launch = entry[dtype]
    read, read_g, (g_image, g_row) = reading(x, window.padding, -run % tile_rows), *rows_of(g, -channels % width)
    g_step, over = Step(g_image, g_row, o), Rows(each, n, oh, ow)
    work, of_columns = n * o * oh * ow * c * kh * kw // MULTIPLY_ADDS, _Columns(groups, channels, columns)

    def sums(x: Images, g: Images) -> Array:
        parts = make()
        launch(chunks, work, (read(x), read_g(g), parts, step, g_step, over, taps, of_columns))
        return parts

    return sums, of
