"""Batch normalisation and its gradient, two kernels each: sums over pieces of channels, then the elements.

Memory is seen as (a, c, b), c the channels: images of planes (n, c, s), or channels-last pixels (n * s, c, 1). The
a * b places of a channel are cut into pieces of equal length. A block has a piece, of one channel where planes are
long, else of ACROSS neighbouring ones, so that neighbouring threads read neighbouring elements either way:

    channel    |---------piece 0---------|---------piece 1---------|---  its planes one after the other
    piece      |l0 l1 ... l255|l0 l1 ... l255| ... |l0 ...|              EACH x LANES at a time: lane t takes elements
                                                                         t, t + LANES, t + 2 LANES, ...
    sums       |s0 s1 ... s127 | s128 ... s255|                          in shared memory: the right half is put to
               |s0 ... s63 | s64 ... s127|                               the left one until there is one, the piece's

In the second kernel the blocks are as before. Each of them puts the sums of all pieces of its channel together, in the
same way and so with the same result, and then writes its own piece. How channels are cut depends on the shape alone.

The sums of the forward pass are a count, a mean and a sum of squares around it, first of EACH elements, then merged (T.
Chan, G. Golub and R. LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979,
http://i.stanford.edu/pub/cstr/reports/cs/tr/79/773/CS-TR-79-773.pdf): no large numbers are subtracted. Values count
from the first of their channel, so that none of their digits are lost where the mean is far above the deviation.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ._array import DeviceArray, empty, permute
from ._copy import contiguous
from ._driver import cuda, inlined
from ._kernel import Kernel, Signature, T, either, int64, pointer
from ._math import sqrt
from ._strides import divide

PLANES = 1, either(256, simulated=4)  # the channels of a block, and the threads that each has
PIXELS = either((16, 16), simulated=(2, 2))
SHORT = either(16, simulated=2)  # planes shorter than this are pixels
EACH = either(8, simulated=2)  # elements that a thread reads at once
ENOUGH = either(512, simulated=4)  # blocks that keep a GPU busy; with more elements, pieces are longer
ACROSS = LANES = THREADS = 0  # stand-ins: each kernel below is compiled for PLANES and for PIXELS


# --- how a block finds its elements


@inlined
def _block(thread, across, c, places, pieces, length):
    """The channel and the piece of a thread, its first place, and the end of its places: none beyond the channels."""
    group = divide(cuda.blockIdx.x, pieces)
    piece = cuda.blockIdx.x - group * pieces
    channel = group * across + thread % across
    first = piece * length + thread // across
    return channel, piece, first, min(places, (piece + 1) * length) if channel < c else 0


@inlined
def _begin(first, channel, lanes, c, b):
    """Where in its plane and in memory a thread begins, and how far its next places lie from there."""
    image, images = divide(first, b), divide(lanes, b)
    at, at_by = first - image * b, lanes - images * b
    return at, (image * c + channel) * b + at, at_by, images * c * b + at_by


@inlined
def _next(at, source, at_by, source_by, c, b):
    """The same, for the next place."""
    at += at_by
    over = b if at >= b else 0
    return at - over, source + source_by + (c - 1) * over


# --- sums


@inlined
def _merged(count, mean, squares, other_count, other_mean, other_squares):
    """What is known of two parts together; `other_count` is not 0."""
    total = count + other_count
    share = other_count / total
    away = other_mean - mean
    return total, mean + away * share, squares + (other_squares + away * away * count * share)


@inlined
def _merge_lanes(thread, across, lanes, counts, means, squares):
    """What is known of all lanes of a channel, at the place of the first lane. All threads of the block take part."""
    half = lanes // 2
    while half > 0:
        cuda.syncthreads()
        other = thread + half * across
        if thread < half * across and counts[other] > type(counts[0])(0):
            counts[thread], means[thread], squares[thread] = _merged(
                counts[thread], means[thread], squares[thread], counts[other], means[other], squares[other]
            )
        half //= 2
    cuda.syncthreads()


@inlined
def _add_lanes(thread, across, lanes, totals, others):
    """The sums over all lanes of a channel, at the place of the first lane. All threads of the block take part."""
    half = lanes // 2
    while half > 0:
        cuda.syncthreads()
        if thread < half * across:
            totals[thread] += totals[thread + half * across]
            others[thread] += others[thread + half * across]
        half //= 2
    cuda.syncthreads()


# --- the kernels: each piece's sums lie at [channel, piece]


@inlined
def _normal(x, mean, scale, bias):
    """One rounding, whatever the compiler makes of the rest: relu cuts at the same places in both directions."""
    return cuda.fma(x - mean, scale, bias)


@inlined
def _slope(g, y, relu):
    """The gradient for y, the result before relu."""
    return type(g)(0) if relu and y <= type(g)(0) else g


def _moments(x, means, squares, c, b, places, pieces, length):
    """The mean of each piece of x, from the first value of its channel on, and the sum of squares around it."""
    lane_counts = cuda.shared.array(THREADS, T)
    lane_means = cuda.shared.array(THREADS, T)
    lane_squares = cuda.shared.array(THREADS, T)
    values = cuda.local.array(EACH, T)
    thread = cuda.threadIdx.x
    channel, piece, first, end = _block(thread, ACROSS, c, places, pieces, length)
    at, source, at_by, source_by = _begin(first, channel, LANES, c, b)
    origin = x[channel * b] if channel < c else T(0)
    count, mean, around = T(0), T(0), T(0)
    while first < end:
        some, total, rest = T(0), T(0), T(0)
        for i in range(EACH):
            values[i] = x[source if first + i * LANES < end else 0] - origin
            at, source = _next(at, source, at_by, source_by, c, b)
        for i in range(EACH):
            some += T(1) if first + i * LANES < end else T(0)
            total += values[i] if first + i * LANES < end else T(0)
        centre = total / some
        for i in range(EACH):
            away = values[i] - centre if first + i * LANES < end else T(0)
            rest += away * away
        count, mean, around = _merged(count, mean, around, some, centre, rest)
        first += EACH * LANES
    lane_counts[thread] = count
    lane_means[thread] = mean
    lane_squares[thread] = around
    _merge_lanes(thread, ACROSS, LANES, lane_counts, lane_means, lane_squares)
    if thread < ACROSS and channel < c:
        means[channel * pieces + piece] = lane_means[thread]
        squares[channel * pieces + piece] = lane_squares[thread]


def _normalise(x, means, squares, weight, bias, out, mean, var, eps, relu, c, b, places, pieces, length):
    """A channel's mean and variance from those of its pieces, and `out`."""
    lane_counts = cuda.shared.array(THREADS, T)
    lane_means = cuda.shared.array(THREADS, T)
    lane_squares = cuda.shared.array(THREADS, T)
    values = cuda.local.array(EACH, T)
    thread = cuda.threadIdx.x
    channel, piece, first, end = _block(thread, ACROSS, c, places, pieces, length)
    count, centre, around = T(0), T(0), T(0)
    other = thread // ACROSS if channel < c else pieces
    while other < pieces:
        of_other = T(min(length, places - other * length))
        known = channel * pieces + other
        count, centre, around = _merged(count, centre, around, of_other, means[known], squares[known])
        other += LANES
    lane_counts[thread] = count
    lane_means[thread] = centre
    lane_squares[thread] = around
    _merge_lanes(thread, ACROSS, LANES, lane_counts, lane_means, lane_squares)
    if channel < c:
        centre = x[channel * b] + lane_means[thread % ACROSS]
        variance = lane_squares[thread % ACROSS] / T(places)
        if piece == 0 and thread < ACROSS:
            mean[channel] = centre
            var[channel] = variance
        scale, shift = weight[channel] * (T(1) / sqrt(variance + eps)), bias[channel]
        at, source, at_by, source_by = _begin(first, channel, LANES, c, b)
        to_at, to = at, source
        while first < end:
            for i in range(EACH):
                values[i] = x[source if first + i * LANES < end else 0]
                at, source = _next(at, source, at_by, source_by, c, b)
            for i in range(EACH):
                y = _normal(values[i], centre, scale, shift)
                if first + i * LANES < end:
                    out[to] = T(0) if relu and y < T(0) else y
                to_at, to = _next(to_at, to, at_by, source_by, c, b)
            first += EACH * LANES


