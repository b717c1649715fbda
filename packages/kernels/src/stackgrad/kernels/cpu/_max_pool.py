"""Max pooling and its gradients, on images as in `_pool`.

For each window it stores the tap of the largest value, or `~tap` if that value is 0 or below: a relu before the pool
passes no gradient there, and the gradient kernel knows this without reading the image. Taps are flat, in the order of
the result, with room for a vector after them. Taps that fit are bytes, a quarter of the memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from stackgrad.tensor import Window
from stackgrad.tensor._plans import Plans
from stackgrad.tensor._types import HostArray as Array
from stackgrad.tensor._types import Pair
from stackgrad.tensor._window import NO_PADDING

from ._channels_last import channels_first, fill_with
from ._kernel import Kernel, rebind
from ._memory import maker
from ._numba import helper, types
from ._pointers import Memory, load, store
from ._pool import Pooling, arguments, beyond, corner_of, of_float, pixel_of, plan_grad, pooling, store_channels
from ._simd import tile_add, tile_store
from ._vector import flip_back, flip_unless_positive, keep_larger, taps_at, vector_at, vector_of, where_equal
from ._width import lanes, lanes_of
from .conv._image import Columns, Summed, add_up, clear_sums, inside, masked_and_summed, reading, sums_of

BYTES_TO = 128  # most taps of a window whose taps fit a byte


def _of_byte(T: Any) -> Any:
    return types.int8


def _of_integer(T: Any) -> Any:
    return types.int32


class _Kernels:
    """A kernel for windows whose taps fit bytes, one for larger windows, and one for 2x2 with its `constants`.

    Each is made on first use: creating one takes Numba a million instructions.
    """

    def __init__(self, body: Callable[..., Any], arguments: Callable[[Any], Any], **constants: Any) -> None:
        self._body, self._arguments, self._constants = body, arguments, constants

    @cached_property
    def _of_bytes(self) -> Kernel:
        return Kernel(self._body, self._arguments(_of_byte))

    @cached_property
    def _of_integers(self) -> Kernel:
        return Kernel(rebind(self._body, f"{self._body.__name__}_of_many"), self._arguments(_of_integer))

    @cached_property
    def _two_by_two(self) -> Kernel:
        body = rebind(self._body, f"{self._body.__name__}_2x2", **self._constants)
        return Kernel(body, self._arguments(_of_byte))

    def of(self, window: Window, common: bool = False) -> Kernel:
        """The kernel for the window; `common` says that the constants hold for it if it is 2x2."""
        if common and window.kernel == (2, 2):
            return self._two_by_two
        return self._of_bytes if _fit_bytes(window) else self._of_integers


def _fit_bytes(window: Window) -> bool:
    return math.prod(window.kernel) <= BYTES_TO


IN_IMAGE = False  # placeholder: whether windows are 2x2 without padding


def _max_pool(image, first_taps, x, out, taps, offsets, pool):
    """`first_taps` has one entry per row of windows, then one per column: their sum is the first tap in the image."""
    c, end, lanes = pool.channels, pixel_of(image + 1, 0, 0, pool), lanes_of(x)
    second, third, fourth = (load(offsets, 1), load(offsets, 2), load(offsets, 3)) if IN_IMAGE else (0, 0, 0)
    for row in range(pool.rows):
        for column in range(pool.columns):
            corner, pixel = corner_of(image, row, column, pool), pixel_of(image, row, column, pool)
            first = 0 if IN_IMAGE else load(first_taps, row) + load(first_taps, pool.rows + column)
            for channel in range(0, c, lanes):
                at, i = pixel + channel, corner + channel
                if IN_IMAGE:
                    best, best_taps = keep_larger(vector_at(x, i), vector_of(x, 0), x, i + second, 1)
                    best, best_taps = keep_larger(best, best_taps, x, i + third, 2)
                    best, best_taps = keep_larger(best, best_taps, x, i + fourth, 3)
                else:
                    best, best_taps = vector_at(x, i + load(offsets, first)), vector_of(x, first)
                    for tap in range(pool.taps):
                        best, best_taps = keep_larger(best, best_taps, x, i + load(offsets, tap), tap)
                store_channels(best, out, at, end - at, c, channel)
                store_channels(flip_unless_positive(best_taps, best), taps, at, end - at, c, channel)


_MAX_POOL = _Kernels(
    _max_pool, lambda tap: lambda T: (Memory(types.int64), *arguments(of_float, of_float, tap)(T)), IN_IMAGE=True
)


def _max_pool_take(image, x, taps, out, offsets, pool):
    for row in range(pool.rows):
        for column in range(pool.columns):
            corner, at = corner_of(image, row, column, pool), pixel_of(image, row, column, pool)
            for channel in range(pool.channels):
                tap = load(taps, at + channel)
                store(out, at + channel, load(x, corner + load(offsets, max(tap, ~tap)) + channel))


_MAX_POOL_TAKE = _Kernels(_max_pool_take, lambda tap: arguments(of_float, tap, of_float))


ACROSS, DOWN = 0, 0  # placeholders: columns and rows of a window, if the kernel knows them


@helper
def _taps_of(taps, at, g, positive):
    """The taps of some windows; with `positive`, taps of values of 0 or below stay flipped and match none."""
    found = taps_at(taps, at, g)
    return found if positive else flip_back(found)


@helper
def _spread_lines(image, row, first, end, g, taps, out, pool, positive, across, down):
    """Spread the gradient of a row of windows that tile the image to rows `first` to `end` of each window."""
    c, lanes, length = pool.channels, lanes_of(g), pool.columns * across * pool.channels
    at, target, left = pixel_of(image, row, 0, pool), image * pool.pitch + row * down * length, length
    for _ in range(pool.columns):
        for channel in range(0, c, lanes):
            share, found = vector_at(g, at + channel), _taps_of(taps, at + channel, g, positive)
            for tap in range(across):
                # The next pixel overwrites surplus lanes; the last one of a row has none.
                count = lanes if c <= lanes <= left - tap * c else c - channel
                for line in range(first, end):
                    to = target + line * length + tap * c + channel
                    tile_store(where_equal(share, found, line * across + tap), out, to, 0, 0, 1, count, False)
        at, target, left = at + c, target + across * c, left - across * c


@helper
def _spread(image, row, g, taps, out, pool, positive, across, down):
    """Spread the gradient of a row of windows that tile the image to its pixels."""
    if pool.channels < lanes_of(g):
        _spread_lines(image, row, 0, down, g, taps, out, pool, positive, across, down)
    else:  # one row of pixels after the other: the fastest order of writes
        for line in range(down):
            _spread_lines(image, row, line, line + 1, g, taps, out, pool, positive, across, down)


@helper
def _scatter(image, g, taps, out, offsets, pool, positive):
    """The same for all windows of an image, if they overlap or leave pixels out."""
    c, lanes = pool.channels, lanes_of(g)
    fill_with(out, image * pool.pitch, (image + 1) * pool.pitch, 0)
    for row in range(pool.rows):
        for column in range(pool.columns):
            corner, at = corner_of(image, row, column, pool), pixel_of(image, row, column, pool)
            for channel in range(0, c, lanes):
                share, found = vector_at(g, at + channel), _taps_of(taps, at + channel, g, positive)
                for tap in range(pool.taps):
                    to = corner + load(offsets, tap) + channel
                    tile_add(where_equal(share, found, tap), out, to, 0, 1, c - channel, False)


def _max_pool_grad(image, g, taps, out, offsets, pool):
    if ACROSS or pool.across:
        across, down = ACROSS or pool.across, DOWN or pool.taps // pool.across
        for row in range(pool.rows):
            _spread(image, row, g, taps, out, pool, False, across, down)
    else:
        _scatter(image, g, taps, out, offsets, pool, False)


def _max_pool_relu_grad(image, g, taps, out, sums, offsets, pool):
    """`_max_pool_grad` through a relu before the pool, and the sums of the image's columns, see `Summed`."""
    columns = Columns(pool.height, pool.pitch // pool.height)
    clear_sums(image, sums, columns)
    if ACROSS or pool.across:
        across, down = ACROSS or pool.across, DOWN or pool.taps // pool.across
        for row in range(pool.rows):
            _spread(image, row, g, taps, out, pool, True, across, down)
            add_up(image, row * down, (row + 1) * down, out, sums, columns)
    else:
        _scatter(image, g, taps, out, offsets, pool, True)
        add_up(image, 0, pool.height, out, sums, columns)


_MAX_POOL_GRAD = _Kernels(_max_pool_grad, lambda tap: arguments(of_float, tap, of_float), ACROSS=2, DOWN=2)
_MAX_POOL_RELU_GRAD = _Kernels(
    _max_pool_relu_grad, lambda tap: arguments(of_float, tap, of_float, of_float), ACROSS=2, DOWN=2
)


def _first_taps(pool: Pooling, window: Window) -> Array:
    (top, _), (left, _) = window.padding
    of_rows = np.maximum(0, top - np.arange(pool.rows) * window.stride[0]) * window.kernel[1]
    return np.concatenate([of_rows, np.maximum(0, left - np.arange(pool.columns) * window.stride[1])])


def _plan(x: Array, window: Window) -> Callable[[Array], tuple[Array, Array]]:
    n, c, h, w = x.shape
    out, read = (n, c, *window.positions((h, w))), reading(x, window.padding, beyond(x), -np.inf)
    (offsets, pool), work = pooling(x.shape, out, window), x.size
    make, first_taps = maker((n, *out[2:], c), x.dtype), _first_taps(pool, window)
    make_taps = maker((math.prod(out) + lanes(x.dtype),), np.dtype(np.int8 if _fit_bytes(window) else np.int32))
    launch = _MAX_POOL.of(window, window.padding == NO_PADDING)[x.dtype]

    def run(x: Array) -> tuple[Array, Array]:
        out, taps = make(), make_taps()
        launch(n, work, (first_taps, read(x), out, taps, offsets, pool))
        return channels_first(out), taps

    return run


def _plan_take(x: Array, window: Window) -> Callable[[Array, Array], Array]:
    n, c, h, w = x.shape
    out, read = (n, c, *window.positions((h, w))), reading(x, window.padding, beyond(x))
    (offsets, pool), work = pooling(x.shape, out, window), math.prod(out)
    make, launch = maker((n, *out[2:], c), x.dtype), _MAX_POOL_TAKE.of(window)[x.dtype]

    def run(x: Array, taps: Array) -> Array:
        out = make()
        launch(n, work, (read(x), taps, out, offsets, pool))
        return channels_first(out)

    return run


def _plan_grad(g: Array, size: Pair, window: Window) -> Callable[[Array, Array], Array]:
    _, pool = pooling((*g.shape[:2], *size), g.shape, window)
    return plan_grad(_MAX_POOL_GRAD.of(window, pool.across > 0), g, size, window)


def _plan_relu_grad(g: Array, size: Pair, window: Window) -> Callable[[Array, Array], Summed]:
    (n, c), read = g.shape[:2], reading(g, NO_PADDING, beyond(g))
    (offsets, pool), work = pooling((n, c, *size), g.shape, window), n * c * math.prod(size)
    make, make_sums = maker((n, *size, c), g.dtype), maker(sums_of(n, c, size), g.dtype)
    launch = _MAX_POOL_RELU_GRAD.of(window, pool.across > 0)[g.dtype]

    def run(g: Array, taps: Array) -> Summed:
        out, sums = make(), make_sums()
        launch(n, work, (read(g), taps, out, sums, offsets, pool))
        return Summed(channels_first(out), sums)

    return run


_plans: Plans[Callable[[Array], tuple[Array, Array]]] = Plans(_plan)
_take_plans: Plans[Callable[[Array, Array], Array]] = Plans(_plan_take)
_grad_plans: Plans[Callable[[Array, Array], Array]] = Plans(_plan_grad)
_relu_grad_plans: Plans[Callable[[Array, Array], Summed]] = Plans(_plan_relu_grad)


def max_pool2d(x: Array, window: Window) -> tuple[Array, Array]:
    """See Backend.max_pool2d. The result is a view of channels-last memory; the taps are flat, in its order."""
    return _plans.find((x.dtype, x.shape, x.strides, window), x, window)(x)


def max_pool2d_take(x: Array, taps: Array, window: Window) -> Array:
    """See Backend.max_pool2d_take."""
    return _take_plans.find((x.dtype, x.shape, x.strides, window), x, window)(x, taps)


def max_pool2d_grad(g: Array, taps: Array, size: Pair, window: Window) -> Array:
    """See Backend.max_pool2d_grad."""
    return _grad_plans.find((g.dtype, g.shape, g.strides, size, window), g, size, window)(g, taps)


def max_pool2d_relu_grad(g: Array, taps: Array, x: Array, window: Window) -> Summed:
    """See Backend.max_pool2d_relu_grad."""
    size = x.shape[2], x.shape[3]
    if window.padding != NO_PADDING:
        masked, sums = masked_and_summed(max_pool2d_grad(g, taps, size, window), x, NO_PADDING)
        return Summed(inside(masked), sums)
    return _relu_grad_plans.find((g.dtype, g.shape, g.strides, size, window), g, size, window)(g, taps)
