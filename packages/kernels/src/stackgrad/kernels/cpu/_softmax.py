"""Softmax, log-softmax and cross-entropy, a row at a time: its maximum, the sum of its exponentials, the result."""

from __future__ import annotations

from typing import Any

from numba import types
from numpy.typing import NDArray

from ._channels_last import in_order
from ._kernel import Kernel, helper, kernel
from ._math import exp, log
from ._memory import empty
from ._parallel import CHUNK
from ._pointers import load, on_stack, store
from ._vector_fold import FEWEST, fold_vectors

Array = NDArray[Any]
COST = 16  # operations that an exponential takes as long as
PIECE = 4096  # elements of a sum's pieces

_largest_of_many = fold_vectors["max"]


@helper
def _larger(a, b):
    """The larger one; NaN if one is."""
    return b if b > a or b != b else a


@helper
def _largest(x, start, k):
    """The maximum of x[start : start + k]; NaN if one is."""
    if k >= FEWEST:
        return _largest_of_many(x, start, k)
    largest = load(x, start)
    for i in range(start + 1, start + k):
        largest = _larger(largest, load(x, i))
    return largest


@helper
def _sum_of_piece(x, start, k):
    """The sum of x[start : start + k], every eighth into one of eight."""
    zero = type(load(x, start))(0)
    t0 = t1 = t2 = t3 = t4 = t5 = t6 = t7 = zero
    whole = start + k // 8 * 8
    for i in range(start, whole, 8):
        t0 += load(x, i)
        t1 += load(x, i + 1)
        t2 += load(x, i + 2)
        t3 += load(x, i + 3)
        t4 += load(x, i + 4)
        t5 += load(x, i + 5)
        t6 += load(x, i + 6)
        t7 += load(x, i + 7)
    total = ((t0 + t1) + (t2 + t3)) + ((t4 + t5) + (t6 + t7))
    for i in range(whole, start + k):
        total += load(x, i)
    return total


@helper
def _sum(x, start, k):
    """The sum of x[start : start + k], in pieces, which are added by halves as they come (see _parts)."""
    if k <= PIECE:
        return _sum_of_piece(x, start, k)
    kept, pieces = on_stack(x, 64), 0
    for at in range(start, start + k, PIECE):
        total, level = _sum_of_piece(x, at, min(PIECE, start + k - at)), 0
        while pieces >> level & 1:
            total = load(kept, level) + total
            level += 1
        store(kept, level, total)
        pieces += 1
    total = type(load(x, start))(0)
    for level in range(64):
        if pieces >> level & 1:
            total = load(kept, level) + total
    return total


@helper
def _exponentials(x, start, k, out):
    """out[start : start + k] = exp(x - maximum); the maximum, and their sum."""
    largest = _largest(x, start, k)
    for i in range(start, start + k):
        store(out, i, exp(load(x, i) - largest))
    return largest, _sum(out, start, k)


@kernel(lambda T: (T[::1], T[::1], types.intp, types.intp, types.boolean))
def _log_softmax(chunk, x, out, k, rows, exponential):
    """`rows` rows of k; with `exponential`, softmax."""
    for start in range(chunk * rows * k, min(x.size, (chunk + 1) * rows * k), k):
        largest, total = _exponentials(x, start, k, out)
        if exponential:
            share = type(total)(1) / total  # to divide each would take twice as long as to read it
            for i in range(start, start + k):
                store(out, i, load(out, i) * share)
        else:
            log_total = log(total)
            for i in range(start, start + k):
                store(out, i, load(x, i) - largest - log_total)


@kernel(lambda T: (T[::1], T[::1], T[::1], types.intp, types.intp, types.boolean))
def _log_softmax_grad(chunk, g, y, out, k, rows, exponential):
    """`rows` rows of g - exp(y) * (sum of g); with `exponential`, that of softmax, y * (g - sum of g * y)."""
    for start in range(chunk * rows * k, min(g.size, (chunk + 1) * rows * k), k):
        if exponential:
            for i in range(start, start + k):
                store(out, i, load(g, i) * load(y, i))
            total = _sum(out, start, k)
            for i in range(start, start + k):
                store(out, i, load(y, i) * (load(g, i) - total))
        else:
            total = _sum(g, start, k)
            for i in range(start, start + k):
                store(out, i, load(g, i) - exp(load(y, i)) * total)


