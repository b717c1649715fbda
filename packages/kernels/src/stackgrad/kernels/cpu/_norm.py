"""Batch normalisation on channels-last images: a chunk is some pixels, a vector some neighbouring channels of one.

    pixels  |c c c c|c c c c|c c c c| ...       the channels' sums run down the pixels
             chunk 0         chunk 1            each chunk has sums of its own, added up in the order of chunks

What is known of each channel stands in the rows of a table, as wide as whole vectors: first its mean, its scale, which
is weight / sqrt(variance + eps), and its bias; for gradients the slope and the offset too. Lanes beyond the channels
hold anything, and are not used.

Where the mean is far above the deviation, what rounding takes from it is as large as what is wanted. So the values of a
chunk are first summed as distances from one of them, then squared as distances from the mean of these, corrected by the
rest (T. Chan, G. Golub and R. LeVeque, "Algorithms for computing the sample variance", The American Statistician 37,
1983); and chunks are put together as parts are (the same, "Updating formulae and a pairwise algorithm for computing
sample variances", 1979).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from ._channels_last import channels_last, in_order, readable_beyond
from ._kernel import helper, kernel
from ._memory import empty
from ._parallel import CHUNK
from ._parts import add_exactly
from ._pointers import lanes_of, load, store
from ._simd import lanes, tile_relu, tile_store, tile_zeros
from ._vector import add, masked_by, multiply_add, over, subtract, vector_at

Array = NDArray[Any]

SUMMED = 128  # pixels in one sum

_PIXELS = [types.intp] * 4  # all of them, those of a chunk, channels, width of the table


@helper
def _put(vector, out, at, count):
    """out[at : at + count] = the first numbers of the vector, all of them where there are fewer."""
    tile_store(vector, out, at, 0, 0, 1, count, False)


@kernel(lambda T: (T[::1], T[::1], *_PIXELS))
def _moments(chunk, x, parts, pixels, group, c, width):
    """The mean of a chunk's pixels, its rest, and the sum of squares around both together: parts (chunks, 3, width)."""
    first, last = chunk * group, min(pixels, (chunk + 1) * group)
    step, count = lanes_of(x), last - first
    for channel in range(0, c, step):
        origin, total = vector_at(x, first * c + channel), tile_zeros(x, 1, 1)
        for start in range(first, last, SUMMED):
            some = tile_zeros(x, 1, 1)
            for pixel in range(start, min(last, start + SUMMED)):
                some = add(some, subtract(vector_at(x, pixel * c + channel), origin))
            total = add(total, some)
        mean, rest, squares = add(origin, over(total, count)), tile_zeros(x, 1, 1), tile_zeros(x, 1, 1)
        for start in range(first, last, SUMMED):
            some, around = tile_zeros(x, 1, 1), tile_zeros(x, 1, 1)
            for pixel in range(start, min(last, start + SUMMED)):
                centred = subtract(vector_at(x, pixel * c + channel), mean)
                some, around = add(some, centred), multiply_add(centred, centred, around)
            rest, squares = add(rest, some), add(squares, around)
        off = over(rest, count)
        squares = subtract(squares, multiply_add(off, rest, tile_zeros(x, 1, 1)))
        _put(mean, parts, 3 * chunk * width + channel, step)
        _put(off, parts, (3 * chunk + 1) * width + channel, step)
        _put(squares, parts, (3 * chunk + 2) * width + channel, step)


@helper
def _inverse_deviation(var, eps):
    return type(var)(1) / math.sqrt(var + type(var)(eps))


@helper
def _describe(table, channel, width, mean, var, weight, bias, eps):
    """The first three rows of the table."""
    store(table, channel, load(mean, channel))
    store(table, width + channel, load(weight, channel) * _inverse_deviation(load(var, channel), eps))
    store(table, 2 * width + channel, load(bias, channel))


@helper
def _described(table, channel, width):
    """What `_describe` wrote, of some neighbouring channels."""
    return vector_at(table, channel), vector_at(table, width + channel), vector_at(table, 2 * width + channel)


