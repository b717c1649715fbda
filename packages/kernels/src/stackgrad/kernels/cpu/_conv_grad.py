"""The gradients of convolution, in tiles held in registers (see _conv and _simd).

For the input, with steps of one and many channels: the convolution of the result's gradient with the kernel turned
around. Else, from each pixel of the result's gradient to those of the image: a tile is ROWS neighbouring pixels of the
gradient by a block of a run; it takes in, for each output channel and each row of the kernel that leads to the same row
of the image, one number a pixel times one row of weights (channels, run), and is then added to the image where each
pixel's run lies.

For the weights a tile is ROWS numbers of a run by a block of output channels, which takes in every pixel of a chunk of
rows; chunks are summed in their order. With many channels, the images and the gradient are packed first, a block of
pixels at a time:

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

from stackgrad.tensor import Window

from ._buffers import SLACK, empty, has_slack
from ._conv import IMAGE_CHUNKS, Pair, arranged, as_rows, convolve, is_product, product_of_pixels
from ._conv_pixels import add_pixels, for_output, for_weights, widened
from ._jit import Kernel, helper, kernel, rebind
from ._layout import channels_first, channels_last, copy, fill_with, in_order, readable_beyond, spread
from ._margins import masked_and_summed, padded
from ._memory import VECTOR_BYTES, lanes_of, load, on_stack, store
from ._on_host import on_host
from ._parallel import MULTIPLY_ADDS, SERIAL
from ._simd import lanes, tile_add, tile_load, tile_multiply_add, tile_store, tile_zeros

Array = NDArray[Any]

# Of tiles. All but ROWS stand in for others: kernels are compiled for results of one vector's width and for wider ones.
ROWS, VECTORS = 6, 2
BACK_ROWS, BACK_VECTORS = 5, 2
WEIGHT_CHUNKS = 16
LARGEST_SUMMAND = 2**18  # elements of all chunks of a weights' gradient together, where these would be more than eight
COLUMNS = 128  # of chunks that are summed at a time
MANY = 16  # channels from which on it pays to turn the kernel around, or to pack
PIXELS = 256  # of a packed block: gradient and image of a tile stay in the first-level cache


# fmt: off
def _send_back(
    chunk, g, weight, image, padded, rows, n, height, length, above, before, padded_length,
    oh, ow, apart, groups, c, channels, kh, runs, run, y_step, x_step, tap_y, tap_x,
):
    # fmt: on
    """`rows` rows of the image's gradient, (n, height, length), above and before which lies the padding.

    A row is added up in the chunk's own part of `padded`, which has room for the padding too. `weight` is (groups,
    blocks of a run, kh, runs, channels, block). `y_step` and `tap_y` count rows, `x_step`, `tap_x` and lengths numbers.
    """
    g_pixel, block, start = groups * channels, BACK_VECTORS * lanes_of(g), chunk * padded_length
    blocks = (run + block - 1) // block
    for row in range(chunk * rows, min(n * height, (chunk + 1) * rows)):
        first_y, top = row // height * oh, row % height + above
        fill_with(padded, start, start + padded_length, 0)
        for panel in range(groups * blocks):
            group, column = panel // blocks, panel % blocks * block
            for j in range(runs):
                for x in range(apart):
                    tile = tile_zeros(g, BACK_ROWS, BACK_VECTORS)
                    for i in range(kh):
                        y = top - i * tap_y
                        if y_step > 1:
                            y = y // y_step if y % y_step == 0 else -1
                        if 0 <= y < oh:
                            position = ((first_y + y) * ow + x) * g_pixel + group * channels
                            w = ((panel * kh + i) * runs + j) * channels * block
                            for _ in range(channels):
                                tile = tile_multiply_add(tile, g, position, apart * g_pixel, weight, w)
                                position += 1
                                w += block
                    at = start + x * x_step + j * tap_x + group * c + column
                    tile_add(tile, padded, at, apart * x_step, (ow - x + apart - 1) // apart, run - column, True)
        copy(padded, start + before, image, row * length, length)


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

_BACK_ROWS = {1: 10, 2: 5}
_SEND_BACK = {
    vectors: Kernel(
        rebind(_send_back, f"_send_back_{rows}x{vectors}", BACK_ROWS=rows, BACK_VECTORS=vectors),
        lambda T: (T[::1], T[::1], T[::1], T[::1], *[types.intp] * 20),
    )
    for vectors, rows in _BACK_ROWS.items()
}


@helper
def _pack_row(source, at, step, channel_step, channels, out, to, pixels, width):
    """`pixels` pixels of a row from source[at] into rows of `width`, zeros beyond the `channels` left.

    Where channels lie side by side, whole vectors are copied: the next pixel is written over what is too much.
    """
    whole = channel_step == 1 and channels >= VECTORS * lanes_of(source)
    for _ in range(pixels):
        if whole:
            tile_store(tile_load(source, at, 0, 1, VECTORS), out, to, 0, 0, 1, VECTOR_BYTES, False)
        else:
            for channel in range(width):
                store(out, to + channel, load(source, at + channel * channel_step) if channel < channels else 0)
        at += step
        to += width


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
    images = chunk * packed_length
    grads = images + panels * lines * pitch * ROWS
    before = min(left, pitch)
    inside = max(0, min(w, pitch - before))
    for unit in range(chunk * units, min(all_units, (chunk + 1) * units)):
        image, first = unit // in_image, unit % in_image * rows
        used = min(rows, oh - first)
        for panel in range(panels):
            for line in range((used - 1) * y_step + (kh - 1) * tap_y + 1):
                y, to = first * y_step - top + line, images + (panel * lines + line) * pitch * ROWS
                if 0 <= y < h:
                    at, start = image * xn + y * xy + panel * ROWS * xc, to + before * ROWS
                    fill_with(packed, to, start, 0)
                    _pack_row(x, at, xx, xc, c - panel * ROWS, packed, start, inside, ROWS)
                    fill_with(packed, start + inside * ROWS, to + pitch * ROWS, 0)
                else:
                    fill_with(packed, to, to + pitch * ROWS, 0)
        for block in range(blocks):
            for row in range(used):
                at, to = image * gn + (first + row) * gy + block * width * gc, grads + (block * rows + row) * ow * width
                _pack_row(g, at, gx, gc, o - block * width, packed, to, ow, width)
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
                        position = images + tap_position + (panel * lines + row * y_step) * pitch * ROWS
                        row_of_g = grads + (block * rows + row) * ow * width
                        for _ in range(ow):
                            tile = tile_multiply_add(tile, packed, position, 1, packed, row_of_g)
                            position += x_step * ROWS
                            row_of_g += width
                    tile_store(tile, out, at, blocks * width, 0, ROWS, width, False)


@kernel(lambda T: (T[::1], T[::1], *[types.intp] * 7))
def _sum_chunks(channel, parts, out, chunks, groups, taps, c, rows, channels, width):
    """One input channel of a weight's gradient: (chunks, groups, taps, rows, width) summed in the chunks' order."""
    group, channel = channel // c, channel % c
    length = groups * taps * rows * width
    totals = on_stack(parts, COLUMNS)
    for first in range(0, channels, COLUMNS):
        columns = min(COLUMNS, channels - first)
        for tap in range(taps):
            at = ((group * taps + tap) * rows + channel) * width + first
            for o in range(columns):
                store(totals, o, load(parts, at + o))
            for chunk in range(1, chunks):
                for o in range(columns):
                    store(totals, o, load(totals, o) + load(parts, at + chunk * length + o))
            for o in range(columns):
                store(out, ((group * channels + first + o) * c + channel) * taps + tap, load(totals, o))


@on_host
def _clear(out: Array) -> None:
    out.fill(0)


def conv2d_input_grad(g: Array, weight: Array, size: Pair, window: Window, groups: int) -> Array:
    """See Backend.conv2d_input_grad. The result is a view of channels-last memory."""
    (n, o, oh, ow), (_, c, kh, kw) = g.shape, weight.shape
    flat_weight, taps = in_order(weight).reshape(-1), kh * kw
    if is_product(window, groups, c):
        return product_of_pixels(g, flat_weight.reshape(o, c))
    turned = _turned(window, groups, c, size, (oh, ow)) if g.size else None
    if turned:
        return convolve(g, flat_weight, taps - 1, (c, o), (taps, c * taps, -kw, -1), None, turned, 1)
    channels, (runs, run) = o // groups, _runs_of(window, groups, c)
    vectors = 1 if run <= lanes(g.dtype) else 2
    tile_rows, block = _BACK_ROWS[vectors], vectors * lanes(g.dtype)
    rows = ((groups, channels * c * taps), (kh, kw), (runs, 1), (channels, c * taps))
    blocks = arranged(flat_weight, 0, rows, ((kw // runs, 1), (c, taps)), block)
    apart = -(-ow // tile_rows)
    flat = _with_pixels_behind(channels_last(g), apart * tile_rows - ow)
    (height, width), pixel = size, groups * c
    out = empty((n, height, width, pixel), g.dtype)
    if out.size:
        chunk_rows = max(1, -(-n * height // IMAGE_CHUNKS))
        chunks = -(-n * height // chunk_rows)
        length = window.padded(size)[1] * pixel + block
        steps = (window.stride[0], window.stride[1] * pixel, window.dilation[0], window.dilation[1] * pixel)
        (top, _), (left, _) = window.padding
        image = (chunk_rows, n, height, width * pixel, top, left * pixel, length)
        counts = (oh, ow, apart, groups, c, channels, kh, runs, run)
        shared = (flat, blocks, out.reshape(-1), empty(chunks * length, g.dtype), *image, *counts, *steps)
        _SEND_BACK[vectors][g.dtype](chunks, g.size * c * taps < SERIAL * MULTIPLY_ADDS, shared)
    return channels_first(out)


def conv2d_relu_grad(
    g: Array, out: Array, image: tuple[int, ...] | None, window: Window, groups: int
) -> tuple[Array, Array]:
    """See Backend.conv2d_relu_grad."""
    turned = None
    if image and g.size and not is_product(window, groups, image[1]):
        turned = _turned(window, groups, image[1] // groups, (image[2], image[3]), (g.shape[2], g.shape[3]))
    return masked_and_summed(g, out, turned)


def _turned(window: Window, groups: int, c: int, size: Pair, of_g: Pair) -> Window | None:
    """The window that leads from the gradient of the result to that of the image, if that is the way to take."""
    if groups > 1 or window.stride != (1, 1) or not min(size):
        return None
    (top, bottom), (left, right), (height, width) = *window.padding, window.span
    sides = ((height - 1 - top, height - 1 - bottom), (width - 1 - left, width - 1 - right))
    if min(sides[0] + sides[1]) < 0:
        return None
    turned = Window(window.kernel, (1, 1), sides, window.dilation)
    return turned if c >= MANY or _turning_pays(turned, size, c, of_g) else None


def _turning_pays(turned: Window, size: Pair, channels: int, of_g: Pair) -> bool:
    """Whether that takes no more multiply-adds of vectors of 8 than to send back."""
    if channels > 8:
        return False
    _, multiply_adds = for_output(turned, size[1], channels, 14, 8)
    run = channels * turned.kernel[1]
    return size[0] * multiply_adds <= of_g[0] * of_g[1] * (1 if run <= 8 else 2 * -(-run // 16))


def _runs_of(window: Window, groups: int, c: int) -> Pair:
    """The runs in a row of the kernel, and the numbers in each."""
    kw = window.kernel[1]
    return (1, kw * c) if window.dilation[1] == 1 and groups == 1 else (kw, c)


def _with_pixels_behind(g: Array, pixels: int) -> Array:
    """g (n, h, w, c), flat, such that so many pixels behind the last can be read."""
    numbers = pixels * g.shape[3]
    if numbers * g.itemsize <= SLACK and has_slack(g):
        return g.reshape(-1)
    return spread(g, (g.shape[1], g.shape[2]), (0, 0), slack=numbers) if numbers else g.reshape(-1)


def conv2d_weight_grad(x: Array, g: Array, window: Window, groups: int) -> Array:
    """See Backend.conv2d_weight_grad."""
    n, o, oh, ow = g.shape
    c = x.shape[1] // groups
    out = empty((o, c, *window.kernel), x.dtype)
    if not out.size or not g.size:
        _clear(out)
        return out
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
    _sum_chunks[x.dtype](groups * c, parts.size < SERIAL, shared)


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
    runs_in_row, run = _runs_of(window, groups, c)
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
    serial = g.size * c * kh * window.kernel[1] < SERIAL * MULTIPLY_ADDS
    _SUM_OVER_PIXELS[tile_rows, vectors][x.dtype](chunks, serial, shared)
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
    _sum_packed[x.dtype](chunks, False, shared)
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
