"""Bringing images to channels-last memory: (n, c, h, w) for people, n h w c in memory, padded where need be."""

from __future__ import annotations

import math
from typing import Any

from numba import types
from numpy.typing import NDArray

from . import _copy
from ._kernel import helper, kernel
from ._memory import empty
from ._parallel import STRIDED
from ._pointers import lanes_of, load, store
from ._simd import tile_load, tile_store

Pair = tuple[int, int]


BLOCK = 256  # pixels, whose channels fit the first-level cache


@kernel(lambda T: (T[::1], T[::1], *[types.intp] * 3))
def _turn(chunk, x, out, c, pixels, blocks):
    """A block of pixels of one image (c, pixels) as (pixels, c)."""
    image, first = chunk // blocks * c * pixels, chunk % blocks * BLOCK
    for channel in range(c):
        source, to = image + channel * pixels + first, image + first * c + channel
        for _ in range(min(BLOCK, pixels - first)):
            store(out, to, load(x, source))
            source += 1
            to += c


def _turned(x: NDArray[Any], n: int, c: int, pixels: int) -> NDArray[Any]:
    """x, whose memory is (n, c, pixels), as flat memory (n, pixels, c)."""
    out = empty(x.size, x.dtype)
    blocks = -(-pixels // BLOCK)
    _turn[x.dtype](n * blocks, x.size * STRIDED, (x.reshape(-1), out, c, pixels, blocks))
    return out


def channels_last(x: NDArray[Any]) -> NDArray[Any]:
    """x (n, c, h, w) as (n, h, w, c) in C order; without a copy if its memory is that already."""
    n, c, h, w = x.shape
    if x.flags.c_contiguous and c > 1 and h * w > 1 and x.size:
        return _turned(x, n, c, h * w).reshape(n, h, w, c)
    return in_order(x.transpose(0, 2, 3, 1))


def in_order(x: NDArray[Any]) -> NDArray[Any]:
    """x if it is in C order, else a copy that is."""
    if x.flags.c_contiguous:
        return x
    if x.ndim == 4:
        last = x.transpose(0, 2, 3, 1)
        if last.flags.c_contiguous:
            n, c, h, w = x.shape
            return _turned(last, n, h * w, c).reshape(x.shape)
    return _copy.copy(x)


def reshape(a: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """See Backend.reshape."""
    if a.ndim == 4 and shape == (len(a), math.prod(a.shape[1:])) and a.transpose(0, 2, 3, 1).flags.c_contiguous:
        a = in_order(a)  # images as rows: never a view of channels-last ones
    return _copy.reshape(a, shape)


def channels_first(x: NDArray[Any]) -> NDArray[Any]:
    """The view (n, c, h, w) of x (n, h, w, c)."""
    return x.transpose(0, 3, 1, 2)


def readable_beyond(x: NDArray[Any], run: int, width: int) -> NDArray[Any]:
    """x, in C order, flat, such that runs of `run` numbers can be read `width` numbers at a time."""
    flat = in_order(x).reshape(-1)
    return flat if run % width == 0 else _copy.with_slack(flat)


@helper
def copy(x, source, out, to, count):
    """out[to : to + count] = x[source : source + count] of flat arrays that do not overlap, by whole vectors."""
    lanes = lanes_of(x)
    whole = count - count % lanes
    for i in range(0, whole, lanes):
        tile_store(tile_load(x, source + i, 0, 1, 1), out, to + i, 0, 0, 1, lanes, False)
    for i in range(whole, count):
        store(out, to + i, load(x, source + i))


@helper
def fill_with(out, start, stop, value):
    """out[start : stop] = value."""
    for i in range(start, stop):
        store(out, i, value)
