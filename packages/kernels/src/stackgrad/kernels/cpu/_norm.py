"""Batch normalisation of channels-last images: a chunk is some pixels, a vector some adjacent channels of a pixel.

    pixels  |c c c c|c c c c|c c c c| ...       each channel is summed over the pixels
             chunk 0         chunk 1            each chunk has its own sums; they are added in the order of chunks

The rows of a table, as wide as whole vectors, describe the channels: first the mean, the scale, which is
weight / sqrt(variance + eps), and the bias; for gradients also the slope and the offset. Lanes beyond the channels
hold anything and are not used.

If the mean is far larger than the deviation, its rounding error is as large as the deviation. So a chunk first sums the
distances of its values from one of them, then squares the distances from their mean, corrected by the rest (T. Chan,
G. Golub and R. LeVeque, "Algorithms for computing the sample variance", The American Statistician 37, 1983). The
moments of chunks are merged by the formulae of the same authors ("Updating formulae and a pairwise algorithm for
computing sample variances", 1979).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from stackgrad.tensor._plans import Plans
from stackgrad.tensor._types import HostArray as Array
from stackgrad.tensor._window import NO_PADDING

from ._channels_last import in_order
from ._kernel import kernel, named
from ._memory import maker
from ._numba import helper, types
from ._parallel import CHUNK
from ._parts import add_exactly
from ._pointers import Memory, load, store
from ._simd import tile_relu, tile_store
from ._vector import add, multiply_add, over, relu_grad, subtract, vector_at, vector_of
from ._width import lanes, lanes_of
from .conv._image import reading

SUMMED = 128  # pixels in one sum


class Pixels(NamedTuple):
    """Pixels in all and in each chunk, the number of chunks, the channels, and the width of the table."""

    total: int
    each: int
    chunks: int
    channels: int
    width: int


class Channels(NamedTuple):
    """The statistics and parameters of each channel: arrays (c,)."""

    mean: Any
    var: Any
    weight: Any
    bias: Any


def _channels(T: Any) -> Any:
    return types.NamedUniTuple(Memory(T), 4, Channels)


@helper
def _put(vector, out, at, count):
    """Store the first `count` lanes of the vector, at most all, to out[at:]."""
    tile_store(vector, out, at, 0, 0, 1, count, False)


@helper
def _of_chunk(chunk, pixels):
    """The range of pixels of a chunk: the first, and one past the last."""
    return chunk * pixels.each, min(pixels.total, (chunk + 1) * pixels.each)


@helper
def _count(chunk, pixels):
    """The number of pixels of a chunk."""
    return min(pixels.each, pixels.total - chunk * pixels.each)


@kernel(lambda T: (Memory(T), Memory(T), named(Pixels)))
def _moments(chunk, x, parts, pixels):
    """The mean of a chunk's pixels, its rest, and the sum of squares around mean + rest: parts (chunks, 3, width)."""
    (first, last), c, width = _of_chunk(chunk, pixels), pixels.channels, pixels.width
    step, count = lanes_of(x), last - first
    for channel in range(0, c, step):
        origin, total = vector_at(x, first * c + channel), vector_of(x, 0)
        for start in range(first, last, SUMMED):
            some = vector_of(x, 0)
            for pixel in range(start, min(last, start + SUMMED)):
                some = add(some, subtract(vector_at(x, pixel * c + channel), origin))
            total = add(total, some)
        mean, rest, squares = add(origin, over(total, count)), vector_of(x, 0), vector_of(x, 0)
        for start in range(first, last, SUMMED):
            some, around = vector_of(x, 0), vector_of(x, 0)
            for pixel in range(start, min(last, start + SUMMED)):
                centred = subtract(vector_at(x, pixel * c + channel), mean)
                some, around = add(some, centred), multiply_add(centred, centred, around)
            rest, squares = add(rest, some), add(squares, around)
        off = over(rest, count)
        squares = subtract(squares, multiply_add(off, rest, vector_of(x, 0)))
        _put(mean, parts, 3 * chunk * width + channel, step)
        _put(off, parts, (3 * chunk + 1) * width + channel, step)
        _put(squares, parts, (3 * chunk + 2) * width + channel, step)


@helper
def _inverse_deviation(var, eps):
    return type(var)(1) / math.sqrt(var + type(var)(eps))


@helper
def _describe(table, channel, width, known, eps):
    """Write the first three rows of the table."""
    store(table, channel, load(known.mean, channel))
    store(table, width + channel, load(known.weight, channel) * _inverse_deviation(load(known.var, channel), eps))
    store(table, 2 * width + channel, load(known.bias, channel))


@helper
def _described(table, channel, width):
    """Vectors of the three rows that `_describe` wrote."""
    return vector_at(table, channel), vector_at(table, width + channel), vector_at(table, 2 * width + channel)


