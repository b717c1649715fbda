"""Conversion of images to channels-last memory: their shape is (n, c, h, w), their order in memory n h w c."""

from __future__ import annotations

import math

from stackgrad.tensor._types import HostArray as Array
from stackgrad.tensor._types import Shape

from . import _copy
from ._kernel import kernel
from ._memory import empty
from ._numba import helper, types
from ._parallel import STRIDED
from ._pointers import Memory, load, store
from ._simd import tile_store
from ._transposed import tile_of_columns
from ._vector import vector_at
from ._width import WIDE_BYTES, lanes_of, wide_lanes_of

BLOCK = 256  # pixels whose channels fit the first-level cache
TILE = WIDE_BYTES // 4  # floats in a register: from so many channels and pixels on, tiles of them are transposed


@kernel(lambda T: (Memory(T), Memory(T), *[types.intp] * 3))
def _transpose(chunk, x, out, c, pixels, blocks):
    """Transpose a block of pixels of one image (c, pixels) to (pixels, c)."""
    image, first = chunk // blocks * c * pixels, chunk % blocks * BLOCK
    for channel in range(c):
        source, to = image + channel * pixels + first, image + first * c + channel
        for _ in range(min(BLOCK, pixels - first)):
            store(out, to, load(x, source))
            source += 1
            to += c


@kernel(lambda T: (Memory(T), Memory(T), *[types.intp] * 3))
def _transpose_tiles(chunk, x, out, c, pixels, blocks):
    """As `_transpose`, for floats, with enough channels and pixels for square tiles of registers."""
    lanes = wide_lanes_of(x)
    image, start = chunk // blocks * c * pixels, chunk % blocks * BLOCK
    for at_channel in range(0, c, lanes):
        channel = min(at_channel, c - lanes)  # the last tile may overlap the one before
        for at_pixel in range(start, min(start + BLOCK, pixels), lanes):
            pixel = min(at_pixel, pixels - lanes)
            tile = tile_of_columns(x, image + channel * pixels + pixel, pixels, lanes)
            tile_store(tile, out, image + pixel * c + channel, c, 0, lanes, lanes, False)


def _transposed(x: Array, n: int, c: int, pixels: int, shape: Shape) -> Array:
    """x, whose memory is (n, c, pixels), transposed to (n, pixels, c) and viewed as `shape`."""
    out, blocks = empty(shape, x.dtype), -(-pixels // BLOCK)
    if c >= TILE and pixels >= TILE and x.dtype.kind == "f":
        _transpose_tiles[x.dtype](n * blocks, x.size, (x, out, c, pixels, blocks))
    else:
        _transpose[x.dtype](n * blocks, x.size * STRIDED, (x, out, c, pixels, blocks))
    return out


def channels_last(x: Array) -> Array:
    """x (n, c, h, w) as (n, h, w, c) in C order, without a copy if it is channels-last already."""
    n, c, h, w = x.shape
    if x.flags.c_contiguous and c > 1 and h * w > 1 and x.size:
        return _transposed(x, n, c, h * w, (n, h, w, c))
    return in_order(x.transpose(0, 2, 3, 1))


def _is_last(x: Array) -> bool:
    """Whether the memory of the images x is channels-last."""
    return x.ndim == 4 and x.transpose(0, 2, 3, 1).flags.c_contiguous


def in_order(x: Array) -> Array:
    """x if it is in C order, else a copy in C order."""
    if x.flags.c_contiguous:
        return x
    return _in_order(x, x.shape) if _is_last(x) else _copy.copy(x)


def _in_order(x: Array, shape: Shape) -> Array:
    """Channels-last images copied to C order and viewed as `shape`."""
    n, c, h, w = x.shape
    return _transposed(x, n, h * w, c, shape)


def reshape(a: Array, shape: Shape) -> Array:
    """See Backend.reshape."""
    if a.ndim == 4 and shape == (len(a), math.prod(a.shape[1:])) and not a.flags.c_contiguous and _is_last(a):
        return _in_order(a, shape)  # flattened images are never a view of channels-last ones
    return _copy.reshape(a, shape)


def channels_first(x: Array) -> Array:
    """x (n, h, w, c) as a view (n, c, h, w)."""
    return x.transpose(0, 3, 1, 2)


@helper
def copy(x, source, out, to, count):
    """out[to : to + count] = x[source : source + count] for flat arrays that do not overlap, vector by vector."""
    lanes = lanes_of(x)
    if count < lanes:
        for i in range(count):
            store(out, to + i, load(x, source + i))
        return
    for first in range(0, count, lanes):
        i = min(first, count - lanes)  # the last vector may overlap the one before
        tile_store(vector_at(x, source + i), out, to + i, 0, 0, 1, lanes, False)


@helper
def fill_with(out, start, stop, value):
    """out[start : stop] = value."""
    for i in range(start, stop):
        store(out, i, value)
