"""Convolution with few output channels: neighbouring pixels together fill a vector.

Channels-last, the channels of `count` neighbouring pixels lie side by side, as if they were those of one pixel. A
convolution gives these at once: its kernel is as wide as all their windows, and holds each pixel's weights where that
pixel's window lies.

    two pixels of 4 channels, a row of a kernel of 3      weights (taps, 2 * 4)
    +---+---+---+---+                                      o o o o .  .  .  .
    | a | a | a |   |   window of the first                o o o o o' o' o' o'
    |   | b | b | b |   window of the second               o o o o o' o' o' o'
    +---+---+---+---+                                      .  .  .  . o' o' o' o'
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from numba import types
from numpy.typing import NDArray

from stackgrad.tensor import Window

from ._channels_last import spread
from ._kernel import kernel
from ._pointers import load, store

Array = NDArray[Any]


@lru_cache(1024)
def widened(window: Window, count: int) -> Window:
    """The window of `count` neighbouring pixels."""
    (kh, kw), (down, right) = window.kernel, window.stride
    return Window((kh, kw + (count - 1) * right), (down, count * right), window.padding, window.dilation)


@lru_cache(1024)
def for_output(window: Window, columns: int, channels: int, rows: int, most: int) -> tuple[int, int]:
    """How many pixels of rows of `columns` to give together, by tiles of `rows` by at most `most` numbers.

    Also the multiply-adds that such a row then takes, for each input channel and row of the kernel.
    """

    def multiply_adds(count: int) -> int:
        return -(-columns // (count * rows)) * rows * widened(window, count).kernel[1]

    least = min(_counts(window, columns, most // max(1, channels)), key=multiply_adds)
    return least, multiply_adds(least)


@lru_cache(1024)
def for_weights(window: Window, columns: int, channels: int, inputs: int, most: int) -> int:
    """How many pixels of the result's gradient, rows of `columns`, to take together for the gradient of the weights.

    `most` is what a vector holds. Tiles are 6 or 12 by a vector, or 6 by two; the first take as long as 8 by one would,
    since each multiply-add waits for the one before.
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


def with_margins(
    weight: Array, start: int, steps: tuple[int, int, int], width: int, margin: int
) -> tuple[Array, int, tuple[int, int, int]]:
    """The flat `weight` with `margin` zeros on both sides of its rows of `width`; and the start and steps in it."""
    length = width + 2 * margin
    rows = spread(weight.reshape(-1, 1, width, 1), (1, length), (0, margin))
    o, c, y = (step // width * length for step in steps)
    return rows, start // width * length + margin + start % width, (o, c, y)


@kernel(lambda T: (T[::1], T[::1], *[types.intp] * 4))
def _add_pixels(row, wide, out, rows, count, width, step):
    """One of the `rows` rows of the weights' gradient, of `width` numbers: the sum of its places in each pixel's."""
    length = width + (count - 1) * step
    for tap in range(width):
        total = load(wide, row * length + tap)
        for pixel in range(1, count):
            total += load(wide, (pixel * rows + row) * length + pixel * step + tap)
        store(out, row * width + tap, total)


def add_pixels(wide: Array, out: Array, window: Window, count: int) -> None:
    """Sum the gradient (count * o, c, kh, kw) of the weights of `count` pixels together into `out` (o, c, kh, kw)."""
    width = window.kernel[1]
    rows = out.size // width
    _add_pixels[out.dtype](rows, wide.size, (wide.reshape(-1), out.reshape(-1), rows, count, width, window.stride[1]))
