"""Images with a convolution's padding, written once for all kernels that read them.

+-----------------+
| 0 0 0 0 0 0 0 0 |     channels-last in memory, with room after the last pixel, which tiles may read
| 0 +---------+ 0 |     but do not use
| 0 | image   | 0 |
| 0 +---------+ 0 |
| 0 0 0 0 0 0 0 0 |
+-----------------+
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from stackgrad.tensor._plans import Plans
from stackgrad.tensor._types import HostArray as Array
from stackgrad.tensor._types import Pair
from stackgrad.tensor._window import NO_PADDING

from .._channels_last import channels_last, copy, fill_with
from .._copy import with_slack
from .._kernel import kernel, named
from .._memory import SLACK, has_slack, maker
from .._numba import helper
from .._parallel import STRIDED
from .._pointers import Memory, load, select, store
from .._simd import tile_store
from .._vector import plus, vector_at
from .._width import lanes_of, wide_lanes
from . import PADDED_CHUNKS, RESULT_TILES, SUMMED_ROWS

Padding = tuple[Pair, Pair]


class Image(NamedTuple):
    """Images (n, c, h, w) with their padding in the flat `memory`: (n, rows, columns, c)."""

    memory: Array
    shape: tuple[int, ...]
    padding: Padding

    @property
    def strides(self) -> tuple[int, ...]:
        """The strides of the images without padding, in bytes."""
        (_, c, _, w), (left, right) = self.shape, self.padding[1]
        pixel = c * self.memory.itemsize
        row = (left + w + right) * pixel
        return (self.shape[2] + sum(self.padding[0])) * row, self.memory.itemsize, row, pixel

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.memory.dtype

    @property
    def itemsize(self) -> int:
        return self.memory.itemsize

    def inside(self) -> Array:
        """The images without padding, as a view."""
        if 0 in self.shape:
            return np.empty(self.shape, self.dtype)
        first = self.padding[0][0] * self.strides[2] + self.padding[1][0] * self.strides[3]
        return np.ndarray(self.shape, self.memory.dtype, self.memory, first, self.strides)

    def some(self, first: int, end: int) -> Image:
        """The images from `first` to `end`, without a copy; the room after them belongs to the next ones."""
        before = first * self.strides[0] // self.itemsize
        return Image(self.memory[before:], (end - first, *self.shape[1:]), self.padding)


Images = Array | Image


def form(x: Images) -> tuple[Any, ...]:
    """The part of a plan's key that describes images."""
    return (x.shape, x.padding) if isinstance(x, Image) else (x.shape, x.strides)


def room(channels: int, stride: int, dtype: np.dtype[Any]) -> int:
    """The elements that tiles may read past images; adjacent pixels of one channel may count as one pixel."""
    return max(RESULT_TILES[1]) * stride * wide_lanes(dtype) * channels


# --- copies with padding

# The strides from one image, row, column and channel to the next, in elements.
_Strides = namedtuple("_Strides", "image row column channel")

# Padded rows in a chunk, in all and in an image; the image's extents; its offset in the padding; padded columns.
_Frame = namedtuple("_Frame", "each lines rows height width channels top left columns")


@kernel(lambda T: (Memory(T), Memory(T), T, named(_Strides), named(_Frame)))
def _pad(chunk, x, out, value, step, frame):
    """Write `each` padded rows, counted through all images, with `value` in the padding."""
    channels = frame.channels
    length, pitch = frame.width * channels, frame.columns * channels
    first_row = chunk * frame.each
    image, y = first_row // frame.rows, first_row % frame.rows - frame.top
    for row in range(first_row, min(frame.lines, first_row + frame.each)):
        start, source = row * pitch, image * step.image + y * step.row
        is_inside = 0 <= y < frame.height
        y += 1
        if y == frame.rows - frame.top:
            image, y = image + 1, -frame.top
        if not is_inside:
            fill_with(out, start, start + pitch, value)
            continue
        first = start + frame.left * channels
        fill_with(out, start, first, value)
        fill_with(out, first + length, start + pitch, value)
        if step.channel == 1 and step.column == channels:
            copy(x, source, out, first, length)
        else:
            for channel in range(channels):
                at, to = source + channel * step.channel, first + channel
                for _ in range(frame.width):
                    store(out, to, load(x, at))
                    at += step.column
                    to += channels


