"""The gradient of convolution for its input, in tiles held in registers (see _conv and _simd).

With steps of one and many channels: the convolution of the result's gradient with the kernel turned around. Else, from
each pixel of the result's gradient to those of the image: a tile is ROWS neighbouring pixels of the gradient by a block
of a run; it takes in, for each output channel and each row of the kernel that leads to the same row of the image, one
number a pixel times one row of weights (channels, run), and is then added to the image where each pixel's run lies.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from numba import types
from numpy.typing import NDArray

from stackgrad.tensor import Window

from ._channels_last import channels_first, channels_last, copy, fill_with, in_order, spread
from ._conv import IMAGE_CHUNKS, Pair, arranged, convolve, is_product, product_of_pixels
from ._conv_parts import TAPS, of_outputs
from ._conv_pixels import for_output
from ._kernel import Kernel, rebind
from ._margins import masked_and_summed
from ._memory import SLACK, empty, has_slack
from ._parallel import MULTIPLY_ADDS
from ._parts import sum_of
from ._pointers import lanes_of
from ._simd import lanes, tile_add, tile_multiply_add, tile_zeros

Array = NDArray[Any]

ROWS, VECTORS = 5, 2  # stand-ins: the kernel is compiled for runs of one vector's width and for wider ones
MANY = 16  # channels from which on it pays to turn the kernel around


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
    g_pixel, block, start = groups * channels, VECTORS * lanes_of(g), chunk * padded_length
    blocks = (run + block - 1) // block
    for row in range(chunk * rows, min(n * height, (chunk + 1) * rows)):
        first_y, top = row // height * oh, row % height + above
        fill_with(padded, start, start + padded_length, 0)
        for panel in range(groups * blocks):
            group, column = panel // blocks, panel % blocks * block
            for j in range(runs):
                for x in range(apart):
                    tile = tile_zeros(g, ROWS, VECTORS)
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


_TILE_ROWS = {1: 10, 2: 5}
_SEND_BACK = {
    vectors: Kernel(
        rebind(_send_back, f"_send_back_{rows}x{vectors}", ROWS=rows, VECTORS=vectors),
        lambda T: (T[::1], T[::1], T[::1], T[::1], *[types.intp] * 20),
    )
    for vectors, rows in _TILE_ROWS.items()
}


def conv2d_input_grad(g: Array, weight: Array, size: Pair, window: Window, groups: int) -> Array:
    """See Backend.conv2d_input_grad. The result is a view of channels-last memory."""
    (n, o, oh, ow), (_, c, kh, kw) = g.shape, weight.shape
    flat_weight, taps = in_order(weight).reshape(-1), kh * kw
    if is_product(window, groups, c):
        return product_of_pixels(g, flat_weight.reshape(o, c))
    if o // groups > max(1, TAPS // taps):
        return sum_of(conv2d_input_grad(*part, size, window, groups) for part in of_outputs(g, weight, groups))
    turned = _turned(window, groups, c, size, (oh, ow)) if g.size else None
    if turned:
        return convolve(g, flat_weight, taps - 1, (c, o), (taps, c * taps, -kw, -1), None, turned, 1)
    channels, (runs, run) = o // groups, runs_of(window, groups, c)
    vectors = 1 if run <= lanes(g.dtype) else 2
    tile_rows, block = _TILE_ROWS[vectors], vectors * lanes(g.dtype)
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
        _SEND_BACK[vectors][g.dtype](chunks, g.size * c * taps // MULTIPLY_ADDS, shared)
    return channels_first(out)


def masked_and_summed_for(
    g: Array, out: Array, image: tuple[int, ...] | None, window: Window, groups: int
) -> tuple[Array, Array]:
    """g `masked_by` `out`, the sums (o,) of that; `image` is the shape of the x whose gradient is asked for next."""
    turned = None
    if image and g.size and not is_product(window, groups, image[1]):
        turned = _turned(window, groups, image[1] // groups, (image[2], image[3]), (g.shape[2], g.shape[3]))
    return masked_and_summed(g, out, turned)


@lru_cache(1024)
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


def runs_of(window: Window, groups: int, c: int) -> Pair:
    """The runs in a row of the kernel, and the numbers in each."""
    kw = window.kernel[1]
    return (1, kw * c) if window.dilation[1] == 1 and groups == 1 else (kw, c)


def _with_pixels_behind(g: Array, pixels: int) -> Array:
    """g (n, h, w, c), flat, such that so many pixels behind the last can be read."""
    numbers = pixels * g.shape[3]
    if numbers * g.itemsize <= SLACK and has_slack(g):
        return g.reshape(-1)
    return spread(g, (g.shape[1], g.shape[2]), (0, 0), slack=numbers) if numbers else g.reshape(-1)
