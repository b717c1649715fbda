"""Pooling on padded channels-last images: a chunk is one image, a vector some neighbouring channels of one pixel.

    image row   |c c c|c c c|c c c|c c c|       c = 3 channels, 2x2 window, stride 2
    corners      ^           ^                  of the window, at row 0
    offsets     (0, 3, width * 3, width * 3 + 3)    how far each tap lies behind the corner

A vector may hold more lanes than there are channels left: what they read is not used.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import types
from numpy.typing import NDArray

from stackgrad.tensor import Window
from stackgrad.tensor._plans import Plans
from stackgrad.tensor._shape import NO_PADDING

from ._channels_last import channels_first, channels_last, copy, readable_beyond
from ._copy import with_slack
from ._kernel import Kernel, helper, kernel, named
from ._memory import has_slack, maker
from ._pointers import Memory, load, on_stack, store
from ._simd import tile_add, tile_store
from ._vector import keep_larger, over, plus, vector_at, vector_of, where_equal
from ._width import lanes, lanes_of
from .conv._image import reading

Array = NDArray[Any]
Pair = tuple[int, int]

TAPS = 128  # added up one after the other


class Pooling(NamedTuple):
    """Windows of so many `taps` in `rows` and `columns` on each image, and how far one lies from the next.

    An image is `pitch` elements with its padding. Where windows cover it, each element once, `across` is how many
    columns a window has; else 0.
    """

    taps: int
    pitch: int
    channels: int
    rows: int
    columns: int
    row_step: int
    column_step: int
    across: int


def _arguments(*arrays: Callable[[Any], Any]) -> Callable[[Any], tuple[Any, ...]]:
    """Those of a kernel of so many arrays: beside them how far each tap lies behind the corner, and the windows."""
    integers, pooling = Memory(types.int64), named(Pooling)
    return lambda T: (*[Memory(of(T)) for of in arrays], integers, pooling)


def _float(T: Any) -> Any:
    return T


def _tap(T: Any) -> Any:
    return types.int32


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


@helper
def _corner(image, row, column, pool):
    """Where the window in that row and column of an image begins."""
    return image * pool.pitch + row * pool.row_step + column * pool.column_step


@helper
def _pixel(image, row, column, pool):
    """Where the channels of that pixel of the result lie."""
    return ((image * pool.rows + row) * pool.columns + column) * pool.channels


@kernel(lambda T: (Memory(types.int64), *_arguments(_float, _float, _tap)(T)))
def _max_pool(image, first_taps, x, out, taps, offsets, pool):
    """`first_taps`: for each row of windows, then for each column: their sum is the first tap not in the padding."""
    c, end = pool.channels, _pixel(image + 1, 0, 0, pool)
    for row in range(pool.rows):
        for column in range(pool.columns):
            corner = _corner(image, row, column, pool)
            first = load(first_taps, row) + load(first_taps, pool.rows + column)
            for channel in range(0, c, lanes_of(x)):
                best, best_taps = vector_at(x, corner + load(offsets, first) + channel), vector_of(x, first)
                for tap in range(pool.taps):
                    best, best_taps = keep_larger(best, best_taps, x, corner + load(offsets, tap) + channel, tap)
                at = _pixel(image, row, column, pool) + channel
                _store(best, out, at, end - at, c, channel)
                _store(best_taps, taps, at, end - at, c, channel)


@kernel(_arguments(_float, _tap, _float))
def _max_pool_take(image, x, taps, out, offsets, pool):
    for row in range(pool.rows):
        for column in range(pool.columns):
            corner, at = _corner(image, row, column, pool), _pixel(image, row, column, pool)
            for channel in range(pool.channels):
                store(out, at + channel, load(x, corner + load(offsets, load(taps, at + channel)) + channel))


@kernel(_arguments(_float, _tap, _float))
def _max_pool_grad(image, g, taps, out, offsets, pool):
    c, across, lanes = pool.channels, pool.across, lanes_of(g)
    if across:  # row by row, so that whole vectors can be stored
        down, target, left = pool.taps // across, image * pool.pitch, pool.pitch
        length = pool.columns * across * c
        few = c <= lanes <= length
        for row in range(pool.rows * down):
            at, first = _pixel(image, row // down, 0, pool), row % down * across
            if few and left > length:  # with no test of what is left: these are the most
                for _ in range(pool.columns):
                    for tap in range(first, first + across):
                        tile_store(where_equal(g, taps, at, tap), out, target, 0, 0, 1, lanes, False)
                        target += c
                    at += c
                left -= length
                continue
            for _ in range(pool.columns):
                for tap in range(first, first + across):
                    for channel in range(0, c, lanes):
                        share = where_equal(g, taps, at + channel, tap)
                        _store(share, out, target + channel, left - channel, c, channel)
                    target, left = target + c, left - c
                at += c
        return
    for i in range(image * pool.pitch, (image + 1) * pool.pitch):
        store(out, i, 0)
    for row in range(pool.rows):
        for column in range(pool.columns):
            corner, at = _corner(image, row, column, pool), _pixel(image, row, column, pool)
            for channel in range(0, c, lanes):
                for tap in range(pool.taps):
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
def _total_of_many(x, at, offsets, taps):
    """The sum of all taps, TAPS at a time, which are added by halves as they come (see _parts)."""
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


@kernel(_arguments(_float, _float))
def _avg_pool(image, x, out, offsets, pool):
    c, end = pool.channels, _pixel(image + 1, 0, 0, pool)
    for row in range(pool.rows):
        for column in range(pool.columns):
            corner = _corner(image, row, column, pool)
            for channel in range(0, c, lanes_of(x)):
                if pool.taps <= TAPS:
                    total = _total(x, corner + channel, offsets, 0, pool.taps)
                else:
                    total = _total_of_many(x, corner + channel, offsets, pool.taps)
                at = _pixel(image, row, column, pool) + channel
                _store(over(total, pool.taps), out, at, end - at, c, channel)


@kernel(_arguments(_float, _float))
def _avg_pool_grad(image, g, out, offsets, pool):
    c, across, lanes = pool.channels, pool.across, lanes_of(g)
    if across:
        length, down = pool.columns * across * c, pool.taps // across
        for row in range(pool.rows):  # of windows: one row of pixels, and then its copies
            first = image * pool.pitch + row * down * length
            for column in range(pool.columns):
                at = _pixel(image, row, column, pool)
                for channel in range(0, c, lanes):
                    share = over(vector_at(g, at + channel), pool.taps)
                    for tap in range(across):
                        target = first + (column * across + tap) * c + channel
                        # Where a pixel takes several vectors, the next pixel's first one has been stored already.
                        left = (image + 1) * pool.pitch - target if c <= lanes else c - channel
                        _store(share, out, target, left, c, channel)
            for line in range(1, down):
                copy(out, first, out, first + line * length, length)
        return
    for i in range(image * pool.pitch, (image + 1) * pool.pitch):
        store(out, i, 0)
    for row in range(pool.rows):
        for column in range(pool.columns):
            corner, at = _corner(image, row, column, pool), _pixel(image, row, column, pool)
            for channel in range(0, c, lanes):
                share = over(vector_at(g, at + channel), pool.taps)
                for tap in range(pool.taps):
                    tile_add(share, out, corner + load(offsets, tap) + channel, 0, 1, c - channel, False)


def _beyond(x: Array) -> int:
    """How many elements behind the last pixel vectors of its channels reach, or more."""
    return lanes(x.dtype) if x.shape[1] % lanes(x.dtype) else 0


def _reading_taps(taps: Array) -> Callable[[Array], Array]:
    """The same as `reading` for what `max_pool2d` gave."""
    width, c = lanes(taps.dtype), taps.shape[1]
    if not taps.transpose(0, 2, 3, 1).flags.c_contiguous:
        return lambda taps: readable_beyond(channels_last(taps), c, width)
    whole = c % width == 0
    return lambda taps: taps if whole or has_slack(taps) else with_slack(channels_last(taps).reshape(-1))


def _pooling(x: tuple[int, ...], out: tuple[int, ...], window: Window) -> tuple[Array, Pooling]:
    """How far each tap lies behind the corner, and the windows that lead from images of shape x to those of `out`."""
    (_, c, h, w), (rows, columns) = x, out[2:]
    height, width = window.padded((h, w))
    offsets = np.add.outer(np.arange(window.kernel[0]) * width, np.arange(window.kernel[1])).reshape(-1) * c
    covered = (rows * window.kernel[0], columns * window.kernel[1]) == (height, width)
    across = window.kernel[1] if covered and window.stride == window.kernel else 0
    steps = (window.stride[0] * width * c, window.stride[1] * c)
    return offsets, Pooling(offsets.size, height * width * c, c, rows, columns, *steps, across)


def _first_taps(pool: Pooling, window: Window) -> Array:
    (top, _), (left, _) = window.padding
    of_rows = np.maximum(0, top - np.arange(pool.rows) * window.stride[0]) * window.kernel[1]
    return np.concatenate([of_rows, np.maximum(0, left - np.arange(pool.columns) * window.stride[1])])


def _plan_max(x: Array, window: Window) -> Callable[[Array], tuple[Array, Array]]:
    n, c, h, w = x.shape
    places, work, read = window.positions((h, w)), x.size, reading(x, window.padding, _beyond(x), -np.inf)
    offsets, pool = _pooling(x.shape, (n, c, *places), window)
    make, make_taps = maker((n, *places, c), x.dtype), maker((n, *places, c), np.dtype(np.int32))
    entry, first_taps = _max_pool[x.dtype], _first_taps(pool, window)

    def run(x: Array) -> tuple[Array, Array]:
        out, taps = make(), make_taps()
        entry(n, work, (first_taps, read(x), out, taps, offsets, pool))
        return channels_first(out), channels_first(taps)

    return run


def _plan_avg(x: Array, window: Window) -> Callable[[Array], Array]:
    n, c, h, w = x.shape
    places, work, read = window.positions((h, w)), x.size, reading(x, window.padding, _beyond(x))
    offsets, pool = _pooling(x.shape, (n, c, *places), window)
    make, entry = maker((n, *places, c), x.dtype), _avg_pool[x.dtype]

    def run(x: Array) -> Array:
        out = make()
        entry(n, work, (read(x), out, offsets, pool))
        return channels_first(out)

    return run


def _plan_take(x: Array, taps: Array, window: Window) -> Callable[[Array, Array], Array]:
    n, c, rows, columns = taps.shape
    work, read, read_taps = taps.size, reading(x, window.padding, _beyond(x)), _reading_taps(taps)
    offsets, pool = _pooling(x.shape, taps.shape, window)
    make, entry = maker((n, rows, columns, c), x.dtype), _max_pool_take[x.dtype]

    def run(x: Array, taps: Array) -> Array:
        out = make()
        entry(n, work, (read(x), read_taps(taps), out, offsets, pool))
        return channels_first(out)

    return run


def _plan_grad(kernel: Kernel, g: Array, taps: Array | None, size: Pair, window: Window) -> Callable[..., Array]:
    (n, c), (height, width), ((top, _), (left, _)) = g.shape[:2], window.padded(size), window.padding
    inside = (slice(None), slice(top, top + size[0]), slice(left, left + size[1]))
    work, is_padded, read = n * height * width * c, (height, width) != size, reading(g, NO_PADDING, _beyond(g))
    read_taps = None if taps is None else _reading_taps(taps)
    offsets, pool = _pooling((n, c, *size), g.shape, window)
    make, entry = maker((n, height, width, c), g.dtype), kernel[g.dtype]

    def run(g: Array, *taps: Array) -> Array:
        out = make()
        if read_taps is not None:
            taps = (read_taps(*taps),)
        entry(n, work, (read(g), *taps, out, offsets, pool))
        return channels_first(out[inside] if is_padded else out)

    return run


_max_plans: Plans[Callable[[Array], tuple[Array, Array]]] = Plans(_plan_max)
_avg_plans: Plans[Callable[[Array], Array]] = Plans(_plan_avg)
_take_plans: Plans[Callable[[Array, Array], Array]] = Plans(_plan_take)
_grad_plans: Plans[Callable[..., Array]] = Plans(_plan_grad)


def max_pool2d(x: Array, window: Window) -> tuple[Array, Array]:
    """See Backend.max_pool2d. Results are views of channels-last memory."""
    return _max_plans.find((x.dtype, x.shape, x.strides, window), x, window)(x)


def max_pool2d_take(x: Array, taps: Array, window: Window) -> Array:
    """See Backend.max_pool2d_take."""
    form = (x.dtype, x.shape, x.strides, taps.shape, taps.strides, window)
    return _take_plans.find(form, x, taps, window)(x, taps)


def max_pool2d_grad(g: Array, taps: Array, size: Pair, window: Window) -> Array:
    """See Backend.max_pool2d_grad."""
    form = (g.dtype, g.shape, g.strides, taps.strides, size, window)
    return _grad_plans.find(form, _max_pool_grad, g, taps, size, window)(g, taps)


def avg_pool2d(x: Array, window: Window) -> Array:
    """See Backend.avg_pool2d."""
    return _avg_plans.find((x.dtype, x.shape, x.strides, window), x, window)(x)


def avg_pool2d_grad(g: Array, size: Pair, window: Window) -> Array:
    """See Backend.avg_pool2d_grad."""
    form = (g.dtype, g.shape, g.strides, None, size, window)
    return _grad_plans.find(form, _avg_pool_grad, g, None, size, window)(g)