def _along(kernel_for: Kernel, arrays: list[Array], dim: int, exponential: bool) -> Array:
    """The kernel's result for rows along `dim`."""
    last = [in_order(x.swapaxes(dim, -1)) for x in arrays]
    out = empty(last[0].shape, last[0].dtype)
    if out.size:
        k = out.shape[-1]
        rows = max(1, CHUNK // (k * COST))
        flat = [x.reshape(-1) for x in (*last, out)]
        kernel_for[out.dtype](-(-(out.size // k) // rows), out.size * COST, (*flat, k, rows, exponential))
    return out.swapaxes(dim, -1)


def softmax(x: Array, dim: int) -> Array:
    """See Backend.softmax."""
    return _along(_log_softmax, [x], dim, exponential=True)


def log_softmax(x: Array, dim: int) -> Array:
    """See Backend.log_softmax."""
    return _along(_log_softmax, [x], dim, exponential=False)


def softmax_grad(g: Array, out: Array, dim: int) -> Array:
    """See Backend.softmax_grad."""
    return _along(_log_softmax_grad, [g, out], dim, exponential=True)


def log_softmax_grad(g: Array, out: Array, dim: int) -> Array:
    """See Backend.log_softmax_grad."""
    return _along(_log_softmax_grad, [g, out], dim, exponential=False)


@kernel(lambda T: (T[::1], types.int64[::1], T[::1], T[::1], types.intp, types.intp))
def _cross_entropy(chunk, x, target, losses, log_probs, k, rows):
    for row in range(chunk * rows, min(losses.size, (chunk + 1) * rows)):
        largest, total = _exponentials(x, row * k, k, log_probs)
        log_total = log(total)
        for i in range(row * k, (row + 1) * k):
            store(log_probs, i, load(x, i) - largest - log_total)
        store(losses, row, -load(log_probs, row * k + load(target, row)))


@kernel(lambda T: (T[::1], types.intp, T[::1], types.int64[::1], T[::1], types.intp, types.intp))
def _cross_entropy_grad(chunk, g, g_step, log_probs, target, out, k, rows):
    """`rows` rows of k, whose gradients begin with that in g and lie `g_step` apart: 0 for a mean or a sum."""
    for row in range(chunk * rows, min(target.size, (chunk + 1) * rows)):
        weight = load(g, row * g_step)
        for i in range(row * k, (row + 1) * k):
            store(out, i, exp(load(log_probs, i)) * weight)
        label = load(target, row)
        if 0 <= label < k:  # it was, when the loss was computed; memory shared with NumPy may have changed since
            hit = row * k + label
            store(out, hit, load(out, hit) - weight)


def cross_entropy(logits: Array, target: Array) -> tuple[Array, Array]:
    """See Backend.cross_entropy."""
    n, k = logits.shape
    losses, log_probs = empty(n, logits.dtype), empty((n, k), logits.dtype)
    if log_probs.size:
        rows = max(1, CHUNK // (k * COST))
        shared = (_flat(logits), _flat(target), losses, log_probs.reshape(-1), k, rows)
        _cross_entropy[logits.dtype](-(-n // rows), n * k * COST, shared)
    return losses, log_probs


def cross_entropy_grad(g: Array, log_probs: Array, target: Array) -> Array:
    """See Backend.cross_entropy_grad."""
    n, k = log_probs.shape
    out = empty((n, k), g.dtype)
    if out.size:
        rows = max(1, CHUNK // (k * COST))
        shared = (g[:1], g.strides[0] // g.itemsize, log_probs.reshape(-1), _flat(target), out.reshape(-1), k, rows)
        _cross_entropy_grad[g.dtype](-(-n // rows), n * k * COST, shared)
    return out


def _flat(x: Array) -> Array:
    return in_order(x).reshape(-1)
