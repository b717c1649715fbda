"""Softmax, log-softmax, their gradients, and cross-entropy: rows of k elements, each processed by a group of threads.

A block has ROWS groups of LANES threads. The number of lanes of a row depends on k alone: one for short rows, 32 and
more for long ones.

    row 0      |l0 l1 ... l31|l0 l1 ... l31|l0 ...|     lane t takes elements t, t + LANES, t + 2 LANES, ...
    row 1      |l0 l1 ... l31|l0 l1 ... l31|l0 ...|     of its row
    partial    |p0 p1 ... p15 | p16 ... p31|            in shared memory: the right half is merged into the left one
               |p0 ... p7 | p8 ... p15|                 until one is left, the row's; then each lane goes over its
               |p0|                                     elements again and writes the results

A lane's partial result is (m, s), its largest element and the sum of exp(x - m); for a gradient it is a sum alone. One
pass computes both: s is rescaled whenever a larger element comes (M. Milakov and N. Gimelshein, "Online normalizer
calculation for softmax", arXiv:1805.02867). So a row is read twice, the second time mostly from the cache.

The gradient of cross-entropy needs no sums, because the forward pass kept log-softmax: a thread computes one element.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from stackgrad.tensor._types import Shape

from ._array import DeviceArray, empty, permute
from ._copy import contiguous
from ._driver import cuda, device, inlined
from ._kernel import Kernel, Signature, T, cover, either, int64, kernel, pointer
from ._math import add, exp, log
from ._strides import divide

# Lanes and rows of a block, and its longest row.
SHAPES = (
    (1, either(128, simulated=2), either(16, simulated=3)),
    (either(32, simulated=2), either(8, simulated=2), either(2048, simulated=8)),
    (either(512, simulated=4), 1, math.inf),
)
WARP = either(32, simulated=2)  # lanes of a row so short that its rounding error is small
LANES = ROWS = THREADS = 0  # placeholders: each kernel below is compiled for each of the shapes


@inlined
def _share(x, top):
    """exp(x - top), which is 1 if both are -inf; NaN for NaN."""
    return type(x)(1) if x == top else exp(x - top)


@inlined
def _merged(top, total, other, share):
    """The larger of two maxima, and the sum of both sums of exponentials relative to it."""
    if other > top:
        return other, total * _share(top, other) + share
    return top, total + share * _share(other, top)


@inlined
def _merged_exactly(top, total, lost, other, share):
    """`_merged`, with the rounding error of the total."""
    if other > top:
        scale = _share(top, other)
        top, total, lost = other, total * scale, lost * scale
    else:
        share *= _share(other, top)
    total, lost = add(total, lost, share)
    return top, total, lost


@inlined
def _largest_and_total(x, start, k, lane, lanes, at, tops, totals):
    """The maximum of x[start : start + k], and the sum of exp(x - maximum), which is NaN if softmax is undefined.

    All threads of the block must call this. A lane reads four elements at a time, so that it waits for memory once.
    """
    if lane < k:
        top = x[start + lane]
        total, lost = type(top)(0), type(top)(0)
        i = start + lane
        while i + 3 * lanes < start + k:
            a, b, c, d = x[i], x[i + lanes], x[i + 2 * lanes], x[i + 3 * lanes]
            ab = a if a > b else b
            cd = c if c > d else d
            best = ab if ab > cd else cd
            part = (_share(a, best) + _share(b, best)) + (_share(c, best) + _share(d, best))
            if lanes > WARP:
                top, total, lost = _merged_exactly(top, total, lost, best, part)
            else:
                top, total = _merged(top, total, best, part)
            i += 4 * lanes
        while i < start + k:
            top, total = _merged(top, total, x[i], type(top)(1))
            i += lanes
        tops[at] = top
        totals[at] = total
    half = lanes // 2
    while half > 0:
        cuda.syncthreads()
        if lane < half and lane + half < k:
            top, total = _merged(tops[at], totals[at], tops[at + half], totals[at + half])
            tops[at] = top
            totals[at] = total
        half //= 2
    cuda.syncthreads()
    top = tops[at - lane]
    return top, totals[at - lane] + (top - top)


def _softmax_rows(x, out, k, n, exponential):
    """Softmax of n rows of k elements if `exponential`, else log-softmax."""
    tops = cuda.shared.array(THREADS, T)
    totals = cuda.shared.array(THREADS, T)
    lane = cuda.threadIdx.x
    at = cuda.threadIdx.y * LANES + lane
    base = cuda.blockIdx.x * ROWS
    while base < n:
        row = base + cuda.threadIdx.y
        length = k if row < n else 0
        top, total = _largest_and_total(x, row * k, length, lane, LANES, at, tops, totals)
        log_total = log(total)
        i = row * k + lane
        end = row * k + length
        while i + 3 * LANES < end:
            a, b = x[i] - top, x[i + LANES] - top
            c, d = x[i + 2 * LANES] - top, x[i + 3 * LANES] - top
            out[i] = exp(a) / total if exponential else a - log_total
            out[i + LANES] = exp(b) / total if exponential else b - log_total
            out[i + 2 * LANES] = exp(c) / total if exponential else c - log_total
            out[i + 3 * LANES] = exp(d) / total if exponential else d - log_total
            i += 4 * LANES
        while i < end:
            value = x[i] - top
            out[i] = exp(value) / total if exponential else value - log_total
            i += LANES
        cuda.syncthreads()
        base += cuda.gridDim.x * ROWS


def _cross_entropy_rows(x, target, losses, log_probs, k, n):
    """Log-softmax of n rows of k elements, and the losses: minus its value at the target, NaN for one out of range."""
    tops = cuda.shared.array(THREADS, T)
    totals = cuda.shared.array(THREADS, T)
    lane = cuda.threadIdx.x
    at = cuda.threadIdx.y * LANES + lane
    base = cuda.blockIdx.x * ROWS
    while base < n:
        row = base + cuda.threadIdx.y
        length = k if row < n else 0
        top, total = _largest_and_total(x, row * k, length, lane, LANES, at, tops, totals)
        log_total = log(total)
        label = target[row] if row < n else 0
        i = lane
        while i < length:
            value = x[row * k + i] - top - log_total
            log_probs[row * k + i] = value
            if i == label:
                losses[row] = -value
            i += LANES
        if lane < length and lane == 0 and (label < 0 or label >= k):
            losses[row] = T(math.nan)
        cuda.syncthreads()
        base += cuda.gridDim.x * ROWS


def _softmax_grad_rows(g, y, out, k, n, exponential):
    """y * (g - sum of g * y) for n rows of k elements; for log-softmax g - exp(y) * (sum of g)."""
    totals = cuda.shared.array(THREADS, T)
    lane = cuda.threadIdx.x
    at = cuda.threadIdx.y * LANES + lane
    base = cuda.blockIdx.x * ROWS
    while base < n:
        row = base + cuda.threadIdx.y
        length = k if row < n else 0
        total, lost = T(0), T(0)
        i = lane
        while i < length:
            grad = g[row * k + i]
            total, lost = add(total, lost, grad * y[row * k + i] if exponential else grad)
            i += LANES
        totals[at] = total
        half = LANES // 2
        while half > 0:
            cuda.syncthreads()
            if lane < half:
                totals[at] += totals[at + half]
            half //= 2
        cuda.syncthreads()
        total = totals[at - lane]
        i = lane
        while i < length:
            grad = g[row * k + i]
            value = y[row * k + i]
            out[row * k + i] = value * (grad - total) if exponential else grad - exp(value) * total
            i += LANES
        cuda.syncthreads()
        base += cuda.gridDim.x * ROWS


class RowKernels:
    """A kernel over n rows of k elements, in a variant for each of SHAPES."""

    def __init__(self, body: Any, signature: Signature) -> None:
        self._shapes = [(rows, longest, _for_shape(body, signature, lanes, rows)) for lanes, rows, longest in SHAPES]

    def launch(self, dtype: np.dtype[Any], k: int, n: int, *arguments: Any) -> None:
        rows, _, found = next(shape for shape in self._shapes if k <= shape[1])
        found[dtype](min(-(-n // rows), 4 * device().blocks), *arguments)


def _for_shape(body: Any, signature: Signature, lanes: int, rows: int) -> Kernel:
    name = f"{body.__name__.strip('_')}_of_{lanes}"
    constants = {"LANES": lanes, "ROWS": rows, "THREADS": lanes * rows}
    return Kernel(body, signature, (lanes, rows), name=name, bind=lambda dtype: constants)


_softmax = RowKernels(_softmax_rows, lambda T: (pointer(T), pointer(T), int64, int64, int64))
_softmax_grad = RowKernels(_softmax_grad_rows, lambda T: (pointer(T), pointer(T), pointer(T), int64, int64, int64))
_cross_entropy = RowKernels(
    _cross_entropy_rows, lambda T: (pointer(T), pointer(int64), pointer(T), pointer(T), int64, int64)
)


def _along(kernels: RowKernels, arrays: list[DeviceArray], dim: int, exponential: bool) -> DeviceArray:
    """Apply kernels to rows along `dim`."""
    order = _swapped(arrays[0].ndim, dim)
    last = [contiguous(permute(x, order)) for x in arrays]
    out = empty(last[0].shape, last[0].dtype)
    if out.size:
        k = out.shape[-1]
        n = out.size // k
        kernels.launch(out.dtype, k, n, *last, out, k, n, int(exponential))
    return permute(out, order)


def _swapped(ndim: int, dim: int) -> Shape:
    """The order of dimensions with `dim` and the last one swapped."""
    order = list(range(ndim))
    order[dim], order[-1] = order[-1], order[dim]
    return tuple(order)


def softmax(x: DeviceArray, dim: int) -> DeviceArray:
    """See Backend.softmax."""
    return _along(_softmax, [x], dim, exponential=True)


def log_softmax(x: DeviceArray, dim: int) -> DeviceArray:
    """See Backend.log_softmax."""
    return _along(_softmax, [x], dim, exponential=False)


def softmax_grad(g: DeviceArray, out: DeviceArray, dim: int) -> DeviceArray:
    """See Backend.softmax_grad."""
    return _along(_softmax_grad, [g, out], dim, exponential=True)


def log_softmax_grad(g: DeviceArray, out: DeviceArray, dim: int) -> DeviceArray:
    """See Backend.log_softmax_grad."""
    return _along(_softmax_grad, [g, out], dim, exponential=False)


@kernel(lambda T: (pointer(T), int64, pointer(T), pointer(int64), pointer(T), int64, int64))
def _cross_entropy_grad(g, g_step, log_probs, target, out, k, n):
    """(exp(log_probs) - one-hot target) * g for n elements, one for each thread."""
    i = cuda.grid(1)
    while i < n:
        row = divide(i, k)
        hit = T(1) if i - row * k == target[row] else T(0)
        out[i] = (exp(log_probs[i]) - hit) * g[row * g_step]
        i += cuda.gridsize(1)


def cross_entropy(logits: DeviceArray, target: DeviceArray) -> tuple[DeviceArray, DeviceArray]:
    """See Backend.cross_entropy. The loss for a target out of range is NaN."""
    n, k = logits.shape
    losses, log_probs = empty((n,), logits.dtype), empty((n, k), logits.dtype)
    if log_probs.size:
        arrays = contiguous(logits), contiguous(target), losses, log_probs
        _cross_entropy.launch(logits.dtype, k, n, *arrays, k, n)
    return losses, log_probs


def cross_entropy_grad(g: DeviceArray, log_probs: DeviceArray, target: DeviceArray) -> DeviceArray:
    """See Backend.cross_entropy_grad."""
    out = empty(log_probs.shape, g.dtype)
    if out.size:
        arrays = g, *g.strides, contiguous(log_probs), contiguous(target), out
        _cross_entropy_grad[g.dtype](cover(out.size), *arrays, out.shape[1], out.size)
    return out
