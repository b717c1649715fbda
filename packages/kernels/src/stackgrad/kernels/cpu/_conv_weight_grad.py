"""The gradient of convolution for its weights, in tiles held in registers (see _conv and _simd).

A tile is ROWS numbers of a run by a block of output channels, which takes in every pixel of a chunk of rows; chunks are
summed in their order. With many channels, the images and the gradient are packed first, a block of pixels at a time:

      image (channels / ROWS, pixels, ROWS)           gradient (channels / WIDTH, pixels, WIDTH)
      +------+                                        +----------------+
      |c c c |  pixel                                 |o o o o o o o o |
      |c c c |  pixel + 1      each tap begins        |o o o o o o o o |   ->  tile (ROWS, WIDTH) for each tap
      | ...  |                 at another pixel       |      ...       |
"""

from __future__ import annotations

from typing import Any

from numba import types
from numpy.typing import NDArray

from stackgrad.tensor import REDUCTIONS, Window

from . import _conv_parts
from ._channels_last import channels_first, channels_last, fill_with, readable_beyond
from ._conv import Pair, as_rows
from ._conv_input_grad import conv2d_input_grad, masked_and_summed_for, runs_of
from ._conv_pixels import add_pixels, for_weights, widened
from ._copy import full
from ._kernel import Kernel, helper, kernel, rebind
from ._margins import padded
from ._memory import empty, has_slack
from ._parallel import MULTIPLY_ADDS
from ._parts import sum_of
from ._pointers import lanes_of, load, on_stack, store
from ._reduce import reduce
from ._simd import lanes, tile_load, tile_multiply_add, tile_store, tile_zeros

Array = NDArray[Any]

ROWS, VECTORS = 6, 2  # of tiles; stand-ins for the others that the kernel of few channels is compiled for
WEIGHT_CHUNKS = 16
LARGEST_SUMMAND = 2**18  # elements of all chunks of a weights' gradient together, where these would be more than eight
COLUMNS, CHANNELS = 128, 8  # of the numbers in chunks that are summed at a time
TOGETHER = COLUMNS * CHANNELS
MANY = 16  # channels from which on it pays to pack
PIXELS = 256  # of a packed block: gradient and image of a tile stay in the first-level cache


# fmt: off
def _sum_over_pixels(
    chunk, x, image_pitch, y_step, x_step, tap_y, tap_x, g, g_image, g_row, channels, width, out, columns,
    rows, n, oh, ow, groups, runs, run, taps_in_row,
):
    # fmt: on
    """The gradient of the weights, (groups, runs * run, columns), of `rows` rows of g; a run is `run` numbers of x.

    g begins with the first number of a gradient whose images and rows lie so far apart.
    """
    for group in range(groups):
        for o in range(0, channels, width):
            for r in range(runs):
                offset = group * run + r // taps_in_row * tap_y + r % taps_in_row * tap_x
                for t in range(0, run, ROWS):
                    tile = tile_zeros(x, ROWS, VECTORS)
                    for row in range(chunk * rows, min(n * oh, (chunk + 1) * rows)):
                        position = row // oh * image_pitch + row % oh * y_step + offset + t
                        w = row // oh * g_image + row % oh * g_row + group * channels + o
                        for _ in range(ow):
                            tile = tile_multiply_add(tile, x, position, 1, g, w)
                            position += x_step
                            w += groups * channels
                    at = (((chunk * groups + group) * runs + r) * run + t) * columns + o
                    tile_store(tile, out, at, columns, 0, run - t, width, False)


_SUM_OVER_PIXELS = {
    (rows, vectors): Kernel(
        rebind(_sum_over_pixels, f"_sum_over_pixels_{rows}x{vectors}", ROWS=rows, VECTORS=vectors),
        lambda T: (T[::1], *[types.intp] * 5, T[::1], *[types.intp] * 4, T[::1], *[types.intp] * 9),
    )
    for rows, vectors in ((6, 1), (12, 1), (6, 2))
}

