"""Pooling of images that are viewed as planes (n * c, h, w).

result     |t0 t1 t2 ...|    a thread computes one element of the result from its window, row by row

gradient   |t0 t1 t2 ...|    a thread computes RUN adjacent pixels of a column. Each is the sum of its shares of the
           |t0 t1 t2 ...|    windows that contain it, over rows of windows and the windows of each row, both from
           |t0 t1 t2 ...|    the last to the first. No two threads add to the same pixel, and the last windows are
           |t0 t1 t2 ...|    found by one division for the whole run
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from stackgrad.tensor import Window
from stackgrad.tensor._types import Pair, Shape

from ._array import DeviceArray, empty
from ._copy import contiguous
from ._driver import cuda, inlined, types
from ._kernel import BLOCK, Kernel, Signature, T, cover, int64, kernel, named, pointer
from ._strides import divide

RUN = 4
INT32 = np.dtype("int32")


@inlined
def _divide_short(a, b):
    """a // b for values far below 2**32."""
    return np.int64(np.uint32(a) // np.uint32(b))


@inlined
def _split(i, height, width):
    """i as plane, row and column."""
    plane = divide(i, height * width)
    within = i - plane * height * width
    row = _divide_short(within, width)
    return plane, row, within - row * width


class Pooling(NamedTuple):
    """Windows of `rows` x `columns` at out_h x out_w positions on an image of h x w.

    The strides are `down` and `across`; the first window begins `above` rows and `left` columns before the image.
    """

    h: Any
    w: Any
    out_h: Any
    out_w: Any
    rows: Any
    columns: Any
    down: Any
    across: Any
    above: Any
    left: Any


def _pooling(shape: Shape, out_shape: Shape, window: Window) -> Pooling:
    (_, _, h, w), (_, _, out_h, out_w), ((above, _), (left, _)) = shape, out_shape, window.padding
    return Pooling(h, w, out_h, out_w, *window.kernel, *window.stride, above, left)


@inlined
def _corner(i, pool):
    """The plane of element i of the result, and the row and column of the image where its window begins."""
    plane, y, x = _split(i, pool.out_h, pool.out_w)
    return plane, y * pool.down - pool.above, x * pool.across - pool.left


def _arguments(T):
    return pointer(T), pointer(T), named(Pooling), int64


def _arguments_with_taps(T):
    return pointer(T), pointer(types.int32), *_arguments(T)[1:]


@kernel(_arguments_with_taps)
def _max_pool(x, taps, out, pool, n):
    """The largest value of each window and its tap: the first of equal values, or the last NaN."""
    i = cuda.grid(1)
    while i < n:
        plane, top, left = _corner(i, pool)
        first, first_column = max(-top, 0), max(-left, 0)
        start = (plane * pool.h + top) * pool.w + left
        tap = first * pool.columns + first_column
        best = x[start + first * pool.w + first_column]
        for row in range(first, min(pool.rows, pool.h - top)):
            for column in range(first_column, min(pool.columns, pool.w - left)):
                value = x[start + row * pool.w + column]
                if value > best or value != value:
                    best = value
                    tap = row * pool.columns + column
        out[i] = best
        taps[i] = tap
        i += cuda.gridsize(1)


@kernel(_arguments_with_taps)
def _max_pool_take(x, taps, out, pool, n):
    """The value at one tap of each window."""
    i = cuda.grid(1)
    while i < n:
        plane, top, left = _corner(i, pool)
        row = _divide_short(taps[i], pool.columns)
        column = taps[i] - row * pool.columns
        out[i] = x[(plane * pool.h + top + row) * pool.w + left + column]
        i += cuda.gridsize(1)


@kernel(_arguments)
def _avg_pool(x, out, pool, n):
    i = cuda.grid(1)
    while i < n:
        plane, top, left = _corner(i, pool)
        start = (plane * pool.h + top) * pool.w + left
        total = T(0)
        for row in range(max(-top, 0), min(pool.rows, pool.h - top)):
            some = T(0)
            for column in range(max(-left, 0), min(pool.columns, pool.w - left)):
                some += x[start + row * pool.w + column]
            total += some
        out[i] = total / T(pool.rows * pool.columns)
        i += cuda.gridsize(1)


def _plus(total, g, taps, at, tap, count):
    """Placeholder: the total, plus the share of one tap in the gradient of the window at index `at`."""
    return total


def _collect(g, taps, out, pool, n):
    """Sum for each pixel its shares of the windows that contain it; n counts runs of RUN rows of a column."""
    runs = divide(pool.h + RUN - 1, RUN)
    count = T(pool.rows * pool.columns)
    i = cuda.grid(1)
    while i < n:
        plane, y, x = _split(i, runs, pool.w)
        y *= RUN
        last_x = _divide_short(x + pool.left, pool.across)
        last_y = _divide_short(y + pool.above, pool.down)
        for at_y in range(y, min(y + RUN, pool.h)):
            if (last_y + 1) * pool.down <= at_y + pool.above:
                last_y += 1
            total = T(0)
            window_y = last_y
            row = at_y + pool.above - window_y * pool.down
            while row < pool.rows and window_y >= 0:
                if window_y < pool.out_h:
                    window_x = last_x
                    column = x + pool.left - window_x * pool.across
                    while column < pool.columns and window_x >= 0:
                        if window_x < pool.out_w:
                            at = (plane * pool.out_h + window_y) * pool.out_w + window_x
                            total = _plus(total, g, taps, at, row * pool.columns + column, count)
                        window_x -= 1
                        column += pool.across
                window_y -= 1
                row += pool.down
            out[(plane * pool.h + at_y) * pool.w + x] = total
        i += cuda.gridsize(1)


@inlined
def _plus_if_largest(total, g, taps, at, tap, count):
    return total + g[at] if taps[at] == tap else total


@inlined
def _plus_part(total, g, taps, at, tap, count):
    return total + g[at] / count


def _collecting(name: str, plus: Any, arguments: Signature) -> Kernel:
    return Kernel(_collect, arguments, BLOCK, "f", name, bind=lambda dtype: {"_plus": plus})


_MAX_POOL_GRAD = _collecting("max_pool_grad", _plus_if_largest, _arguments_with_taps)
_AVG_POOL_GRAD = _collecting("avg_pool_grad", _plus_part, lambda T: (pointer(T), *_arguments(T)))


def _forward(x: DeviceArray, window: Window, out_size: Shape) -> tuple[DeviceArray, tuple[Any, ...]]:
    """The result's array, and the kernel's arguments beginning with it."""
    out = empty((*x.shape[:2], *out_size), x.dtype)
    return out, (out, _pooling(x.shape, out.shape, window), out.size)


def max_pool2d(x: DeviceArray, window: Window) -> tuple[DeviceArray, DeviceArray]:
    """See Backend.max_pool2d."""
    out, after = _forward(x, window, window.positions((x.shape[2], x.shape[3])))
    taps = empty(out.shape, INT32)
    if out.size:
        _max_pool[x.dtype](cover(out.size), contiguous(x), taps, *after)
    return out, taps


def max_pool2d_take(x: DeviceArray, taps: DeviceArray, window: Window) -> DeviceArray:
    """See Backend.max_pool2d_take."""
    out, after = _forward(x, window, taps.shape[2:])
    if out.size:
        _max_pool_take[x.dtype](cover(out.size), contiguous(x), taps, *after)
    return out


def avg_pool2d(x: DeviceArray, window: Window) -> DeviceArray:
    """See Backend.avg_pool2d."""
    out, after = _forward(x, window, window.positions((x.shape[2], x.shape[3])))
    if out.size:
        _avg_pool[x.dtype](cover(out.size), contiguous(x), *after)
    return out


def max_pool2d_grad(g: DeviceArray, taps: DeviceArray, size: Pair, window: Window) -> DeviceArray:
    """See Backend.max_pool2d_grad."""
    return _gradient(_MAX_POOL_GRAD, g, taps, size, window)


def avg_pool2d_grad(g: DeviceArray, size: Pair, window: Window) -> DeviceArray:
    """See Backend.avg_pool2d_grad."""
    return _gradient(_AVG_POOL_GRAD, g, g, size, window)  # its kernel does not read taps


def _gradient(collect: Kernel, g: DeviceArray, taps: DeviceArray, size: Pair, window: Window) -> DeviceArray:
    out = empty((*g.shape[:2], *size), g.dtype)
    if out.size:
        runs = g.shape[0] * g.shape[1] * -(-size[0] // RUN) * size[1]
        collect[g.dtype](cover(runs), contiguous(g), taps, out, _pooling(out.shape, g.shape, window), runs)
    return out
