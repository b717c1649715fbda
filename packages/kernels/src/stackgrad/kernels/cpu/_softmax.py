"""Softmax, log-softmax and cross-entropy, a row at a time: its maximum, the sum of its exponentials, the result."""

from __future__ import annotations

from typing import Any

from numba import types
from numpy.typing import NDArray

from ._buffers import empty
from ._jit import helper, kernel
from ._layout import in_order
from ._parallel import CHUNK, SERIAL
from ._simd import load, store
from ._vmath import exp, log

Array = NDArray[Any]
COST = 16  # operations that an exponential takes as long as


@helper
def _log_sum_exp(x, start, k):
    """The maximum of x[start : start + k] and the log of the sum of exp(x - maximum)."""
    largest = load(x, start)
    for i in range(start + 1, start + k):
        value = load(x, i)
        largest = value if value > largest or value != value else largest
    total = type(largest)(0)
    for i in range(start, start + k):
        total += exp(load(x, i) - largest)
    return largest, log(total)


@kernel(lambda T: (T[::1], T[::1], types.intp, types.intp, types.boolean))
def _log_softmax(chunk, x, out, k, rows, exponential):
    """`rows` rows of k; with `exponential`, softmax."""
    for start in range(chunk * rows * k, min(x.size, (chunk + 1) * rows * k), k):
        largest, log_sum = _log_sum_exp(x, start, k)
        for i in range(start, start + k):
            value = load(x, i) - largest - log_sum
            store(out, i, exp(value) if exponential else value)


def _along(x: Array, dim: int, exponential: bool) -> Array:
    last = in_order(x.swapaxes(dim, -1))
    out = empty(last.shape, last.dtype)
    if out.size:
        k = last.shape[-1]
        rows = max(1, CHUNK // (k * COST))
        chunks = -(-(out.size // k) // rows)
        shared = (last.reshape(-1), out.reshape(-1), k, rows, exponential)
        _log_softmax[x.dtype](chunks, out.size * COST < SERIAL, shared)
    return out.swapaxes(dim, -1)


def softmax(x: Array, dim: int) -> Array:
    """See Backend.softmax."""
    return _along(x, dim, exponential=True)


def log_softmax(x: Array, dim: int) -> Array:
    """See Backend.log_softmax."""
    return _along(x, dim, exponential=False)


@kernel(lambda T: (T[::1], types.int64[::1], T[::1], T[::1], types.intp, types.intp))
def _cross_entropy(chunk, x, target, losses, log_probs, k, rows):
    for row in range(chunk * rows, min(losses.size, (chunk + 1) * rows)):
        largest, log_sum = _log_sum_exp(x, row * k, k)
        for i in range(row * k, (row + 1) * k):
            store(log_probs, i, load(x, i) - largest - log_sum)
        store(losses, row, -load(log_probs, row * k + load(target, row)))


@kernel(lambda T: (T[::1], T[::1], types.int64[::1], T[::1], types.intp, types.intp))
def _cross_entropy_grad(chunk, g, log_probs, target, out, k, rows):
    for row in range(chunk * rows, min(g.size, (chunk + 1) * rows)):
        weight = load(g, row)
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
        _cross_entropy[logits.dtype](-(-n // rows), n * k * COST < SERIAL, shared)
    return losses, log_probs


def cross_entropy_grad(g: Array, log_probs: Array, target: Array) -> Array:
    """See Backend.cross_entropy_grad."""
    n, k = log_probs.shape
    out = empty((n, k), g.dtype)
    if out.size:
        rows = max(1, CHUNK // (k * COST))
        shared = (_flat(g), log_probs.reshape(-1), _flat(target), out.reshape(-1), k, rows)
        _cross_entropy_grad[g.dtype](-(-n // rows), n * k * COST < SERIAL, shared)
    return out


def _flat(x: Array) -> Array:
    return in_order(x).reshape(-1)