@helper
def _away(parts, chunk, channel, width, origin):
    """How far a chunk's mean is from the origin."""
    mean, rest = load(parts, 3 * chunk * width + channel), load(parts, (3 * chunk + 1) * width + channel)
    return (np.float64(mean) - origin) + np.float64(rest)


@kernel(lambda T: (*[T[::1]] * 6, types.float64, types.intp, *_PIXELS))
def _statistics(channel, parts, weight, bias, mean, var, table, eps, chunks, pixels, group, c, width):
    """A channel's mean and variance from those of the chunks, and the table (3, width)."""
    origin, total, lost = np.float64(load(parts, channel)) if chunks else 0.0, 0.0, 0.0
    for chunk in range(chunks):
        away = _away(parts, chunk, channel, width, origin)
        total, lost = add_exactly(total, lost, min(group, pixels - chunk * group) * away)
    centre, total, lost = (total + lost) / pixels, 0.0, 0.0
    for chunk in range(chunks):
        away = _away(parts, chunk, channel, width, origin) - centre
        inside = np.float64(load(parts, (3 * chunk + 2) * width + channel))
        total, lost = add_exactly(total, lost, inside + min(group, pixels - chunk * group) * away * away)
    number = type(load(weight, 0))
    store(mean, channel, number(origin + centre))
    store(var, channel, number((total + lost) / pixels))
    _describe(table, channel, width, mean, var, weight, bias, eps)


@kernel(lambda T: (T[::1], T[::1], T[::1], *_PIXELS, types.boolean))
def _normalise(chunk, x, out, table, pixels, group, c, width, relu):
    for channel in range(0, c, lanes_of(x)):
        mean, scale, bias = _described(table, channel, width)
        for pixel in range(chunk * group, min(pixels, (chunk + 1) * group)):
            at = pixel * c + channel
            y = multiply_add(subtract(vector_at(x, at), mean), scale, bias)
            if relu:
                y = tile_relu(y)
            _put(y, out, at, c - channel)


@kernel(lambda T: (*[T[::1]] * 5, types.float64, types.intp))
def _known(channel, mean, var, weight, bias, table, eps, width):
    """The first three rows of a channel in the table."""
    _describe(table, channel, width, mean, var, weight, bias, eps)


@kernel(lambda T: (*[T[::1]] * 4, *_PIXELS, types.boolean))
def _grad_sums(chunk, g, x, parts, table, pixels, group, c, width, relu):
    """The sums of g, and of g times the centred x, over a chunk's pixels: parts (chunks, 2, width)."""
    step, last = lanes_of(x), min(pixels, (chunk + 1) * group)
    for channel in range(0, c, step):
        mean, scale, bias = _described(table, channel, width)
        total, weighted = tile_zeros(x, 1, 1), tile_zeros(x, 1, 1)
        for start in range(chunk * group, last, SUMMED):
            some, products = tile_zeros(x, 1, 1), tile_zeros(x, 1, 1)
            for pixel in range(start, min(last, start + SUMMED)):
                at = pixel * c + channel
                slope, centred = vector_at(g, at), subtract(vector_at(x, at), mean)
                if relu:
                    slope = masked_by(slope, multiply_add(centred, scale, bias))
                some, products = add(some, slope), multiply_add(slope, centred, products)
            total, weighted = add(total, some), add(weighted, products)
        _put(total, parts, 2 * chunk * width + channel, step)
        _put(weighted, parts, (2 * chunk + 1) * width + channel, step)


@kernel(lambda T: (*[T[::1]] * 5, types.float64, types.intp, types.intp, types.intp))
def _grad_statistics(channel, parts, var, weight_grad, bias_grad, table, eps, chunks, pixels, width):
    """A channel's gradients for weight and bias, and what its input's gradient needs: the rest of the table."""
    total = weighted = lost = lost_weighted = 0.0
    for chunk in range(chunks):
        at = 2 * chunk * width + channel
        total, lost = add_exactly(total, lost, np.float64(load(parts, at)))
        weighted, lost_weighted = add_exactly(weighted, lost_weighted, np.float64(load(parts, at + width)))
    total, weighted = total + lost, weighted + lost_weighted
    inverse, scale = np.float64(_inverse_deviation(load(var, channel), eps)), load(table, width + channel)
    number = type(scale)
    store(weight_grad, channel, number(weighted * inverse))
    store(bias_grad, channel, number(total))
    store(table, 3 * width + channel, number(-scale * inverse * inverse * weighted / pixels))
    store(table, 4 * width + channel, number(-scale * total / pixels))