def _grad_sums(g, x, weight, bias, mean, var, totals, weighted, eps, relu, c, b, places, pieces, length):
    """The sums of g, and of g times the centred x, over each piece."""
    lane_totals = cuda.shared.array(THREADS, T)
    lane_weighted = cuda.shared.array(THREADS, T)
    values = cuda.local.array(EACH, T)
    slopes = cuda.local.array(EACH, T)
    thread = cuda.threadIdx.x
    channel, piece, first, end = _block(thread, ACROSS, c, places, pieces, length)
    total, product = T(0), T(0)
    if channel < c:
        centre, shift = mean[channel], bias[channel]
        scale = weight[channel] * (T(1) / sqrt(var[channel] + eps))
        at, source, at_by, source_by = _begin(first, channel, LANES, c, b)
        while first < end:
            for i in range(EACH):
                values[i] = x[source if first + i * LANES < end else 0]
                slopes[i] = g[source if first + i * LANES < end else 0]
                at, source = _next(at, source, at_by, source_by, c, b)
            some, more = T(0), T(0)
            for i in range(EACH):
                if first + i * LANES < end:
                    slope = _slope(slopes[i], _normal(values[i], centre, scale, shift), relu)
                    some += slope
                    more += slope * (values[i] - centre)
            total += some
            product += more
            first += EACH * LANES
    lane_totals[thread] = total
    lane_weighted[thread] = product
    _add_lanes(thread, ACROSS, LANES, lane_totals, lane_weighted)
    if thread < ACROSS and channel < c:
        totals[channel * pieces + piece] = lane_totals[thread]
        weighted[channel * pieces + piece] = lane_weighted[thread]