def padding(x: Array, around: Padding, behind: int, value: float = 0.0) -> Callable[[Array], Image]:
    """A function that copies arrays like x (n, c, h, w), padded with `value`, with room for `behind` more elements."""
    (n, c, h, w), ((top, bottom), (left, right)), shape, dtype = x.shape, around, x.shape, x.dtype
    rows, columns = top + h + bottom, left + w + right
    make, launch = maker((n * rows * columns * c + behind,), dtype), _pad[dtype]
    image, channel, row, column = (stride // x.itemsize for stride in x.strides)
    if c == 1 or w == 1:  # then this stride is never used
        channel, column = 1 if c == 1 else channel, c if w == 1 else column
    step = _Strides(image, row, column, channel)
    each = max(1, -(-n * rows // PADDED_CHUNKS))
    frame = _Frame(each, n * rows, rows, h, w, c, top, left, columns)
    in_order = (channel, column) == (1, c)
    chunks, work = -(-n * rows // each), n * rows * columns * c * (1 if in_order else STRIDED)

    def run(x: Array) -> Image:
        memory = make()
        launch(chunks, work, (x, memory, value, step, frame))
        return Image(memory, shape, around)

    return run


def inside(x: Images) -> Array:
    """The images without padding, as an array (n, c, h, w)."""
    return x.inside() if isinstance(x, Image) else x


def _memory_of(x: Image) -> Array:
    return x.memory


def reading(x: Images, around: Padding, beyond: int, value: float = 0.0) -> Callable[[Any], Array]:
    """A function that gives images like x, padded with `value`, as memory with `beyond` more elements to read."""
    if isinstance(x, Image):
        assert x.padding == around, (x.padding, around)
        return _memory_of
    if around == NO_PADDING and x.flags.c_contiguous and beyond * x.itemsize <= SLACK:  # by blocks, not by rows
        return lambda x: with_slack(channels_last(x).reshape(-1)) if beyond else channels_last(x)
    copied = padding(x, around, beyond, value)
    if around != NO_PADDING or not x.transpose(0, 2, 3, 1).flags.c_contiguous:
        return lambda x: copied(x).memory
    if not beyond:
        return inside
    if beyond * x.itemsize > SLACK:
        return lambda x: copied(x).memory
    return lambda x: x if has_slack(x) else copied(x).memory


# --- through a relu


class Summed(NamedTuple):
    """A gradient (n, c, h, w), and the sums of its rows, SUMMED_ROWS at a time, of the shape `sums_of`."""

    values: Images
    sums: Array


def sums_of(n: int, c: int, size: Pair) -> Pair:
    """The shape of such sums: (images * blocks of rows * columns, c)."""
    return n * -(-size[0] // SUMMED_ROWS) * size[1], c


# An image's rows and their length.
Columns = namedtuple("Columns", "rows length")


@helper
def clear_sums(image, sums, of):
    """Set the sums of an image to 0."""
    size = (of.rows + SUMMED_ROWS - 1) // SUMMED_ROWS * of.length
    fill_with(sums, image * size, (image + 1) * size, 0)


@helper
def add_up(image, first, end, x, sums, of):
    """Add the rows from `first` to `end` of an image to its sums."""
    blocks, lanes = (of.rows + SUMMED_ROWS - 1) // SUMMED_ROWS, lanes_of(x)
    whole = of.length - of.length % lanes
    for row in range(first, end):
        at, to = (image * of.rows + row) * of.length, (image * blocks + row // SUMMED_ROWS) * of.length
        for i in range(0, whole, lanes):
            tile_store(plus(vector_at(sums, to + i), x, at + i), sums, to + i, 0, 0, 1, lanes, False)
        for i in range(whole, of.length):
            store(sums, to + i, load(sums, to + i) + load(x, at + i))


# An image's rows and their length; the rows above and elements before it; rows and length with padding.
_Masked = namedtuple("_Masked", "rows length top before lines pitch")


@kernel(lambda T: (*[Memory(T)] * 4, named(_Masked)))
def _mask(image, g, out, masked, sums, of):
    """One image of `relu_grad` of g and `out`, and its sums, as in `add_up`."""
    length = of.length
    blocks = (of.rows + SUMMED_ROWS - 1) // SUMMED_ROWS
    totals, start, end = image * blocks * length, image * of.lines * of.pitch, (image + 1) * of.lines * of.pitch
    to, zero = start + of.top * of.pitch + of.before, type(load(g, 0))(0)
    fill_with(sums, totals, totals + blocks * length, 0)
    fill_with(masked, start, to, 0)
    for row in range(of.rows):
        at, total = (image * of.rows + row) * length, totals + row // SUMMED_ROWS * length
        for i in range(length):
            value = select(load(out, at + i) <= 0, zero, load(g, at + i))
            store(masked, to + i, value)
            store(sums, total + i, load(sums, total + i) + value)
        fill_with(masked, to + length, to + of.pitch if row < of.rows - 1 else end, 0)
        to += of.pitch


def masked_and_summed(g: Array, out: Array, around: Padding) -> Summed:
    """`relu_grad` of g (n, c, h, w), which is 0 where `out` is 0 or below, padded with zeros, and its sums."""
    return _masks.find((g.dtype, g.shape, g.strides, out.strides, around), g, out, around)(g, out)


def _plan_mask(g: Array, out: Array, around: Padding) -> Callable[[Array, Array], Summed]:
    (n, c, h, w), ((top, bottom), (left, right)), dtype = g.shape, around, g.dtype
    of = _Masked(h, w * c, top, left * c, top + h + bottom, (left + w + right) * c)
    make = maker((n * of.lines * of.pitch + room(c, 1, dtype),), dtype)
    make_sums = maker(sums_of(n, c, (h, w)), dtype)
    launch, of_g, of_out = _mask[dtype], reading(g, NO_PADDING, 0), reading(out, NO_PADDING, 0)
    shape, size = g.shape, g.size

    def run(g: Array, out: Array) -> Summed:
        masked, sums = make(), make_sums()
        launch(n, size, (of_g(g), of_out(out), masked, sums, of))
        return Summed(Image(masked, shape, around), sums)

    return run


_masks: Plans[Callable[[Array, Array], Summed]] = Plans(_plan_mask)
