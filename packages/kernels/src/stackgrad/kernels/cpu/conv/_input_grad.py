"""The gradient of convolution for its input; `__init__` says which shapes take which algorithm, and why.

Flipped: the gradient is the convolution of g, the gradient of the result, with the weight, its input and output
channels swapped and its rows and columns reversed (docs/convolution.md).

Sent back: a row of the kernel reads one or more contiguous runs of the image. A tile is some pixels of g by a block of
a run. For each output channel, and each row of the kernel that leads to the same row of the image, it adds one value
per pixel times one row of weights (channels, run). Then it is added to the runs of the image.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from stackgrad.tensor import Window
from stackgrad.tensor._plans import Plans
from stackgrad.tensor._types import HostArray as Array
from stackgrad.tensor._types import Pair
from stackgrad.tensor._window import NO_PADDING

from .._channels_last import channels_first, copy, fill_with
from .._kernel import Kernel, named, rebind
from .._memory import maker
from .._parallel import MULTIPLY_ADDS
from .._parts import sum_of
from .._pointers import Memory, from_line
from .._simd import register_of, tile_add, tile_load, tile_multiply_add, tile_store, tile_zeros
from .._width import IS_WIDE, VECTOR_BYTES, lanes, wide_lanes, wide_lanes_of
from . import FLIP_BELOW, FLIP_FROM, FLIP_ROWS, LONGEST_SUM, PRODUCT_FROM, RESULT_CHUNKS, SENT_ROWS, _forward
from ._image import Images, form, inside, reading
from ._neighbours import for_output
from ._parts import of_outputs
from ._weights import Panels, Strides, arranging

Run = Callable[[Any, Array], Array]

TILE_ROWS, TILE_VECTORS, SECOND_LATER = 6, 2, False  # placeholders: each kernel has those of its tile

# Rows of the image's gradient in a chunk; images, their rows, the length of a row; the padding above and before; the
# length of a padded row; and that of a chunk's own part of `padded`: a row, and then tiles.
_Inside = namedtuple("_Inside", "each images height length above before padded_length own")

# Rows and pixels of g, and the stride in pixels between the pixels of a tile.
_Over = namedtuple("_Over", "height width apart")

# Groups, input and output channels of a group; rows of the kernel, runs in each, and values in a run.
_Runs = namedtuple("_Runs", "groups into out rows in_row length")

# The strides of pixels of g and of taps: in rows, and in values of a row.
_Moves = namedtuple("_Moves", "row column tap_row tap")


def _send_back(chunk, g, weight, image, padded, of, over, runs, by):
    """Some rows of the image's gradient. A row is summed in the chunk's own part of `padded`.

    `weight` is (groups, blocks of a run, rows of the kernel, runs, output channels, block). If a block is two registers
    of 64 bytes, the second ones are added only after the first ones of all tiles, as if they were the next block: so
    the order of sums is the same on any CPU.
    """
    weight = from_line(weight)
    block, start, lanes = TILE_VECTORS * wide_lanes_of(g), chunk * of.own, wide_lanes_of(g)
    g_pixel, blocks = runs.groups * runs.out, (runs.length + block - 1) // block
    apart = over.apart
    for row in range(chunk * of.each, min(of.images * of.height, (chunk + 1) * of.each)):
        first_y, top = row // of.height * over.height, row % of.height + of.above
        fill_with(padded, start, start + of.padded_length, 0)
        for panel in range(runs.groups * blocks):
            group, column = panel // blocks, panel % blocks * block
            for j in range(runs.in_row):
                for x in range(apart):
                    tile = tile_zeros(g, TILE_ROWS, TILE_VECTORS)
                    for i in range(runs.rows):
                        y = top - i * by.tap_row
                        if by.row > 1:
                            y = y // by.row if y % by.row == 0 else -1
                        if 0 <= y < over.height:
                            position = ((first_y + y) * over.width + x) * g_pixel + group * runs.out
                            w = ((panel * runs.rows + i) * runs.in_row + j) * runs.out * block
                            for _ in range(runs.out):
                                tile = tile_multiply_add(tile, g, position, apart * g_pixel, weight, w)
                                position += 1
                                w += block
                    at = start + x * by.column + j * by.tap + group * runs.into + column
                    rows, used = (over.width - x + apart - 1) // apart, runs.length - column
                    if SECOND_LATER:
                        tile_add(register_of(tile, 0), padded, at, apart * by.column, rows, used, True)
                        to = start + of.padded_length + x * TILE_ROWS * lanes
                        tile_store(register_of(tile, 1), padded, to, lanes, 0, TILE_ROWS, lanes, False)
                    else:
                        tile_add(tile, padded, at, apart * by.column, rows, used, True)
                for x in range(apart if SECOND_LATER else 0):
                    source = start + of.padded_length + x * TILE_ROWS * lanes
                    tile = tile_load(padded, source, lanes, TILE_ROWS, 1)
                    at = start + x * by.column + j * by.tap + group * runs.into + column + lanes
                    rows, used = (over.width - x + apart - 1) // apart, runs.length - column - lanes
                    tile_add(tile, padded, at, apart * by.column, rows, used, True)
        copy(padded, start + of.before, image, row * of.length, of.length)


_SEND_BACK = {
    (rows, vectors): Kernel(
        rebind(
            *(_send_back, f"_send_back_{rows}x{vectors}"),
            TILE_ROWS=rows,
            TILE_VECTORS=vectors,
            SECOND_LATER=IS_WIDE and vectors == 2,
        ),
        lambda T: (*[Memory(T)] * 4, named(_Inside), named(_Over), named(_Runs), named(_Moves)),
    )
    for rows in SENT_ROWS
    for vectors in (1, 2)
}


def conv2d_input_grad(g: Images, weight: Array, size: Pair, window: Window, groups: int) -> Array:
    """See Backend.conv2d_input_grad. The result is a view of channels-last memory."""
    key = (weight.dtype, form(g), weight.shape, weight.strides, size, window, groups)
    return _plans.find(key, g, weight, size, window, groups)(g, weight)


def _plan(g: Images, weight: Array, size: Pair, window: Window, groups: int) -> Run:
    o, c, kh, kw = weight.shape
    around = flipped_window(g.shape, c, size, window, groups)
    if around is not None:
        convolve = _forward.find(g, flipped(weight), around, 1, False)
        return lambda g, weight: convolve(g, flipped(weight), None)[0]
    if o // groups > max(1, LONGEST_SUM // (kh * kw)):
        return lambda g, weight: sum_of(
            conv2d_input_grad(some, part, size, window, groups) for some, part in of_outputs(inside(g), weight, groups)
        )
    return _by_sending(g, weight, size, window, groups)


_plans: Plans[Run] = Plans(_plan)


def flipped(weight: Array) -> Array:
    """The weight with which the gradient of the input is a convolution of g: a view (c, o, kh, kw)."""
    return weight.transpose(1, 0, 2, 3)[:, :, ::-1, ::-1]


@lru_cache(1024)
def flipped_window(g: tuple[int, ...], c: int, size: Pair, window: Window, groups: int) -> Window | None:
    """The window of the convolution of g that gives the image's gradient; None if another algorithm is to be used."""
    if groups > 1 or window.stride != (1, 1) or not min(size) or 0 in g:
        return None
    (top, bottom), (left, right), (height, width) = *window.padding, window.span
    sides = ((height - 1 - top, height - 1 - bottom), (width - 1 - left, width - 1 - right))
    if min(sides[0] + sides[1]) < 0:
        return None
    around = Window(window.kernel, (1, 1), sides, window.dilation)
    return around if c >= FLIP_FROM or _flipping_pays(around, size, c, (g[2], g[3])) else None