# fmt: off
def _input_grad(
    g, x, weight, bias, mean, var, totals, weighted, out, weight_grad, bias_grad,
    eps, relu, c, b, places, pieces, length,
):
    # fmt: on
    """The gradients of weight and bias from the sums of the pieces, and `out`, that of x."""
    lane_totals = cuda.shared.array(THREADS, T)
    lane_weighted = cuda.shared.array(THREADS, T)
    values = cuda.local.array(EACH, T)
    slopes = cuda.local.array(EACH, T)
    thread = cuda.threadIdx.x
    channel, piece, first, end = _block(thread, ACROSS, c, places, pieces, length)
    total, product = T(0), T(0)
    other = thread // ACROSS if channel < c else pieces
    while other < pieces:
        total += totals[channel * pieces + other]
        product += weighted[channel * pieces + other]
        other += LANES
    lane_totals[thread] = total
    lane_weighted[thread] = product
    _add_lanes(thread, ACROSS, LANES, lane_totals, lane_weighted)
    if channel < c:
        centre, shift, inverse = mean[channel], bias[channel], T(1) / sqrt(var[channel] + eps)
        total, product = lane_totals[thread % ACROSS], lane_weighted[thread % ACROSS]
        if piece == 0 and thread < ACROSS:
            weight_grad[channel] = product * inverse
            bias_grad[channel] = total
        scale = weight[channel] * inverse
        offset, tilt = -scale * (total / T(places)), -scale * inverse * inverse * (product / T(places))
        at, source, at_by, source_by = _begin(first, channel, LANES, c, b)
        to_at, to = at, source
        while first < end:
            for i in range(EACH):
                values[i] = x[source if first + i * LANES < end else 0]
                slopes[i] = g[source if first + i * LANES < end else 0]
                at, source = _next(at, source, at_by, source_by, c, b)
            for i in range(EACH):
                slope = _slope(slopes[i], _normal(values[i], centre, scale, shift), relu)
                if first + i * LANES < end:
                    out[to] = scale * slope + (tilt * (values[i] - centre) + offset)
                to_at, to = _next(to_at, to, at_by, source_by, c, b)
            first += EACH * LANES


class _View(NamedTuple):
    """An image (n, c, s) as (a, c, b), the `places` of each of its channels, and how they are cut."""

    form: tuple[int, int]
    c: int
    b: int
    places: int
    pieces: int
    length: int
    blocks: int


