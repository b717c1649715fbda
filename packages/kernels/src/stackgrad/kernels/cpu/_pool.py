"""Pooling of padded channels-last images: a chunk is one image, a vector some adjacent channels of one pixel.

    image row   |c c c|c c c|c c c|c c c|       c = 3 channels, 2x2 window, stride 2
    corners      ^           ^                  of the window, at row 0
    offsets     (0, 3, width * 3, width * 3 + 3)    of each tap from the corner

A vector may have more lanes than there are channels left; the surplus lanes are not used.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from stackgrad.tensor import Window
from stackgrad.tensor._plans import Plans
from stackgrad.tensor._types import HostArray as Array
from stackgrad.tensor._types import Pair, Shape
from stackgrad.tensor._window import NO_PADDING

from ._channels_last import channels_first, copy, fill_with
from ._kernel import Kernel, kernel, named
from ._memory import maker
from ._numba import helper, types
from ._pointers import Memory, load, on_stack
from ._simd import tile_add, tile_store
from ._vector import lanes_in, over, plus, vector_at, vector_of
from ._width import lanes, lanes_of
from .conv._image import reading

Run = Callable[..., Array]

TAPS = 128  # that are summed one after the other


class Pooling(NamedTuple):
    """Windows of `taps` taps in `rows` rows and `columns` columns on each image, with their strides in elements.

    An image with its padding has `height` rows and `pitch` elements. `across` is the number of columns of a window if
    the windows cover each pixel exactly once, else 0.
    """

    taps: int
    height: int
    pitch: int
    channels: int
    rows: int
    columns: int
    row_step: int
    column_step: int
    across: int


def arguments(*arrays: Callable[[Any], Any]) -> Callable[[Any], tuple[Any, ...]]:
    """The arguments of a kernel with these arrays: the arrays, the taps' offsets from the corner, and the `Pooling`."""
    return lambda T: (*[Memory(of(T)) for of in arrays], Memory(types.int64), named(Pooling))


def of_float(T: Any) -> Any:
    return T


@helper
def store_channels(vector, out, at, left, c, channel):
    """Store the channels of a pixel from `channel` on at out[at]; `left` elements of the image remain there.

    The next pixel overwrites surplus lanes, so pixels must be written in order.
    """
    lanes = lanes_in(vector)
    if c % lanes == 0 or left >= lanes:  # the first test is loop-invariant: LLVM makes two loops
        tile_store(vector, out, at, 0, 0, 1, lanes, False)
    else:
        tile_store(vector, out, at, 0, 0, 1, c - channel, False)


@helper
def corner_of(image, row, column, pool):
    """The offset of the window in that row and column of an image."""
    return image * pool.pitch + row * pool.row_step + column * pool.column_step


@helper
def pixel_of(image, row, column, pool):
    """The offset of the channels of that pixel of the result."""
    return ((image * pool.rows + row) * pool.columns + column) * pool.channels


@helper
def _total(x, at, offsets, first, last):
    """The sum of the taps from `first` to `last` of the window whose corner is x[at]."""
    total = vector_at(x, at + load(offsets, first))
    for tap in range(first + 1, last):
        total = plus(total, x, at + load(offsets, tap))
    return total


@helper
def _total_of_many(x, at, offsets, taps):
    """The sum of all taps, in parts of TAPS that are added pairwise as they come (see _parts)."""
    lanes, kept, parts = lanes_of(x), on_stack(x, 512), 0
    for first in range(0, taps, TAPS):
        part, to, left = _total(x, at, offsets, first, min(taps, first + TAPS)), 0, parts
        while left & 1:
            part, to, left = plus(part, kept, to), to + lanes, left >> 1
        tile_store(part, kept, to, 0, 0, 1, lanes, False)
        parts += 1
    total, to = vector_of(x, 0), 0
    while parts:
        if parts & 1:
            total = plus(total, kept, to)
        to, parts = to + lanes, parts >> 1
    return total


@kernel(arguments(of_float, of_float))
def _avg_pool(image, x, out, offsets, pool):
    c, end = pool.channels, pixel_of(image + 1, 0, 0, pool)
    for row in range(pool.rows):
        for column in range(pool.columns):
            corner = corner_of(image, row, column, pool)
            for channel in range(0, c, lanes_of(x)):
                if pool.taps <= TAPS:
                    total = _total(x, corner + channel, offsets, 0, pool.taps)
                else:
                    total = _total_of_many(x, corner + channel, offsets, pool.taps)
                at = pixel_of(image, row, column, pool) + channel
                store_channels(over(total, pool.taps), out, at, end - at, c, channel)