@helper
def _distance(parts, chunk, channel, width, origin):
    """The distance of a chunk's mean from the origin."""
    mean, rest = load(parts, 3 * chunk * width + channel), load(parts, (3 * chunk + 1) * width + channel)
    return (np.float64(mean) - origin) + np.float64(rest)


@kernel(lambda T: (Memory(T), _channels(T), Memory(T), types.float64, named(Pixels)))
def _statistics(channel, parts, known, table, eps, pixels):
    """A channel's mean and variance from the moments of the chunks, and its column of the table (3, width)."""
    width = pixels.width
    origin, total, lost = np.float64(load(parts, channel)) if pixels.chunks else 0.0, 0.0, 0.0
    for chunk in range(pixels.chunks):
        distance = _distance(parts, chunk, channel, width, origin)
        total, lost = add_exactly(total, lost, _count(chunk, pixels) * distance)
    centre, total, lost = (total + lost) / pixels.total, 0.0, 0.0
    for chunk in range(pixels.chunks):
        distance = _distance(parts, chunk, channel, width, origin) - centre
        inside = np.float64(load(parts, (3 * chunk + 2) * width + channel))
        total, lost = add_exactly(total, lost, inside + _count(chunk, pixels) * distance * distance)
    T = type(load(parts, 0))
    store(known.mean, channel, T(origin + centre))
    store(known.var, channel, T((total + lost) / pixels.total))
    _describe(table, channel, width, known, eps)


@kernel(lambda T: (Memory(T), Memory(T), Memory(T), named(Pixels), types.boolean))
def _normalise(chunk, x, out, table, pixels, relu):
    (first, last), c = _of_chunk(chunk, pixels), pixels.channels
    for channel in range(0, c, lanes_of(x)):
        mean, scale, bias = _described(table, channel, pixels.width)
        for pixel in range(first, last):
            at = pixel * c + channel
            y = multiply_add(subtract(vector_at(x, at), mean), scale, bias)
            if relu:
                y = tile_relu(y)
            _put(y, out, at, c - channel)


@kernel(lambda T: (_channels(T), Memory(T), types.float64, named(Pixels)))
def _known(channel, known, table, eps, pixels):
    """Write a channel's column of the first three rows of the table."""
    _describe(table, channel, pixels.width, known, eps)


@kernel(lambda T: (*[Memory(T)] * 4, named(Pixels), types.boolean))
def _grad_sums(chunk, g, x, parts, table, pixels, relu):
    """The sums of g, and of g times the centred x, over a chunk's pixels: parts (chunks, 2, width)."""
    step, (first, last), c, width = lanes_of(x), _of_chunk(chunk, pixels), pixels.channels, pixels.width
    for channel in range(0, c, step):
        mean, scale, bias = _described(table, channel, width)
        total, weighted = vector_of(x, 0), vector_of(x, 0)
        for start in range(first, last, SUMMED):
            some, products = vector_of(x, 0), vector_of(x, 0)
            for pixel in range(start, min(last, start + SUMMED)):
                at = pixel * c + channel
                grad, centred = vector_at(g, at), subtract(vector_at(x, at), mean)
                if relu:
                    grad = relu_grad(grad, multiply_add(centred, scale, bias))
                some, products = add(some, grad), multiply_add(grad, centred, products)
            total, weighted = add(total, some), add(weighted, products)
        _put(total, parts, 2 * chunk * width + channel, step)
        _put(weighted, parts, (2 * chunk + 1) * width + channel, step)


@kernel(lambda T: (*[Memory(T)] * 5, types.float64, named(Pixels)))
def _grad_statistics(channel, parts, var, weight_grad, bias_grad, table, eps, pixels):
    """A channel's gradients for weight and bias, and its column of the rest of the table, for the input's gradient."""
    total = weighted = lost = lost_weighted = 0.0
    width = pixels.width
    for chunk in range(pixels.chunks):
        at = 2 * chunk * width + channel
        total, lost = add_exactly(total, lost, np.float64(load(parts, at)))
        weighted, lost_weighted = add_exactly(weighted, lost_weighted, np.float64(load(parts, at + width)))
    total, weighted = total + lost, weighted + lost_weighted
    inverse, scale = np.float64(_inverse_deviation(load(var, channel), eps)), load(table, width + channel)
    T = type(scale)
    store(weight_grad, channel, T(weighted * inverse))
    store(bias_grad, channel, T(total))
    store(table, 3 * width + channel, T(-scale * inverse * inverse * weighted / pixels.total))
    store(table, 4 * width + channel, T(-scale * total / pixels.total))