def _view(x: DeviceArray, channels_last: bool) -> _View:
    n, c, s = x.shape
    b = 1 if channels_last else s
    across, lanes = form = PIXELS if b < SHORT else PLANES
    groups, places, at_once = -(-c // across), n * s, lanes * EACH
    most = max(ENOUGH // groups, 1)
    length = -(-places // (most * at_once)) * at_once
    pieces = -(-places // length)
    return _View(form, c, b, places, pieces, length, groups * pieces)


class _Kernels:
    """A kernel for PLANES and for PIXELS."""

    def __init__(self, body: Any, arrays: int, scalars: Signature = lambda T: ()) -> None:
        def signature(T: Any) -> tuple[Any, ...]:
            return *[pointer(T)] * arrays, *scalars(T), int64, int64, int64, int64, int64

        def made(form: str, across: int, lanes: int) -> Kernel:
            numbers = {"ACROSS": across, "LANES": lanes, "THREADS": across * lanes}
            name = f"{body.__name__.strip('_')}_of_{form}"
            return Kernel(body, signature, across * lanes, name=name, bind=lambda dtype: numbers)

        self._by_form = {PLANES: made("planes", *PLANES), PIXELS: made("pixels", *PIXELS)}

    def launch(self, view: _View, dtype: np.dtype[Any], *arguments: Any) -> None:
        self._by_form[view.form][dtype](view.blocks, *arguments, view.c, view.b, view.places, view.pieces, view.length)


_MOMENTS = _Kernels(_moments, 3)
_NORMALISE = _Kernels(_normalise, 8, lambda T: (T, int64))
_GRAD_SUMS = _Kernels(_grad_sums, 8, lambda T: (T, int64))
_INPUT_GRAD = _Kernels(_input_grad, 11, lambda T: (T, int64))


def _is_channels_last(x: DeviceArray) -> bool:
    return not x.is_contiguous and permute(x, (0, 2, 1)).is_contiguous


def _laid(x: DeviceArray, channels_last: bool) -> DeviceArray:
    """x (n, c, s), copied if it lies otherwise."""
    return permute(contiguous(permute(x, (0, 2, 1))), (0, 2, 1)) if channels_last else contiguous(x)


def _empty_like(x: DeviceArray, channels_last: bool) -> DeviceArray:
    n, c, s = x.shape
    return permute(empty((n, s, c), x.dtype), (0, 2, 1)) if channels_last else empty((n, c, s), x.dtype)


def batch_norm(
    x: DeviceArray, weight: DeviceArray, bias: DeviceArray, eps: float, relu: bool
) -> tuple[DeviceArray, DeviceArray, DeviceArray]:
    """See Backend.batch_norm. The result lies in memory as x does."""
    dtype, last = x.dtype, _is_channels_last(x)
    view, x, out = _view(x, last), _laid(x, last), _empty_like(x, last)
    mean, var = empty((view.c,), dtype), empty((view.c,), dtype)
    means, squares = empty((view.c, view.pieces), dtype), empty((view.c, view.pieces), dtype)
    _MOMENTS.launch(view, dtype, x, means, squares)
    arrays = x, means, squares, contiguous(weight), contiguous(bias), out, mean, var
    _NORMALISE.launch(view, dtype, *arrays, dtype.type(eps), int(relu))
    return out, mean, var


def batch_norm_grad(
    g: DeviceArray,
    x: DeviceArray,
    weight: DeviceArray,
    bias: DeviceArray,
    mean: DeviceArray,
    var: DeviceArray,
    eps: float,
    relu: bool,
) -> tuple[DeviceArray, DeviceArray, DeviceArray]:
    """See Backend.batch_norm_grad. The input's gradient lies in memory as x does."""
    dtype, last = x.dtype, _is_channels_last(x)
    view, out = _view(x, last), _empty_like(x, last)
    weight_grad, bias_grad = empty((view.c,), dtype), empty((view.c,), dtype)
    totals, weighted = empty((view.c, view.pieces), dtype), empty((view.c, view.pieces), dtype)
    known = _laid(g, last), _laid(x, last), *map(contiguous, (weight, bias, mean, var)), totals, weighted
    numbers = dtype.type(eps), int(relu)
    _GRAD_SUMS.launch(view, dtype, *known, *numbers)
    _INPUT_GRAD.launch(view, dtype, *known, out, weight_grad, bias_grad, *numbers)
    return out, weight_grad, bias_grad