@kernel(arguments(of_float, of_float))
def _avg_pool_grad(image, g, out, offsets, pool):
    c, across, lanes = pool.channels, pool.across, lanes_of(g)
    if across:
        length, down = pool.columns * across * c, pool.taps // across
        for row in range(pool.rows):  # a row of windows: write one row of pixels, then copy it
            first = image * pool.pitch + row * down * length
            for column in range(pool.columns):
                at = pixel_of(image, row, column, pool)
                for channel in range(0, c, lanes):
                    share = over(vector_at(g, at + channel), pool.taps)
                    for tap in range(across):
                        target = first + (column * across + tap) * c + channel
                        # If a pixel has several vectors, the first vector of the next pixel has been stored already.
                        left = (image + 1) * pool.pitch - target if c <= lanes else c - channel
                        store_channels(share, out, target, left, c, channel)
            for line in range(1, down):
                copy(out, first, out, first + line * length, length)
        return
    fill_with(out, image * pool.pitch, (image + 1) * pool.pitch, 0)
    for row in range(pool.rows):
        for column in range(pool.columns):
            corner, at = corner_of(image, row, column, pool), pixel_of(image, row, column, pool)
            for channel in range(0, c, lanes):
                share = over(vector_at(g, at + channel), pool.taps)
                for tap in range(pool.taps):
                    tile_add(share, out, corner + load(offsets, tap) + channel, 0, 1, c - channel, False)


def beyond(x: Array) -> int:
    """A bound on the elements that vectors of channels read past the last pixel."""
    return lanes(x.dtype) if x.shape[1] % lanes(x.dtype) else 0


def pooling(x: Shape, out: Shape, window: Window) -> tuple[Array, Pooling]:
    """The taps' offsets from the corner, and the windows that lead from images of shape x to those of shape `out`."""
    (_, c, h, w), (rows, columns) = x, out[2:]
    height, width = window.padded((h, w))
    offsets = np.add.outer(np.arange(window.kernel[0]) * width, np.arange(window.kernel[1])).reshape(-1) * c
    covered = (rows * window.kernel[0], columns * window.kernel[1]) == (height, width)
    across = window.kernel[1] if covered and window.stride == window.kernel else 0
    steps = (window.stride[0] * width * c, window.stride[1] * c)
    return offsets, Pooling(offsets.size, height, height * width * c, c, rows, columns, *steps, across)


def _plan_avg(x: Array, window: Window) -> Run:
    n, c, h, w = x.shape
    positions, work, read = window.positions((h, w)), x.size, reading(x, window.padding, beyond(x))
    offsets, pool = pooling(x.shape, (n, c, *positions), window)
    make, entry = maker((n, *positions, c), x.dtype), _avg_pool[x.dtype]

    def run(x: Array) -> Array:
        out = make()
        entry(n, work, (read(x), out, offsets, pool))
        return channels_first(out)

    return run


def plan_grad(kernel: Kernel, g: Array, size: Pair, window: Window) -> Run:
    """A function that runs `kernel` on g, taps if there are any, and a new gradient of images of that size."""
    (n, c), (height, width), ((top, _), (left, _)) = g.shape[:2], window.padded(size), window.padding
    inside = (slice(None), slice(top, top + size[0]), slice(left, left + size[1]))
    work, is_padded, read = n * height * width * c, (height, width) != size, reading(g, NO_PADDING, beyond(g))
    offsets, pool = pooling((n, c, *size), g.shape, window)
    make, entry = maker((n, height, width, c), g.dtype), kernel[g.dtype]

    def run(g: Array, *taps: Array) -> Array:
        out = make()
        entry(n, work, (read(g), *taps, out, offsets, pool))
        return channels_first(out[inside] if is_padded else out)

    return run


_plans: Plans[Run] = Plans(_plan_avg)
_grad_plans: Plans[Run] = Plans(plan_grad)


def avg_pool2d(x: Array, window: Window) -> Array:
    """See Backend.avg_pool2d. The result is a view of channels-last memory."""
    return _plans.find((x.dtype, x.shape, x.strides, window), x, window)(x)


def avg_pool2d_grad(g: Array, size: Pair, window: Window) -> Array:
    """See Backend.avg_pool2d_grad."""
    return _grad_plans.find((g.dtype, g.shape, g.strides, size, window), _avg_pool_grad, g, size, window)(g)
