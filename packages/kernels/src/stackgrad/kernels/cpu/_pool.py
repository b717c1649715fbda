"""Pooling on padded channels-last images: a chunk is one image, a vector some neighbouring channels of one pixel.

    image row   |c c c|c c c|c c c|c c c|       c = 3 channels, 2x2 window, stride 2
    corners      ^           ^                  of the window, at row 0
    offsets     (0, 3, width * 3, width * 3 + 3)    how far each tap lies behind the corner

A vector may hold more lanes than there are channels left: what they read is not used.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from stackgrad.tensor import Window

from ._channels_last import channels_first, channels_last, copy, readable_beyond, spread
from ._kernel import helper, kernel
from ._memory import SLACK, empty
from ._pointers import lanes_of, load, on_stack, store
from ._simd import lanes, tile_add, tile_store, tile_zeros
from ._vector import keep_larger, over, plus, vector_at, vector_of, where_equal

Array = NDArray[Any]
Pair = tuple[int, int]

TAPS = 128  # added up one after the other

# offsets; elements of a padded image, channels; output rows and columns, distances between the windows of two of them
_GEOMETRY = [types.int64[::1], *[types.intp] * 6]


@helper
def _store(vector, out, at, left, c, channel):
    """Store the channels of a pixel from `channel` on at out[at], where `left` elements of the image lie.

    What is too much is written over by the next pixel: all must be written in their order.
    """
    lanes = lanes_of(out)
    if c % lanes == 0 or left >= lanes:  # the first is the same in each round of a loop, which LLVM then makes twice
        tile_store(vector, out, at, 0, 0, 1, lanes, False)
    else:
        tile_store(vector, out, at, 0, 0, 1, c - channel, False)


@kernel(lambda T: (T[::1], T[::1], types.int32[::1], types.int64[::1], types.int64[::1], *_GEOMETRY))
def _max_pool(image, x, out, taps, row_taps, column_taps, offsets, pitch, c, rows, columns, row_step, column_step):
    for row in range(rows):
        for column in range(columns):
            corner = image * pitch + row * row_step + column * column_step
            first = load(row_taps, row) + load(column_taps, column)  # the first tap that is not in the padding
            for channel in range(0, c, lanes_of(x)):
                best, best_taps = vector_at(x, corner + load(offsets, first) + channel), vector_of(x, first)
                for tap in range(offsets.size):
                    best, best_taps = keep_larger(best, best_taps, x, corner + load(offsets, tap) + channel, tap)
                at = ((image * rows + row) * columns + column) * c + channel
                left = (image + 1) * rows * columns * c - at
                _store(best, out, at, left, c, channel)
                _store(best_taps, taps, at, left, c, channel)


@kernel(lambda T: (T[::1], T[::1], types.int32[::1], *_GEOMETRY))
def _max_pool_take(image, x, out, taps, offsets, pitch, c, rows, columns, row_step, column_step):
    for row in range(rows):
        for column in range(columns):
            corner = image * pitch + row * row_step + column * column_step
            at = ((image * rows + row) * columns + column) * c
            for channel in range(c):
                store(out, at + channel, load(x, corner + load(offsets, load(taps, at + channel)) + channel))


@kernel(lambda T: (T[::1], T[::1], types.int32[::1], *_GEOMETRY, types.intp))
def _max_pool_grad(image, out, g, taps, offsets, pitch, c, rows, columns, row_step, column_step, tiled):
    """`tiled` is the number of columns of a window where windows cover the image, each element once; else 0."""
    lanes = lanes_of(g)
    if tiled:  # row by row, so that whole vectors can be stored
        for row in range(rows * (offsets.size // tiled)):
            window_row, first = row // (offsets.size // tiled), row % (offsets.size // tiled) * tiled
            for column in range(columns):
                at = ((image * rows + window_row) * columns + column) * c
                for tap in range(tiled):
                    target = image * pitch + ((row * columns + column) * tiled + tap) * c
                    left = (image + 1) * pitch - target
                    for channel in range(0, c, lanes):
                        share = where_equal(g, taps, at + channel, first + tap)
                        _store(share, out, target + channel, left - channel, c, channel)
        return
    for i in range(image * pitch, (image + 1) * pitch):
        store(out, i, 0)
    for row in range(rows):
        for column in range(columns):
            corner = image * pitch + row * row_step + column * column_step
            at = ((image * rows + row) * columns + column) * c
            for channel in range(0, c, lanes):
                for tap in range(offsets.size):
                    share = where_equal(g, taps, at + channel, tap)
                    tile_add(share, out, corner + load(offsets, tap) + channel, 0, 1, c - channel, False)


@helper
def _total(x, at, offsets, first, last):
    """The sum of the taps from `first` to `last` of the window whose corner is x[at]."""
    total = vector_at(x, at + load(offsets, first))
    for tap in range(first + 1, last):
        total = plus(total, x, at + load(offsets, tap))
    return total


@helper
def _total_of_many(x, at, offsets):
    """The sum of all taps, TAPS at a time, which are added by halves as they come (see _parts)."""
    lanes, kept, parts = lanes_of(x), on_stack(x, 512), 0
    for first in range(0, offsets.size, TAPS):
        part, to, left = _total(x, at, offsets, first, min(offsets.size, first + TAPS)), 0, parts
        while left & 1:
            part, to, left = plus(part, kept, to), to + lanes, left >> 1
        tile_store(part, kept, to, 0, 0, 1, lanes, False)
        parts += 1
    total, to = tile_zeros(x, 1, 1), 0
    while parts:
        if parts & 1:
            total = plus(total, kept, to)
        to, parts = to + lanes, parts >> 1
    return total


@kernel(lambda T: (T[::1], T[::1], *_GEOMETRY))
def _avg_pool(image, x, out, offsets, pitch, c, rows, columns, row_step, column_step):
    for row in range(rows):
        for column in range(columns):
            corner = image * pitch + row * row_step + column * column_step
            for channel in range(0, c, lanes_of(x)):
                if offsets.size <= TAPS:
                    total = _total(x, corner + channel, offsets, 0, offsets.size)
                else:
                    total = _total_of_many(x, corner + channel, offsets)
                at = ((image * rows + row) * columns + column) * c + channel
                left = (image + 1) * rows * columns * c - at
                _store(over(total, offsets.size), out, at, left, c, channel)


@kernel(lambda T: (T[::1], T[::1], *_GEOMETRY, types.intp))
def _avg_pool_grad(image, out, g, offsets, pitch, c, rows, columns, row_step, column_step, tiled):
    """`tiled` is as for the largest value's."""
    lanes = lanes_of(g)
    if tiled:
        length = columns * tiled * c
        for row in range(rows):  # of windows: one row of pixels, and then its copies
            first = image * pitch + row * (offsets.size // tiled) * length
            for column in range(columns):
                at = ((image * rows + row) * columns + column) * c
                for channel in range(0, c, lanes):
                    share = over(vector_at(g, at + channel), offsets.size)
                    for tap in range(tiled):
                        target = first + (column * tiled + tap) * c + channel
                        # Where a pixel takes several vectors, the next pixel's first one has been stored already.
                        left = (image + 1) * pitch - target if c <= lanes else c - channel
                        _store(share, out, target, left, c, channel)
            for line in range(1, offsets.size // tiled):
                copy(out, first, out, first + line * length, length)
        return
    for i in range(image * pitch, (image + 1) * pitch):
        store(out, i, 0)
    for row in range(rows):
        for column in range(columns):
            corner = image * pitch + row * row_step + column * column_step
            at = ((image * rows + row) * columns + column) * c
            for channel in range(0, c, lanes):
                share = over(vector_at(g, at + channel), offsets.size)
                for tap in range(offsets.size):
                    tile_add(share, out, corner + load(offsets, tap) + channel, 0, 1, c - channel, False)


def _padded(x: Array, window: Window, fill: float) -> Array:
    """x (n, c, h, w) flat and channels-last, `fill` in the window's padding."""
    if window.padding == ((0, 0), (0, 0)):
        return _flat(x)
    size, corner = window.padded((x.shape[2], x.shape[3])), (window.padding[0][0], window.padding[1][0])
    return spread(channels_last(x), size, corner, fill=fill, slack=SLACK // x.itemsize)


@lru_cache(1024)
def _geometry(size: Pair, places: Pair, c: int, window: Window) -> tuple[Any, ...]:
    height, width = window.padded(size)
    rows, columns = np.arange(window.kernel[0]), np.arange(window.kernel[1])
    offsets = np.add.outer(rows * width, columns).reshape(-1) * c
    return offsets, height * width * c, c, *places, window.stride[0] * width * c, window.stride[1] * c


@lru_cache(1024)
def _first_taps(places: Pair, window: Window) -> tuple[Array, Array]:
    """The first tap outside the padding is the sum of one number for the output's row and one for its column."""
    (top, _), (left, _) = window.padding
    rows = np.maximum(0, top - np.arange(places[0]) * window.stride[0]) * window.kernel[1]
    return rows, np.maximum(0, left - np.arange(places[1]) * window.stride[1])


def _flat(x: Array) -> Array:
    return readable_beyond(channels_last(x), x.shape[1], lanes(x.dtype))


def max_pool2d(x: Array, window: Window) -> tuple[Array, Array]:
    """See Backend.max_pool2d. Results are views of channels-last memory."""
    n, c, h, w = x.shape
    places = window.positions((h, w))
    out, taps = empty((n, *places, c), x.dtype), empty((n, *places, c), np.int32)
    if out.size:
        shared = (_padded(x, window, -np.inf), out.reshape(-1), taps.reshape(-1), *_first_taps(places, window))
        _max_pool[x.dtype](n, x.size, (*shared, *_geometry((h, w), places, c, window)))
    return channels_first(out), channels_first(taps)


def max_pool2d_take(x: Array, taps: Array, window: Window) -> Array:
    """See Backend.max_pool2d_take."""
    n, c, h, w = x.shape
    out = empty((n, *taps.shape[2:], c), x.dtype)
    if out.size:
        geometry = _geometry((h, w), taps.shape[2:], c, window)
        _max_pool_take[x.dtype](n, out.size, (_padded(x, window, 0), out.reshape(-1), _flat(taps), *geometry))
    return channels_first(out)


def max_pool2d_grad(g: Array, taps: Array, size: Pair, window: Window) -> Array:
    """See Backend.max_pool2d_grad."""
    out = empty((g.shape[0], *window.padded(size), g.shape[1]), g.dtype)
    if out.size:
        geometry = _geometry(size, g.shape[2:], g.shape[1], window)
        shared = (out.reshape(-1), _flat(g), _flat(taps), *geometry, _tiled(out, g, window))
        _max_pool_grad[g.dtype](len(out), out.size, shared)
    return _unpadded(out, size, window)


def avg_pool2d(x: Array, window: Window) -> Array:
    """See Backend.avg_pool2d."""
    n, c, h, w = x.shape
    places = window.positions((h, w))
    out = empty((n, *places, c), x.dtype)
    if out.size:
        geometry = _geometry((h, w), places, c, window)
        _avg_pool[x.dtype](n, x.size, (_padded(x, window, 0), out.reshape(-1), *geometry))
    return channels_first(out)


def avg_pool2d_grad(g: Array, size: Pair, window: Window) -> Array:
    """See Backend.avg_pool2d_grad."""
    out = empty((g.shape[0], *window.padded(size), g.shape[1]), g.dtype)
    if out.size:
        geometry = _geometry(size, g.shape[2:], g.shape[1], window)
        shared = (out.reshape(-1), _flat(g), *geometry, _tiled(out, g, window))
        _avg_pool_grad[g.dtype](len(out), out.size, shared)
    return _unpadded(out, size, window)


def _tiled(out: Array, g: Array, window: Window) -> int:
    """The columns of a window, where windows at the places of g cover `out` (n, h, w, c), each element once; else 0."""
    covered = (g.shape[2] * window.kernel[0], g.shape[3] * window.kernel[1])
    return window.kernel[1] if window.stride == window.kernel and out.shape[1:3] == covered else 0


def _unpadded(out: Array, size: Pair, window: Window) -> Array:
    """The part (n, c, *size) of channels-last images that is not padding."""
    (top, _), (left, _) = window.padding
    return channels_first(out[:, top : top + size[0], left : left + size[1]])
