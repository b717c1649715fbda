"""Pooling, of images that are seen as planes (n * c, h, w).

result     |t0 t1 t2 ...|    a thread has one place of the result, and looks at the window there, row by row

gradient   |t0 t1 t2 ...|    a thread has RUN pixels of a column, one below the other, for each of which it adds
           |t0 t1 t2 ...|    up its shares of the windows that hold it: row of windows by row, in each of them
           |t0 t1 t2 ...|    window by window, both from the last one backwards. No two threads add to one pixel,
           |t0 t1 t2 ...|    and the last windows are found by division once for the whole run
"""

from __future__ import annotations

from typing import Any

import numpy as np

from stackgrad.tensor import Window

from ._array import DeviceArray, empty
from ._copy import contiguous
from ._driver import cuda, inlined, types
from ._kernel import BLOCK, Kernel, T, cover, int64, integers, kernel, pointer
from ._strides import divide

Pair = tuple[int, int]
DType = np.dtype[Any]

RUN = 4
INT32 = np.dtype("int32")


@inlined
def _divide_short(a, b):
    """a // b of what is far less than 2**32."""
    return np.int64(np.uint32(a) // np.uint32(b))


@inlined
def _split(i, height, width):
    """i as plane, row and column."""
    plane = divide(i, height * width)
    within = i - plane * height * width
    row = _divide_short(within, width)
    return plane, row, within - row * width


@inlined
def _corner(i, places, window):
    """Of place i the plane, and the row and column of the image where its window begins."""
    plane, y, x = _split(i, places[0], places[1])
    return plane, y * window[2] - window[4], x * window[3] - window[5]


def _forward_arguments(T):
    return pointer(T), pointer(T), integers(2), integers(2), integers(6), int64


@kernel(lambda T: (pointer(T), pointer(types.int32), *_forward_arguments(T)[1:]))
def _max_pool(x, taps, out, size, places, window, n):
    """The largest under each window, the first of equal ones, or the last NaN."""
    i = cuda.grid(1)
    while i < n:
        plane, top, left = _corner(i, places, window)
        first, first_column = max(-top, 0), max(-left, 0)
        start = (plane * size[0] + top) * size[1] + left
        tap = first * window[1] + first_column
        best = x[start + first * size[1] + first_column]
        for row in range(first, min(window[0], size[0] - top)):
            for column in range(first_column, min(window[1], size[1] - left)):
                value = x[start + row * size[1] + column]
                if value > best or value != value:
                    best = value
                    tap = row * window[1] + column
        out[i] = best
        taps[i] = tap
        i += cuda.gridsize(1)


@kernel(lambda T: (pointer(T), pointer(types.int32), *_forward_arguments(T)[1:]))
def _max_pool_take(x, taps, out, size, places, window, n):
    """What lies at a tap of each window."""
    i = cuda.grid(1)
    while i < n:
        plane, top, left = _corner(i, places, window)
        row = _divide_short(taps[i], window[1])
        column = taps[i] - row * window[1]
        out[i] = x[(plane * size[0] + top + row) * size[1] + left + column]
        i += cuda.gridsize(1)


@kernel(_forward_arguments)
def _avg_pool(x, out, size, places, window, n):
    i = cuda.grid(1)
    while i < n:
        plane, top, left = _corner(i, places, window)
        start = (plane * size[0] + top) * size[1] + left
        total = T(0)
        for row in range(max(-top, 0), min(window[0], size[0] - top)):
            some = T(0)
            for column in range(max(-left, 0), min(window[1], size[1] - left)):
                some += x[start + row * size[1] + column]
            total += some
        out[i] = total / T(window[0] * window[1])
        i += cuda.gridsize(1)


def _plus(total, g, taps, at, tap, count):
    """Stand-in: the total, plus what a tap of the window at place `at` gets of its gradient."""
    return total


def _collect(g, taps, out, size, places, window, n):
    """For each pixel its shares of the windows that hold it; n counts runs of RUN rows of a column."""
    runs = divide(size[0] + RUN - 1, RUN)
    count = T(window[0] * window[1])
    i = cuda.grid(1)
    while i < n:
        plane, y, x = _split(i, runs, size[1])
        y *= RUN
        last_x = _divide_short(x + window[5], window[3])
        last_y = _divide_short(y + window[4], window[2])
        for at_y in range(y, min(y + RUN, size[0])):
            if (last_y + 1) * window[2] <= at_y + window[4]:
                last_y += 1
            total = T(0)
            window_y = last_y
            row = at_y + window[4] - window_y * window[2]
            while row < window[0] and window_y >= 0:
                if window_y < places[0]:
                    window_x = last_x
                    column = x + window[5] - window_x * window[3]
                    while column < window[1] and window_x >= 0:
                        if window_x < places[1]:
                            at = (plane * places[0] + window_y) * places[1] + window_x
                            total = _plus(total, g, taps, at, row * window[1] + column, count)
                        window_x -= 1
                        column += window[3]
                window_y -= 1
                row += window[2]
            out[(plane * size[0] + at_y) * size[1] + x] = total
        i += cuda.gridsize(1)


@inlined
def _plus_if_largest(total, g, taps, at, tap, count):
    return total + g[at] if taps[at] == tap else total


@inlined
def _plus_part(total, g, taps, at, tap, count):
    return total + g[at] / count


def _collecting(name: str, plus: Any) -> Kernel:
    def signature(T: Any) -> tuple[Any, ...]:
        return pointer(T), pointer(types.int32), pointer(T), integers(2), integers(2), integers(6), int64

    return Kernel(_collect, signature, BLOCK, "f", name, bind=lambda dtype: {"_plus": plus})


_MAX_POOL_GRAD = _collecting("max_pool_grad", _plus_if_largest)
_AVG_POOL_GRAD = _collecting("avg_pool_grad", _plus_part)


def _numbers(window: Window) -> tuple[int, ...]:
    return (*window.kernel, *window.stride, window.padding[0][0], window.padding[1][0])


def _forward(x: DeviceArray, window: Window, places: Pair) -> tuple[DeviceArray, tuple[Any, ...]]:
    """The result's array, and the arguments of a kernel from it on."""
    out = empty((*x.shape[:2], *places), x.dtype)
    return out, (out, x.shape[2:], places, _numbers(window), out.size)


def max_pool2d(x: DeviceArray, window: Window) -> tuple[DeviceArray, DeviceArray]:
    """See Backend.max_pool2d."""
    out, after = _forward(x, window, window.positions((x.shape[2], x.shape[3])))
    taps = empty(out.shape, INT32)
    if out.size:
        _max_pool[x.dtype](cover(out.size), contiguous(x), taps, *after)
    return out, taps


def max_pool2d_take(x: DeviceArray, taps: DeviceArray, window: Window) -> DeviceArray:
    """See Backend.max_pool2d_take."""
    out, after = _forward(x, window, (taps.shape[2], taps.shape[3]))
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
    return _gradient(_AVG_POOL_GRAD, g, g, size, window)  # the taps are not read


def _gradient(collect: Kernel, g: DeviceArray, taps: DeviceArray, size: Pair, window: Window) -> DeviceArray:
    out = empty((*g.shape[:2], *size), g.dtype)
    if out.size:
        runs = g.shape[0] * g.shape[1] * -(-size[0] // RUN) * size[1]
        collect[g.dtype](cover(runs), contiguous(g), taps, out, size, g.shape[2:], _numbers(window), runs)
    return out
