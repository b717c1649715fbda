"""Images with zeros around them, which a convolution's padding asks for: brought there once for all that read them.

+-----------------+
| 0 0 0 0 0 0 0 0 |     what is around the image stands in a note of the memory's block, so that who is given
| 0 +---------+ 0 |     the view of the image alone finds the zeros (`padded`)
| 0 | image   | 0 |
| 0 +---------+ 0 |
| 0 0 0 0 0 0 0 0 |
+-----------------+
"""

from __future__ import annotations

from typing import Any

from numba import types
from numpy.typing import NDArray

from stackgrad.tensor import REDUCTIONS, Window

from ._channels_last import channels_first, channels_last, fill_with, spread
from ._kernel import kernel
from ._memory import SMALLEST, block_of, empty, lent_array
from ._pointers import load, select, store
from ._reduce import reduce
from ._simd import lanes

Array = NDArray[Any]
Pair = tuple[int, int]
Padding = tuple[Pair, Pair]

SUMMED = 128  # rows in one sum
_PIXELS = 14  # that a tile may read beyond the last row


def for_window(x: Array, window: Window) -> Array:
    """See Backend.for_window."""
    size = window.padded((x.shape[2], x.shape[3]))
    if size == x.shape[2:] or x.nbytes < SMALLEST:
        return x
    corner = window.padding[0][0], window.padding[1][0]
    return _inside(spread(channels_last(x), size, corner, slack=_slack(x, window)), x.shape, window.padding)


def _slack(x: Array, window: Window) -> int:
    """How many numbers behind the end of x tiles may read; lanes pixels of one channel may count as one."""
    channels: int = x.shape[1]
    return _PIXELS * window.stride[1] * lanes(x.dtype) * channels


def _inside(flat: Array, shape: tuple[int, ...], padding: Padding) -> Array:
    """The view (n, c, h, w) of a lent flat array that holds images of that shape and the padding around them."""
    (n, c, h, w), ((top, bottom), (left, right)) = shape, padding
    rows, columns = top + h + bottom, left + w + right
    images = flat[: n * rows * columns * c].reshape(n, rows, columns, c)
    image = channels_first(images[:, top : top + h, left : left + w])
    block_of(flat).note = padding, image.ctypes.data, image.shape, image.strides
    return image


def padded(x: Array, window: Window, rows: int) -> tuple[Array, Pair]:
    """x (n, c, h, w) flat and channels-last with the window's padding, and its rows and columns.

    Tiles of `rows` pixels may read so many beyond the end, where the result has fewer columns.
    """
    size = window.padded((x.shape[2], x.shape[3]))
    lent = lent_array(x)
    if lent is not None and block_of(lent).note == (window.padding, x.ctypes.data, x.shape, x.strides):
        return lent, size
    last = channels_last(x)
    if size == x.shape[2:] and window.positions(size)[1] >= rows:
        return last.reshape(-1), size
    return spread(last, size, (window.padding[0][0], window.padding[1][0]), slack=_slack(x, window)), size


@kernel(lambda T: (T[::1], T[::1], T[::1], T[::1], *[types.intp] * 6))
def _mask(image, g, out, masked, sums, rows, length, top, before, lines, pitch):
    """One image (rows, length) of g `masked_by` `out`, into `lines` of `pitch` numbers; and its columns' sums.

    The sums are of SUMMED rows each: (images, blocks of rows, length).
    """
    blocks = (rows + SUMMED - 1) // SUMMED
    totals, start, end = image * blocks * length, image * lines * pitch, (image + 1) * lines * pitch
    to, zero = start + top * pitch + before, type(load(g, 0))(0)
    fill_with(sums, totals, totals + blocks * length, 0)
    fill_with(masked, start, to, 0)
    for row in range(rows):
        at, total = (image * rows + row) * length, totals + row // SUMMED * length
        for i in range(length):
            value = select(load(out, at + i) <= 0, zero, load(g, at + i))
            store(masked, to + i, value)
            store(sums, total + i, load(sums, total + i) + value)
        fill_with(masked, to + length, to + pitch if row < rows - 1 else end, 0)
        to += pitch


def masked_and_summed(g: Array, out: Array, window: Window | None) -> tuple[Array, Array]:
    """g (n, c, h, w) `masked_by` `out`, which is 0 where `out` is 0 or below; and the sums (c,) of that.

    With `window` it is brought for that as by `for_window`.
    """
    n, c, h, w = g.shape
    padding: Padding = window.padding if window and g.nbytes >= SMALLEST else ((0, 0), (0, 0))
    (top, bottom), (left, right) = padding
    lines, pitch = top + h + bottom, (left + w + right) * c
    slack = _slack(g, window) if window else 0
    masked, sums = empty(n * lines * pitch + slack, g.dtype), empty((n * -(-h // SUMMED) * w, c), g.dtype)
    flat_g, flat_out = channels_last(g).reshape(-1), channels_last(out).reshape(-1)
    shared = (flat_g, flat_out, masked, sums.reshape(-1), h, w * c, top, left * c, lines, pitch)
    _mask[g.dtype](n, g.size, shared)
    if (lines, pitch) == (h, w * c):
        inside = channels_first(masked[: g.size].reshape(n, h, w, c))
    else:
        inside = _inside(masked, g.shape, padding)
    return inside, reduce(REDUCTIONS["sum"], sums, (0,))