def _flipping_pays(around: Window, size: Pair, c: int, of_g: Pair) -> bool:
    """Whether flipping takes no more multiply-adds of vectors of float32 than sending back."""
    vector = VECTOR_BYTES // 4
    if around == _forward.ONE_PIXEL and c >= PRODUCT_FROM:
        return True
    if c > FLIP_BELOW:
        return False
    _, multiply_adds = for_output(around, size[1], c, FLIP_ROWS, vector)
    run = c * around.kernel[1]
    return size[0] * multiply_adds <= of_g[0] * of_g[1] * (1 if run <= vector else 2 * -(-run // (2 * vector)))


def _by_sending(g: Images, weight: Array, size: Pair, window: Window, groups: int) -> Run:
    (n, _, oh, ow), (o, c, kh, kw), (height, width), dtype = g.shape, weight.shape, size, weight.dtype
    channels, pixel, (runs, length) = o // groups, groups * c, runs_of(window, groups, c)
    tile_rows = SENT_ROWS[length > lanes(dtype)]
    vectors = 1 if length <= wide_lanes(dtype) else 2
    block = vectors * wide_lanes(dtype)
    so, sc, sy, sx = (stride // weight.itemsize for stride in weight.strides)
    panels = Panels(groups, kh, runs, channels, c, length, block, 1, kw, 0)
    arrange = arranging(dtype, Strides(channels * so, sy, sx, so, sc), panels)
    apart = -(-ow // tile_rows)
    read = reading(g, NO_PADDING, (apart * tile_rows - ow) * o)
    each = max(1, -(-n * height // RESULT_CHUNKS))
    chunks, row = -(-n * height // each), (-(-window.padded(size)[1] * pixel // block) + 1) * block
    own = row + apart * tile_rows * wide_lanes(dtype)
    (top, _), (left, _) = window.padding
    of = _Inside(each, n, height, width * pixel, top, left * pixel, row, own)
    over, of_runs = _Over(oh, ow, apart), _Runs(groups, c, channels, kh, runs, length)
    by = _Moves(window.stride[0], window.stride[1] * pixel, window.dilation[0], window.dilation[1] * pixel)
    make, make_rows = maker((n, height, width, pixel), dtype), maker((chunks * own,), dtype)
    launch = _SEND_BACK[tile_rows, vectors][dtype]
    work = n * o * oh * ow * c * kh * kw // MULTIPLY_ADDS

    def run(g: Images, weight: Array) -> Array:
        out = make()
        if out.size:
            launch(chunks, work, (read(g), arrange(weight, None), out, make_rows(), of, over, of_runs, by))
        return channels_first(out)

    return run


def runs_of(window: Window, groups: int, c: int) -> Pair:
    """The number of runs in a row of the kernel, and of values in each."""
    kw = window.kernel[1]
    return (1, kw * c) if window.dilation[1] == 1 and groups == 1 else (kw, c)