@kernel(lambda T: (*[Memory(T)] * 4, named(Pixels), types.boolean))
def _input_grad(chunk, g, x, out, table, pixels, relu):
    """scale * g + slope * centred x + offset."""
    (first, last), c, width = _of_chunk(chunk, pixels), pixels.channels, pixels.width
    for channel in range(0, c, lanes_of(x)):
        mean, scale, bias = _described(table, channel, width)
        slope, offset = vector_at(table, 3 * width + channel), vector_at(table, 4 * width + channel)
        for pixel in range(first, last):
            at = pixel * c + channel
            y, centred = vector_at(g, at), subtract(vector_at(x, at), mean)
            if relu:
                y = relu_grad(y, multiply_add(centred, scale, bias))
            y = multiply_add(y, scale, multiply_add(centred, slope, offset))
            _put(y, out, at, c - channel)


def _pixels(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Pixels:
    """The pixels of x (n, c, s)."""
    (n, c, extent), step = shape, lanes(dtype)
    each = max(1, CHUNK // max(1, c))
    return Pixels(n * extent, each, -(-n * extent // each), c, -(-c // step) * step)


def _reading(x: Array) -> Callable[[Array], Array]:
    """A function that gives the channels-last memory of arrays like x (n, c, s); vectors may read past its end."""
    beyond = lanes(x.dtype) if x.shape[1] % lanes(x.dtype) else 0
    read = reading(x[:, :, None], NO_PADDING, beyond)
    return lambda x: read(x[:, :, None])


def _plan(x: Array) -> Callable[..., tuple[Array, Array, Array]]:
    pixels, read, size, dtype = _pixels(x.shape, x.dtype), _reading(x), x.size, x.dtype
    _, _, chunks, c, width = pixels
    make, make_channels = maker((x.shape[0], x.shape[2], c), dtype), maker((c,), dtype)
    make_parts, make_table = maker((3 * chunks * width,), dtype), maker((3 * width,), dtype)
    moments, statistics, normalise = _moments[dtype], _statistics[dtype], _normalise[dtype]

    def run(x: Array, weight: Array, bias: Array, eps: float, relu: bool) -> tuple[Array, Array, Array]:
        out, parts, table, memory = make(), make_parts(), make_table(), read(x)
        known = Channels(make_channels(), make_channels(), in_order(weight), in_order(bias))
        moments(chunks, size, (memory, parts, pixels))
        statistics(c, parts.size, (parts, known, table, eps, pixels))
        normalise(chunks, size, (memory, out, table, pixels, relu))
        return out.transpose(0, 2, 1), known.mean, known.var

    return run


def _plan_grad(g: Array, x: Array) -> Callable[..., tuple[Array, Array, Array]]:
    pixels, read_g, read_x, size, dtype = _pixels(x.shape, x.dtype), _reading(g), _reading(x), x.size, x.dtype
    _, _, chunks, c, width = pixels
    make, make_channels = maker((x.shape[0], x.shape[2], c), dtype), maker((c,), dtype)
    make_parts, make_table = maker((2 * chunks * width,), dtype), maker((5 * width,), dtype)
    describe, sums, statistics, input_grad = (k[dtype] for k in (_known, _grad_sums, _grad_statistics, _input_grad))

    def run(g: Array, x: Array, known: Channels, eps: float, relu: bool) -> tuple[Array, Array, Array]:
        out, parts, table, memory_g, memory_x = make(), make_parts(), make_table(), read_g(g), read_x(x)
        weight_grad, bias_grad = make_channels(), make_channels()
        describe(c, c, (known, table, eps, pixels))
        sums(chunks, size, (memory_g, memory_x, parts, table, pixels, relu))
        statistics(c, parts.size, (parts, known.var, weight_grad, bias_grad, table, eps, pixels))
        input_grad(chunks, size, (memory_g, memory_x, out, table, pixels, relu))
        return out.transpose(0, 2, 1), weight_grad, bias_grad

    return run


_plans: Plans[Callable[..., tuple[Array, Array, Array]]] = Plans(_plan)
_grad_plans: Plans[Callable[..., tuple[Array, Array, Array]]] = Plans(_plan_grad)


def batch_norm(x: Array, weight: Array, bias: Array, eps: float, relu: bool) -> tuple[Array, Array, Array]:
    """See Backend.batch_norm. The result is a view of channels-last memory."""
    return _plans.find((x.dtype, x.shape, x.strides), x)(x, weight, bias, eps, relu)


def batch_norm_grad(
    g: Array, x: Array, weight: Array, bias: Array, mean: Array, var: Array, eps: float, relu: bool
) -> tuple[Array, Array, Array]:
    """See Backend.batch_norm_grad. The input's gradient is a view of channels-last memory."""
    known = Channels(in_order(mean), in_order(var), in_order(weight), in_order(bias))
    return _grad_plans.find((x.dtype, x.shape, x.strides, g.strides), g, x)(g, x, known, eps, relu)