@helper
def _pack_pixel(source, at, step, channels, out, to, apart, width):
    """Copy the channels of a pixel, source[at] and so on, to its place in each panel of `width`, zeros beyond the last.

    Its place in the first panel is out[to]; panels lie `apart`.
    """
    for first in range(0, channels, width):
        left = channels - first
        if step == 1 and left >= VECTORS * lanes_of(source):
            tile_store(tile_load(source, at + first, 0, 1, VECTORS), out, to, 0, 0, 1, width, False)
        else:
            for i in range(width):
                store(out, to + i, load(source, at + (first + i) * step) if i < left else 0)
        to += apart


_STEPS = [types.intp] * 4


# fmt: off
@kernel(lambda T: (T[::1], *_STEPS, T[::1], *_STEPS, T[::1], types.intp, T[::1], *[types.intp] * 18))
def _sum_packed(
    chunk, x, xn, xy, xx, xc, g, gn, gy, gx, gc, packed, packed_length, out,
    units, all_units, in_image, rows, h, w, oh, ow, c, o, top, left, kh, kw, y_step, x_step, tap_y, tap_x,
):
    # fmt: on
    """The gradient of the weights, (taps, panels * ROWS, columns), of `units` blocks of `rows` rows of the gradient.

    x.. and g.. are the distances in the flat images and gradient. Each chunk packs into its own part of `packed`.
    """
    width = VECTORS * lanes_of(x)
    panels, blocks = (c + ROWS - 1) // ROWS, (o + width - 1) // width
    lines, pitch = (rows - 1) * y_step + (kh - 1) * tap_y + 1, (ow - 1) * x_step + (kw - 1) * tap_x + 1
    apart = lines * pitch * ROWS
    images = chunk * packed_length
    grads = images + panels * apart
    before = min(left, pitch)
    inside = max(0, min(w, pitch - before))
    for unit in range(chunk * units, min(all_units, (chunk + 1) * units)):
        image, first = unit // in_image, unit % in_image * rows
        used = min(rows, oh - first)
        for line in range((used - 1) * y_step + (kh - 1) * tap_y + 1):
            y, to = first * y_step - top + line, images + line * pitch * ROWS
            start, end = (to + before * ROWS, to + (before + inside) * ROWS) if 0 <= y < h else (to, to)
            for panel in range(0, panels * apart, apart):
                fill_with(packed, to + panel, start + panel, 0)
                fill_with(packed, end + panel, to + panel + pitch * ROWS, 0)
            at = image * xn + y * xy
            for place in range(start, end, ROWS):
                _pack_pixel(x, at, xc, c, packed, place, apart, ROWS)
                at += xx
        for row in range(used):
            at, to = image * gn + (first + row) * gy, grads + row * ow * width
            for place in range(to, to + ow * width, width):
                _pack_pixel(g, at, gc, o, packed, place, rows * ow * width, width)
                at += gx
        for block in range(blocks):
            for panel in range(panels):
                for tap in range(kh * kw):
                    tap_position = (tap // kw * tap_y * pitch + tap % kw * tap_x) * ROWS
                    at = (((chunk * kh * kw + tap) * panels + panel) * ROWS * blocks + block) * width
                    if unit == chunk * units:
                        tile = tile_zeros(x, ROWS, VECTORS)
                    else:
                        tile = tile_load(out, at, blocks * width, ROWS, VECTORS)
                    for row in range(used):
                        position = images + tap_position + panel * apart + row * y_step * pitch * ROWS
                        row_of_g = grads + (block * rows + row) * ow * width
                        for _ in range(ow):
                            tile = tile_multiply_add(tile, packed, position, 1, packed, row_of_g)
                            position += x_step * ROWS
                            row_of_g += width
                    tile_store(tile, out, at, blocks * width, 0, ROWS, width, False)


@kernel(lambda T: (T[::1], T[::1], *[types.intp] * 7))
def _sum_chunks(block, parts, out, chunks, groups, taps, c, rows, channels, width):
    """CHANNELS input channels of a weight's gradient: (chunks, groups, taps, rows, width) summed in the chunks' order.

    These channels lie side by side in `out`, so that a line of the cache is filled at once.
    """
    blocks = (c + CHANNELS - 1) // CHANNELS
    group, channel = block // blocks, block % blocks * CHANNELS
    together = min(CHANNELS, c - channel)
    length = groups * taps * rows * width
    totals = on_stack(parts, TOGETHER)
    for first in range(0, channels, COLUMNS):
        columns = min(COLUMNS, channels - first)
        for tap in range(taps):
            for i in range(together):
                at, to = ((group * taps + tap) * rows + channel + i) * width + first, i * COLUMNS
                for o in range(columns):
                    store(totals, to + o, load(parts, at + o))
                for chunk in range(1, chunks):
                    for o in range(columns):
                        store(totals, to + o, load(totals, to + o) + load(parts, at + chunk * length + o))
            for o in range(columns):
                to = ((group * channels + first + o) * c + channel) * taps + tap
                for i in range(together):
                    store(out, to + i * taps, load(totals, i * COLUMNS + o))


def conv2d_grads(
    g: Array,
    x: Array,
    weight: Array,
    out: Array | None,
    window: Window,
    groups: int,
    needs: tuple[bool, bool, bool],
) -> tuple[Array | None, Array | None, Array | None]:
    """See Backend.conv2d_grads."""
    total = None
    if out is not None:
        g, total = masked_and_summed_for(g, out, x.shape if needs[0] else None, window, groups)
    elif needs[2]:
        total = reduce(REDUCTIONS["sum"], g, (0, 2, 3))
    return (
        conv2d_input_grad(g, weight, (x.shape[2], x.shape[3]), window, groups) if needs[0] else None,
        conv2d_weight_grad(x, g, window, groups) if needs[1] else None,
        total if needs[2] else None,
    )


def conv2d_weight_grad(x: Array, g: Array, window: Window, groups: int) -> Array:
    """See Backend.conv2d_weight_grad."""
    n, o, oh, ow = g.shape
    c = x.shape[1] // groups
    if not g.size:
        return full((o, c, *window.kernel), 0, x.dtype)
    out = empty((o, c, *window.kernel), x.dtype)
    if not out.size:
        return out
    if n * oh * ow > _conv_parts.PIXELS or ow > _conv_parts.LINE:
        return sum_of(conv2d_weight_grad(*part, groups) for part in _conv_parts.of_pixels(x, g, window))
    pixels = for_weights(window, ow, o, c, lanes(x.dtype)) if groups == 1 else 1
    if pixels == 1:
        _sum_into(out, x, g, window, groups)
    else:
        wide = widened(window, pixels)
        of_all = empty((pixels * o, c, *wide.kernel), x.dtype)
        _sum_into(of_all, x, channels_first(_whole_rows(g).reshape(n, oh, ow // pixels, pixels * o)), wide, 1)
        add_pixels(of_all, out, window, pixels)
    return out


def _sum_into(out: Array, x: Array, g: Array, window: Window, groups: int) -> None:
    """Set `out` (o, c, kh, kw) to the gradient of the weights."""
    o, c, kh, kw = out.shape
    if groups == 1 and c >= MANY and o > lanes(x.dtype):
        x, g = as_rows(window, x, g)
        parts, rows, columns = _by_packing(x, g, window)
    else:
        parts, rows, columns = _directly(x, g, window, groups)
    chunks = parts.size // (groups * kh * kw * rows * columns)
    shared = (parts, out.reshape(-1), chunks, groups, kh * kw, c, rows, o // groups, columns)
    _sum_chunks[x.dtype](groups * -(-c // CHANNELS), parts.size, shared)


def _chunks(units: int, size: int) -> Pair:
    """How many chunks the units are summed in, each giving `size` numbers, and the units in each."""
    each = -(-units // max(1, min(WEIGHT_CHUNKS, units, max(8, LARGEST_SUMMAND // size))))
    return -(-units // each), each


def _directly(x: Array, g: Array, window: Window, groups: int) -> tuple[Array, int, int]:
    """The chunks of the gradient, (chunks, groups, taps, rows, columns), and its rows and columns."""
    flat, image = padded(x, window, 1)
    (n, o, oh, ow), c, kh = g.shape, x.shape[1] // groups, window.kernel[0]
    channels = o // groups
    vectors = 1 if channels <= lanes(x.dtype) else 2
    width = vectors * lanes(x.dtype)
    columns = -(-channels // width) * width
    runs_in_row, run = runs_of(window, groups, c)
    runs = kh * runs_in_row
    chunks, rows = _chunks(n * oh, groups * runs * run * columns)
    parts = empty(chunks * groups * runs * run * columns, x.dtype)
    pixel = groups * c
    steps = (image[0] * image[1] * pixel, window.stride[0] * image[1] * pixel, window.stride[1] * pixel)
    taps = (window.dilation[0] * image[1] * pixel, window.dilation[1] * pixel)
    counts = (rows, n, oh, ow, groups, runs, run, runs_in_row)
    tile_rows = 12 if vectors == 1 and run > ROWS else ROWS
    flat, last = readable_beyond(flat, run, tile_rows), _whole_rows(g)
    if channels % width and not has_slack(last):
        last = readable_beyond(last, channels, width).reshape(last.shape)
    g_image, g_row = last.strides[0] // last.itemsize, last.strides[1] // last.itemsize
    shared = (flat, *steps, *taps, _first(last), g_image, g_row, channels, width, parts, columns, *counts)
    work = g.size * c * kh * window.kernel[1] // MULTIPLY_ADDS
    _SUM_OVER_PIXELS[tile_rows, vectors][x.dtype](chunks, work, shared)
    return parts, c, columns


def _by_packing(x: Array, g: Array, window: Window) -> tuple[Array, int, int]:
    """The same for one group of many channels."""
    (n, c, h, w), (o, oh, ow), (kh, kw) = x.shape, g.shape[1:], window.kernel
    width = VECTORS * lanes(x.dtype)
    panel_rows, columns = -(-c // ROWS) * ROWS, -(-o // width) * width
    in_image = min(oh, -(-oh * ow // PIXELS))
    rows = -(-oh // in_image)
    in_image = -(-oh // rows)
    chunks, units = _chunks(n * in_image, kh * kw * panel_rows * columns)
    (flat_x, *x_steps), (flat_g, *g_steps) = _flat(x), _flat(g)
    lines, pitch = (rows - 1) * window.stride[0] + window.span[0], (ow - 1) * window.stride[1] + window.span[1]
    length = panel_rows * lines * pitch + columns * rows * ow
    packed = empty(chunks * length, x.dtype)
    parts = empty(chunks * kh * kw * panel_rows * columns, x.dtype)
    corner = (window.padding[0][0], window.padding[1][0])
    counts = (units, n * in_image, in_image, rows, h, w, oh, ow, c, o, *corner, kh, kw)
    shared = (flat_x, *x_steps, flat_g, *g_steps, packed, length, parts, *counts, *window.stride, *window.dilation)
    _sum_packed[x.dtype](chunks, g.size * c * kh * kw // MULTIPLY_ADDS, shared)
    return parts, panel_rows, columns


def _flat(x: Array) -> tuple[Array, int, int, int, int]:
    """The first number of x (n, c, h, w), and the steps between images, rows, columns and channels."""
    image, channel, row, column = (step // x.itemsize for step in x.strides)
    return _first(x), image, row, column, channel


def _first(x: Array) -> Array:
    """The first number of x (n, ., ., .), from which on its steps lead to the others."""
    return x[:1, :1, :1, :1].reshape(-1)


def _whole_rows(g: Array) -> Array:
    """g (n, c, h, w) as (n, h, w, c), of which each row lies in one piece; without a copy if it does."""
    last = g.transpose(0, 2, 3, 1)
    in_rows = last.strides[2:] == (g.shape[1] * g.itemsize, g.itemsize)
    return last if in_rows else channels_last(g)