@kernel(lambda T: (*[T[::1]] * 4, *_PIXELS, types.boolean))
def _input_grad(chunk, g, x, out, table, pixels, group, c, width, relu):
    """scale * g + slope * centred x + offset."""
    for channel in range(0, c, lanes_of(x)):
        mean, scale, bias = _described(table, channel, width)
        slope, offset = vector_at(table, 3 * width + channel), vector_at(table, 4 * width + channel)
        for pixel in range(chunk * group, min(pixels, (chunk + 1) * group)):
            at = pixel * c + channel
            y, centred = vector_at(g, at), subtract(vector_at(x, at), mean)
            if relu:
                y = masked_by(y, multiply_add(centred, scale, bias))
            y = multiply_add(y, scale, multiply_add(centred, slope, offset))
            _put(y, out, at, c - channel)


def _pixels(x: Array) -> Array:
    """x (n, c, s) flat and channels-last."""
    return readable_beyond(channels_last(x[:, :, None]), x.shape[1], lanes(x.dtype))


def _counts(x: Array) -> tuple[int, tuple[int, int, int, int]]:
    """The chunks, and what every kernel is told of the pixels of x (n, c, s)."""
    (n, c, s), step = x.shape, lanes(x.dtype)
    group = max(1, CHUNK // max(1, c))
    return -(-n * s // group), (n * s, group, c, -(-c // step) * step)


def _image(flat: Array, like: Array) -> Array:
    """Channels-last memory as (n, c, s)."""
    n, c, s = like.shape
    return flat.reshape(n, s, c).transpose(0, 2, 1)


def batch_norm(x: Array, weight: Array, bias: Array, eps: float, relu: bool) -> tuple[Array, Array, Array]:
    """See Backend.batch_norm. The result is a view of channels-last memory."""
    dtype = x.dtype
    out, mean, var = empty(x.size, dtype), empty(x.shape[1], dtype), empty(x.shape[1], dtype)
    chunks, counts = _counts(x)
    c, width = counts[2:]
    parts, table, flat = empty(3 * chunks * width, dtype), empty(3 * width, dtype), _pixels(x)
    _moments[dtype](chunks, x.size, (flat, parts, *counts))
    described = (in_order(weight), in_order(bias), mean, var, table, eps, chunks)
    _statistics[dtype](c, parts.size, (parts, *described, *counts))
    _normalise[dtype](chunks, x.size, (flat, out, table, *counts, relu))
    return _image(out, x), mean, var


def batch_norm_grad(
    g: Array, x: Array, weight: Array, bias: Array, mean: Array, var: Array, eps: float, relu: bool
) -> tuple[Array, Array, Array]:
    """See Backend.batch_norm_grad. The input's gradient is a view of channels-last memory."""
    dtype = x.dtype
    out, weight_grad, bias_grad = empty(x.size, dtype), empty(x.shape[1], dtype), empty(x.shape[1], dtype)
    chunks, counts = _counts(x)
    pixels, _, c, width = counts
    parts, table = empty(2 * chunks * width, dtype), empty(5 * width, dtype)
    flat_g, flat_x, var = _pixels(g), _pixels(x), in_order(var)
    _known[dtype](c, c, (in_order(mean), var, in_order(weight), in_order(bias), table, eps, width))
    _grad_sums[dtype](chunks, x.size, (flat_g, flat_x, parts, table, *counts, relu))
    shared = (parts, var, weight_grad, bias_grad, table, eps, chunks, pixels, width)
    _grad_statistics[dtype](c, parts.size, shared)
    _input_grad[dtype](chunks, x.size, (flat_g, flat_x, out, table, *counts, relu))
    return _image(out, x), weight_grad, bias_grad
