"""Chunks of pixels for a weight's gradient: all algorithms sum each by itself, and then the chunks in order."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from typing import Any

import numpy as np

from stackgrad.tensor._types import HostArray as Array
from stackgrad.tensor._types import Pair
from stackgrad.tensor._window import NO_PADDING

from .._kernel import kernel, named
from .._pointers import Memory, load, on_stack, store
from .._simd import tile_store
from .._vector import plus, vector_at
from .._width import lanes, lanes_of
from . import LARGEST_SUMMAND, SUM_CHUNKS, SUMMED_CHANNELS, SUMMED_COLUMNS
from ._image import Image, Images, inside, padding, reading

_SUMMED = SUMMED_COLUMNS * SUMMED_CHANNELS

# The extents of the chunks' sums (chunks, groups, taps, rows, columns); the image's and g's channels among these.
Parts = namedtuple("Parts", "chunks groups taps rows columns into out")


@kernel(lambda T: (Memory(T), Memory(T), named(Parts)))
def sum_chunks(block, parts, out, of):
    """SUMMED_CHANNELS input channels of a weight's gradient, summed in the order of chunks.

    These channels are adjacent in `out`, so they fill whole cache lines.
    """
    blocks = (of.into + SUMMED_CHANNELS - 1) // SUMMED_CHANNELS
    group, channel = block // blocks, block % blocks * SUMMED_CHANNELS
    together = min(SUMMED_CHANNELS, of.into - channel)
    length = of.groups * of.taps * of.rows * of.columns
    totals, lanes = on_stack(parts, _SUMMED), lanes_of(parts)
    for first in range(0, of.out, SUMMED_COLUMNS):
        columns = min(SUMMED_COLUMNS, of.out - first)
        for tap in range(of.taps):
            for i in range(together):
                at = ((group * of.taps + tap) * of.rows + channel + i) * of.columns + first
                for o in range(0, columns, lanes):  # whole vectors: rows of sums are whole registers
                    total = vector_at(parts, at + o)
                    for chunk in range(1, of.chunks):
                        total = plus(total, parts, at + chunk * length + o)
                    tile_store(total, totals, i * SUMMED_COLUMNS + o, 0, 0, 1, lanes, False)
            for o in range(columns):
                to = ((group * of.out + first + o) * of.into + channel) * of.taps + tap
                for i in range(together):
                    store(out, to + i * of.taps, load(totals, i * SUMMED_COLUMNS + o))


def chunks_of(units: int, rows: int, channels: int, dtype: np.dtype[Any]) -> Pair:
    """The number of chunks in which units are summed, and the units in each; a chunk has `rows` rows of channels of g.

    The rows' size is rounded up to vectors that all CPUs have, so that the order of a sum is the same on each.
    """
    block = lanes(dtype) * (1 if channels <= lanes(dtype) else 2)
    size = rows * -(-channels // block) * block
    each = -(-units // max(1, min(SUM_CHUNKS, units, max(8, LARGEST_SUMMAND // size))))
    return -(-units // each), each


def rows_of(g: Images, beyond: int) -> tuple[Callable[[Any], Array], Pair]:
    """A function that gives memory in which each row of g is contiguous, and its strides between images and rows."""
    _, o, oh, ow = g.shape
    image, channel, row, pixel = (stride // g.itemsize for stride in g.strides)
    if isinstance(g, Image):
        return inside, (image, row)
    in_order = oh * ow * o, ow * o
    if (ow > 1 and pixel != o) or (o > 1 and channel != 1) or (beyond and (image, row) != in_order):
        copied = padding(g, NO_PADDING, beyond)
        return (lambda g: copied(g).memory), in_order
    return (inside, (image, row)) if not beyond else (reading(g, NO_PADDING, beyond), in_order)
