"""Pooling on padded channels-last images: a chunk is one image.

An output row is one run of (column, channel) elements. Two tables say where things are in the flat image: where the
window of each element of the run begins, and how far each tap of the window lies from its first.

    image row      |c c c|c c c|c c c|c c c|        c = 3 channels, 2x2 window, stride 2
    starts          0 1 2       6 7 8               then + row of the window
    offsets        (0, 3, width * 3, width * 3 + 3)
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from stackgrad.tensor import Window

from ._buffers import empty
from ._jit import kernel
from ._layout import channels_first, channels_last, spread
from ._parallel import SERIAL
from ._simd import load, select, store

Array = NDArray[Any]
Pair = tuple[int, int]

# starts, offsets; elements of a padded image, output rows, distance between the windows of two of them
_GEOMETRY = [types.int64[::1], types.int64[::1], types.intp, types.intp, types.intp]


@kernel(lambda T: (T[::1], T[::1], types.int32[::1], types.int64[::1], types.int64[::1], *_GEOMETRY))
def _max_pool(image, x, out, taps, row_taps, column_taps, starts, offsets, pitch, rows, row_step):
    for row in range(rows):
        at = (image * rows + row) * starts.size
        for e in range(starts.size):
            corner = image * pitch + row * row_step + load(starts, e)
            best_tap = load(row_taps, row) + load(column_taps, e)  # the first that is not in the padding
            best = load(x, corner + load(offsets, best_tap))
            clean = best == best
            for tap in range(offsets.size):
                value = load(x, corner + load(offsets, tap))
                clean &= value == value
                better = value > best
                best = select(better, value, best)
                best_tap = select(better, tap, best_tap)
            if not clean:  # the first NaN wins; looked for apart, since it would make the loop above six times slower
                for tap in range(offsets.size - 1, -1, -1):
                    value = load(x, corner + load(offsets, tap))
                    if value != value:
                        best, best_tap = value, tap
            store(out, at + e, best)
            store(taps, at + e, types.int32(best_tap))


@kernel(lambda T: (T[::1], T[::1], types.int32[::1], *_GEOMETRY))
def _max_pool_take(image, x, out, taps, starts, offsets, pitch, rows, row_step):
    for row in range(rows):
        at = (image * rows + row) * starts.size
        for e in range(starts.size):
            corner = image * pitch + row * row_step + load(starts, e)
            store(out, at + e, load(x, corner + load(offsets, load(taps, at + e))))


@kernel(lambda T: (T[::1], T[::1], types.int32[::1], *_GEOMETRY))
def _max_pool_grad(image, out, g, taps, starts, offsets, pitch, rows, row_step):
    for i in range(image * pitch, (image + 1) * pitch):
        store(out, i, 0)
    for row in range(rows):
        at = (image * rows + row) * starts.size
        for e in range(starts.size):
            target = image * pitch + row * row_step + load(starts, e) + load(offsets, load(taps, at + e))
            store(out, target, load(out, target) + load(g, at + e))


@kernel(lambda T: (T[::1], T[::1], *_GEOMETRY))
def _avg_pool(image, x, out, starts, offsets, pitch, rows, row_step):
    for row in range(rows):
        at = (image * rows + row) * starts.size
        for e in range(starts.size):
            corner = image * pitch + row * row_step + load(starts, e)
            total = load(x, corner)
            for tap in range(1, offsets.size):
                total += load(x, corner + load(offsets, tap))
            store(out, at + e, total / type(total)(offsets.size))


@kernel(lambda T: (T[::1], T[::1], *_GEOMETRY))
def _avg_pool_grad(image, out, g, starts, offsets, pitch, rows, row_step):
    for i in range(image * pitch, (image + 1) * pitch):
        store(out, i, 0)
    for row in range(rows):
        at = (image * rows + row) * starts.size
        for e in range(starts.size):
            share = load(g, at + e)
            share /= type(share)(offsets.size)
            corner = image * pitch + row * row_step + load(starts, e)
            for tap in range(offsets.size):
                target = corner + load(offsets, tap)
                store(out, target, load(out, target) + share)


def _padded(x: Array, window: Window, fill: float) -> Array:
    """x (n, c, h, w) flat and channels-last, `fill` in the window's padding."""
    last = channels_last(x)
    if window.padding == ((0, 0), (0, 0)):
        return last.reshape(-1)
    corner = (window.padding[0][0], window.padding[1][0])
    return spread(last, window.padded((x.shape[2], x.shape[3])), corner, fill=fill)


