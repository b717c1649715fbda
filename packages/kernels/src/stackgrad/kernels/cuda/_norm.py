"""Batch normalisation and its gradient, two kernels each: sums over pieces of channels, then the elements.

`_channels` says how channels are cut and which elements a thread has. A block merges the sums of its lanes:

    sums       |s0 s1 ... s127 | s128 ... s255|                          in shared memory: the right half is merged into
               |s0 ... s63 | s64 ... s127|                               the left one until one is left, the piece's

The second kernel has the same blocks. Each of them merges the sums of all pieces of its channel, in the same way and so
with the same result, and then writes its own piece.

The sums of the forward pass are a count, a mean and a sum of squares around it, first of EACH elements, then merged (T.
Chan, G. Golub and R. LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979,
http://i.stanford.edu/pub/cstr/reports/cs/tr/79/773/CS-TR-79-773.pdf): no large values are subtracted. Values are taken
relative to the first one of their channel, so they lose no digits if the mean is far larger than the deviation.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ._array import DeviceArray, empty, empty_like
from ._channels import EACH, ChannelKernels, advance, arranged, begin, cut_of, is_channels_last, piece_of_thread
from ._copy import contiguous
from ._driver import cuda, inlined
from ._kernel import T, int64, named, pointer
from ._math import sqrt

ACROSS = LANES = THREADS = 0  # placeholders: each kernel below is compiled for PLANES and for PIXELS


# --- operands, by name


class Norm(NamedTuple):
    """The arguments of the forward pass besides x; relu is applied if `relu` is not 0."""

    weight: Any
    bias: Any
    eps: Any
    relu: Any


class Moments(NamedTuple):
    """The mean and the variance of each channel, or the mean and the sum of squares of each piece [channel, piece]."""

    mean: Any
    around: Any


class Sums(NamedTuple):
    """The sums of g and of g times the centred x, for each piece [channel, piece]."""

    plain: Any
    weighted: Any


class Grads(NamedTuple):
    """The gradients of the three inputs."""

    x: Any
    weight: Any
    bias: Any


# --- sums


@inlined
def _merged(count, mean, squares, other_count, other_mean, other_squares):
    """The moments of two parts together; `other_count` must not be 0."""
    total = count + other_count
    share = other_count / total
    distance = other_mean - mean
    return total, mean + distance * share, squares + (other_squares + distance * distance * count * share)


@inlined
def _merge_lanes(thread, across, lanes, counts, means, squares):
    """Merge the moments of all lanes of a channel into the first lane. All threads of the block must call this."""
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
    """Add the sums of all lanes of a channel into the first lane. All threads of the block must call this."""
    half = lanes // 2
    while half > 0:
        cuda.syncthreads()
        if thread < half * across:
            totals[thread] += totals[thread + half * across]
            others[thread] += others[thread + half * across]
        half //= 2
    cuda.syncthreads()


# --- the kernels


@inlined
def _normal(x, mean, scale, bias):
    """One rounding, whatever the compiler does elsewhere: so relu masks the same elements forward and backward."""
    return cuda.fma(x - mean, scale, bias)


@inlined
def _relu_grad(g, y, relu):
    """The gradient for y, which is the result before relu."""
    return type(g)(0) if relu and y <= type(g)(0) else g


def _moments(x, of_pieces, cut):
    """The moments of each piece of x, with the mean relative to the first value of its channel."""
    lane_counts = cuda.shared.array(THREADS, T)
    lane_means = cuda.shared.array(THREADS, T)
    lane_squares = cuda.shared.array(THREADS, T)
    values = cuda.local.array(EACH, T)
    thread = cuda.threadIdx.x
    channel, piece, first, end = piece_of_thread(thread, ACROSS, cut)
    at, source, at_by, source_by = begin(first, channel, LANES, cut)
    origin = x[channel * cut.b] if channel < cut.c else T(0)
    count, mean, around = T(0), T(0), T(0)
    while first < end:
        some, total, rest = T(0), T(0), T(0)
        for i in range(EACH):
            values[i] = x[source if first + i * LANES < end else 0] - origin
            at, source = advance(at, source, at_by, source_by, cut)
        for i in range(EACH):
            some += T(1) if first + i * LANES < end else T(0)
            total += values[i] if first + i * LANES < end else T(0)
        centre = total / some
        for i in range(EACH):
            distance = values[i] - centre if first + i * LANES < end else T(0)
            rest += distance * distance
        count, mean, around = _merged(count, mean, around, some, centre, rest)
        first += EACH * LANES
    lane_counts[thread] = count
    lane_means[thread] = mean
    lane_squares[thread] = around
    _merge_lanes(thread, ACROSS, LANES, lane_counts, lane_means, lane_squares)
    if thread < ACROSS and channel < cut.c:
        of_pieces.mean[channel * cut.pieces + piece] = lane_means[thread]
        of_pieces.around[channel * cut.pieces + piece] = lane_squares[thread]


def _normalise(x, norm, of_pieces, of_channels, out, cut):
    """Merge the moments of pieces to those of channels, and write `out`."""
    lane_counts = cuda.shared.array(THREADS, T)
    lane_means = cuda.shared.array(THREADS, T)
    lane_squares = cuda.shared.array(THREADS, T)
    values = cuda.local.array(EACH, T)
    thread = cuda.threadIdx.x
    channel, piece, first, end = piece_of_thread(thread, ACROSS, cut)
    count, centre, around = T(0), T(0), T(0)
    other = thread // ACROSS if channel < cut.c else cut.pieces
    while other < cut.pieces:
        of_other = T(min(cut.length, cut.count - other * cut.length))
        known = channel * cut.pieces + other
        mean, squares = of_pieces.mean[known], of_pieces.around[known]
        count, centre, around = _merged(count, centre, around, of_other, mean, squares)
        other += LANES
    lane_counts[thread] = count
    lane_means[thread] = centre
    lane_squares[thread] = around
    _merge_lanes(thread, ACROSS, LANES, lane_counts, lane_means, lane_squares)
    if channel < cut.c:
        centre = x[channel * cut.b] + lane_means[thread % ACROSS]
        variance = lane_squares[thread % ACROSS] / T(cut.count)
        if piece == 0 and thread < ACROSS:
            of_channels.mean[channel] = centre
            of_channels.around[channel] = variance
        scale, shift = norm.weight[channel] * (T(1) / sqrt(variance + norm.eps)), norm.bias[channel]
        at, source, at_by, source_by = begin(first, channel, LANES, cut)
        to_at, to = at, source
        while first < end:
            for i in range(EACH):
                values[i] = x[source if first + i * LANES < end else 0]
                at, source = advance(at, source, at_by, source_by, cut)
            for i in range(EACH):
                y = _normal(values[i], centre, scale, shift)
                if first + i * LANES < end:
                    out[to] = T(0) if norm.relu and y < T(0) else y
                to_at, to = advance(to_at, to, at_by, source_by, cut)
            first += EACH * LANES


def _grad_sums(g, x, norm, of_channels, sums, cut):
    """Write the sums over each piece."""
    lane_totals = cuda.shared.array(THREADS, T)
    lane_weighted = cuda.shared.array(THREADS, T)
    values = cuda.local.array(EACH, T)
    g_values = cuda.local.array(EACH, T)
    thread = cuda.threadIdx.x
    channel, piece, first, end = piece_of_thread(thread, ACROSS, cut)
    total, product = T(0), T(0)
    if channel < cut.c:
        centre, shift = of_channels.mean[channel], norm.bias[channel]
        scale = norm.weight[channel] * (T(1) / sqrt(of_channels.around[channel] + norm.eps))
        at, source, at_by, source_by = begin(first, channel, LANES, cut)
        while first < end:
            for i in range(EACH):
                values[i] = x[source if first + i * LANES < end else 0]
                g_values[i] = g[source if first + i * LANES < end else 0]
                at, source = advance(at, source, at_by, source_by, cut)
            some, more = T(0), T(0)
            for i in range(EACH):
                if first + i * LANES < end:
                    grad = _relu_grad(g_values[i], _normal(values[i], centre, scale, shift), norm.relu)
                    some += grad
                    more += grad * (values[i] - centre)
            total += some
            product += more
            first += EACH * LANES
    lane_totals[thread] = total
    lane_weighted[thread] = product
    _add_lanes(thread, ACROSS, LANES, lane_totals, lane_weighted)
    if thread < ACROSS and channel < cut.c:
        sums.plain[channel * cut.pieces + piece] = lane_totals[thread]
        sums.weighted[channel * cut.pieces + piece] = lane_weighted[thread]


def _input_grad(g, x, norm, of_channels, sums, grads, cut):
    """The gradients of weight and bias from the sums of the pieces, and with them that of x."""
    lane_totals = cuda.shared.array(THREADS, T)
    lane_weighted = cuda.shared.array(THREADS, T)
    values = cuda.local.array(EACH, T)
    g_values = cuda.local.array(EACH, T)
    thread = cuda.threadIdx.x
    channel, piece, first, end = piece_of_thread(thread, ACROSS, cut)
    total, product = T(0), T(0)
    other = thread // ACROSS if channel < cut.c else cut.pieces
    while other < cut.pieces:
        total += sums.plain[channel * cut.pieces + other]
        product += sums.weighted[channel * cut.pieces + other]
        other += LANES
    lane_totals[thread] = total
    lane_weighted[thread] = product
    _add_lanes(thread, ACROSS, LANES, lane_totals, lane_weighted)
    if channel < cut.c:
        centre, shift = of_channels.mean[channel], norm.bias[channel]
        inverse = T(1) / sqrt(of_channels.around[channel] + norm.eps)
        total, product = lane_totals[thread % ACROSS], lane_weighted[thread % ACROSS]
        if piece == 0 and thread < ACROSS:
            grads.weight[channel] = product * inverse
            grads.bias[channel] = total
        scale = norm.weight[channel] * inverse
        offset, slope = -scale * (total / T(cut.count)), -scale * inverse * inverse * (product / T(cut.count))
        at, source, at_by, source_by = begin(first, channel, LANES, cut)
        to_at, to = at, source
        while first < end:
            for i in range(EACH):
                values[i] = x[source if first + i * LANES < end else 0]
                g_values[i] = g[source if first + i * LANES < end else 0]
                at, source = advance(at, source, at_by, source_by, cut)
            for i in range(EACH):
                grad = _relu_grad(g_values[i], _normal(values[i], centre, scale, shift), norm.relu)
                if first + i * LANES < end:
                    grads.x[to] = scale * grad + (slope * (values[i] - centre) + offset)
                to_at, to = advance(to_at, to, at_by, source_by, cut)
            first += EACH * LANES


def _types(T: Any) -> dict[type, Any]:
    """The Numba types of named operands."""
    array = pointer(T)
    return {Norm: named(Norm, array, array, T, int64), **{form: named(form, array) for form in (Moments, Sums, Grads)}}


def _kernels(body: Any, *operands: Any) -> ChannelKernels:
    """The kernels of `body`; each operand is a NamedTuple or, given by its name, an array."""
    return ChannelKernels(body, lambda T: tuple([_types(T).get(operand, pointer(T)) for operand in operands]))


_MOMENTS = _kernels(_moments, "x", Moments)
_NORMALISE = _kernels(_normalise, "x", Norm, Moments, Moments, "out")
_GRAD_SUMS = _kernels(_grad_sums, "g", "x", Norm, Moments, Sums)
_INPUT_GRAD = _kernels(_input_grad, "g", "x", Norm, Moments, Sums, Grads)


def batch_norm(
    x: DeviceArray, weight: DeviceArray, bias: DeviceArray, eps: float, relu: bool
) -> tuple[DeviceArray, DeviceArray, DeviceArray]:
    """See Backend.batch_norm. The result has the memory order of x."""
    dtype, last = x.dtype, is_channels_last(x)
    (form, cut), x = cut_of(x, last), arranged(x, last)
    out = empty_like(x)
    norm = Norm(contiguous(weight), contiguous(bias), dtype.type(eps), int(relu))
    of_pieces = Moments(*[empty((cut.c, cut.pieces), dtype) for _ in Moments._fields])
    of_channels = Moments(*[empty((cut.c,), dtype) for _ in Moments._fields])
    _MOMENTS.launch(form, cut, dtype, x, of_pieces)
    _NORMALISE.launch(form, cut, dtype, x, norm, of_pieces, of_channels, out)
    return out, *of_channels


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
    """See Backend.batch_norm_grad. The input's gradient has the memory order of x."""
    dtype, last = x.dtype, is_channels_last(x)
    (form, cut), x = cut_of(x, last), arranged(x, last)
    norm = Norm(contiguous(weight), contiguous(bias), dtype.type(eps), int(relu))
    sums = Sums(*[empty((cut.c, cut.pieces), dtype) for _ in Sums._fields])
    known = arranged(g, last), x, norm, Moments(contiguous(mean), contiguous(var)), sums
    grads = Grads(empty_like(x), empty((cut.c,), dtype), empty((cut.c,), dtype))
    _GRAD_SUMS.launch(form, cut, dtype, *known)
    _INPUT_GRAD.launch(form, cut, dtype, *known, grads)
    return tuple(grads)
