"""Convolution with few output channels: adjacent pixels together fill a vector.

In channels-last memory the channels of `count` adjacent pixels are contiguous, like those of one pixel. One convolution
computes them together: its kernel is as wide as all their windows, and has each pixel's weights at the position of that
pixel's window.

    two pixels of 4 channels, a row of a kernel of 3      weights (taps, 2 * 4)
    +---+---+---+---+                                      o o o o .  .  .  .
    | a | a | a |   |   window of the first                o o o o o' o' o' o'
    |   | b | b | b |   window of the second               o o o o o' o' o' o'
    +---+---+---+---+                                      .  .  .  . o' o' o' o'
"""

from __future__ import annotations

import math
from collections import namedtuple
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from stackgrad.tensor import Window
from stackgrad.tensor._types import HostArray as Array

from .._kernel import kernel, named
from .._memory import maker
from .._pointers import Memory, load, store


@lru_cache(1024)
def widened(window: Window, count: int) -> Window:
    """The window of `count` adjacent pixels."""
    (kh, kw), (down, right) = window.kernel, window.stride
    return Window((kh, kw + (count - 1) * right), (down, count * right), window.padding, window.dilation)


@lru_cache(1024)
def for_output(window: Window, columns: int, channels: int, rows: tuple[int, ...], most: int) -> tuple[int, int]:
    """How many pixels of a row of `columns` to compute together, in tiles of one of `rows` by at most `most` elements.

    Also the multiply-adds of such a row, per input channel and row of the kernel.
    """

    def multiply_adds(count: int) -> int:
        return min(-(-columns // (count * each)) * each for each in rows) * widened(window, count).kernel[1]

    least = min(_counts(window, columns, most // max(1, channels)), key=multiply_adds)
    return least, multiply_adds(least)


@lru_cache(1024)
def for_weights(window: Window, columns: int, channels: int, inputs: int, most: int) -> int:
    """How many pixels of the result's gradient, with rows of `columns`, to combine for the gradient of the weights.

    `most` is the number of lanes of a vector. Tiles are 6 or 12 rows by one vector, or 6 by two. The first take as long
    as 8 rows would, since each multiply-add waits for the one before.
    """

    def multiply_adds(count: int) -> float:
        run, vectors = widened(window, count).kernel[1] * inputs, -(-count * channels // most)
        if vectors == 1 and run <= 6:
            return 8 / count
        return (-(-run // 12) if vectors == 1 else -(-run // 6) * -(-vectors // 2)) * 12 / count

    return min(_counts(window, columns, 2 * most // channels), key=multiply_adds)


def _counts(window: Window, columns: int, most: int) -> list[int]:
    if window.dilation[1] > 1:
        return [1]
    return [count for count in range(1, max(1, most) + 1) if columns % count == 0]


# Rows of the gradient for the weight; pixels combined; values in a row, and the stride between pixels' windows.
_Wide = namedtuple("_Wide", "rows pixels width step")


@kernel(lambda T: (Memory(T), Memory(T), named(_Wide)))
def _add_pixels(row, wide, out, of):
    """One row of the gradient for the weight: each tap is the sum over the pixels' own gradients."""
    length = of.width + (of.pixels - 1) * of.step
    for tap in range(of.width):
        total = load(wide, row * length + tap)
        for pixel in range(1, of.pixels):
            total += load(wide, (pixel * of.rows + row) * length + pixel * of.step + tap)
        store(out, row * of.width + tap, total)


def adding_pixels(shape: tuple[int, ...], dtype: np.dtype[Any], step: int, count: int) -> Callable[[Array], Array]:
    """A function that sums the weight gradient of `count` combined pixels (count * o, c, kh, wide) to `shape`."""
    make, launch, width = maker(shape, dtype), _add_pixels[dtype], shape[3]
    of = _Wide(math.prod(shape[:3]), count, width, step)
    work = of.rows * count * (width + (count - 1) * step)

    def run(wide: Array) -> Array:
        out = make()
        launch(of.rows, work, (wide, out, of))
        return out

    return run