def _geometry(size: Pair, places: Pair, c: int, window: Window) -> tuple[Any, ...]:
    height, width = window.padded(size)
    starts = np.add.outer(np.arange(places[1]) * (window.stride[1] * c), np.arange(c)).reshape(-1)
    rows, columns = np.arange(window.kernel[0]), np.arange(window.kernel[1])
    offsets = np.add.outer(rows * width, columns).reshape(-1) * c
    return starts, offsets, height * width * c, places[0], window.stride[0] * width * c


def _first_taps(places: Pair, c: int, window: Window) -> tuple[Array, Array]:
    """The first tap outside the padding is the sum of one number for the output's row and one for its element."""
    (top, _), (left, _) = window.padding
    rows = np.maximum(0, top - np.arange(places[0]) * window.stride[0]) * window.kernel[1]
    columns = np.maximum(0, left - np.arange(places[1]) * window.stride[1])
    return rows, columns.repeat(c)


def _flat(x: Array) -> Array:
    return channels_last(x).reshape(-1)


def max_pool2d(x: Array, window: Window) -> tuple[Array, Array]:
    """See Backend.max_pool2d. Results are views of channels-last memory."""
    n, c, h, w = x.shape
    places = window.positions((h, w))
    out, taps = empty((n, *places, c), x.dtype), empty((n, *places, c), np.int32)
    if out.size:
        shared = (_padded(x, window, -np.inf), out.reshape(-1), taps.reshape(-1), *_first_taps(places, c, window))
        _max_pool[x.dtype](n, x.size < SERIAL, (*shared, *_geometry((h, w), places, c, window)))
    return channels_first(out), channels_first(taps)


def max_pool2d_take(x: Array, taps: Array, window: Window) -> Array:
    """See Backend.max_pool2d_take."""
    n, c, h, w = x.shape
    out = empty((n, *taps.shape[2:], c), x.dtype)
    if out.size:
        geometry = _geometry((h, w), taps.shape[2:], c, window)
        _max_pool_take[x.dtype](n, out.size < SERIAL, (_padded(x, window, 0), out.reshape(-1), _flat(taps), *geometry))
    return channels_first(out)


def max_pool2d_grad(g: Array, taps: Array, size: Pair, window: Window) -> Array:
    """See Backend.max_pool2d_grad."""
    out = empty((g.shape[0], *window.padded(size), g.shape[1]), g.dtype)
    if out.size:
        geometry = _geometry(size, g.shape[2:], g.shape[1], window)
        _max_pool_grad[g.dtype](len(out), out.size < SERIAL, (out.reshape(-1), _flat(g), _flat(taps), *geometry))
    return _unpadded(out, size, window)


def avg_pool2d(x: Array, window: Window) -> Array:
    """See Backend.avg_pool2d."""
    n, c, h, w = x.shape
    places = window.positions((h, w))
    out = empty((n, *places, c), x.dtype)
    if out.size:
        geometry = _geometry((h, w), places, c, window)
        _avg_pool[x.dtype](n, x.size < SERIAL, (_padded(x, window, 0), out.reshape(-1), *geometry))
    return channels_first(out)


def avg_pool2d_grad(g: Array, size: Pair, window: Window) -> Array:
    """See Backend.avg_pool2d_grad."""
    out = empty((g.shape[0], *window.padded(size), g.shape[1]), g.dtype)
    if out.size:
        geometry = _geometry(size, g.shape[2:], g.shape[1], window)
        _avg_pool_grad[g.dtype](len(out), out.size < SERIAL, (out.reshape(-1), _flat(g), *geometry))
    return _unpadded(out, size, window)


def _unpadded(out: Array, size: Pair, window: Window) -> Array:
    """The part (n, c, *size) of channels-last images that is not padding."""
    (top, _), (left, _) = window.padding
    return channels_first(out[:, top : top + size[0], left : left + size[1]])
