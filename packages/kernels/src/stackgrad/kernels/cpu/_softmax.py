"""Softmax, log-softmax and cross-entropy, row by row: the maximum, the sum of exponentials, then the result."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from stackgrad.tensor._plans import Plans
from stackgrad.tensor._types import HostArray as Array

from ._channels_last import in_order
from ._kernel import Kernel, kernel, named
from ._math import exp, log
from ._memory import maker
from ._numba import helper, types
from ._parallel import CHUNK
from ._pointers import Memory, load, on_stack, store
from ._vector_fold import FEWEST, fold_vectors

COST = 16  # units of work of one exponential
PART = 4096  # elements of one part of a sum

_largest_of_many = fold_vectors["max"]


@helper
def _larger(a, b):
    """The larger of the two; NaN if either is NaN."""
    return b if b > a or b != b else a


@helper
def _largest(x, start, k):
    """The maximum of x[start : start + k]; NaN if any is NaN."""
    if k >= FEWEST:
        return _largest_of_many(x, start, k)
    largest = load(x, start)
    for i in range(start + 1, start + k):
        largest = _larger(largest, load(x, i))
    return largest


@helper
def _sum_of_part(x, start, k):
    """The sum of x[start : start + k], in eight partial sums of every eighth element."""
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
    """The sum of x[start : start + k], in parts that are added pairwise as they come (see _parts)."""
    if k <= PART:
        return _sum_of_part(x, start, k)
    kept, parts = on_stack(x, 64), 0
    for at in range(start, start + k, PART):
        total, level = _sum_of_part(x, at, min(PART, start + k - at)), 0
        while parts >> level & 1:
            total = load(kept, level) + total
            level += 1
        store(kept, level, total)
        parts += 1
    total = type(load(x, start))(0)
    for level in range(64):
        if parts >> level & 1:
            total = load(kept, level) + total
    return total


@helper
def _exponentials(x, start, k, out):
    """Set out[start : start + k] = exp(x - maximum), and return the maximum and the sum of these."""
    largest = _largest(x, start, k)
    for i in range(start, start + k):
        store(out, i, exp(load(x, i) - largest))
    return largest, _sum(out, start, k)


class Rows(NamedTuple):
    """`total` rows of k elements; a chunk has `each` of them."""

    total: int
    k: int
    each: int


def _rows(shape: tuple[int, ...]) -> Rows:
    """The rows of an array of that shape."""
    k = shape[-1]
    return Rows(math.prod(shape[:-1]), k, max(1, CHUNK // max(1, k * COST)))


@helper
def _of_chunk(chunk, rows):
    """The offsets of the rows of a chunk."""
    return range(chunk * rows.each * rows.k, min(rows.total, (chunk + 1) * rows.each) * rows.k, rows.k)


@helper
def _log_softmax_of_row(x, start, k, out):
    largest, total = _exponentials(x, start, k, out)
    log_total = log(total)
    for i in range(start, start + k):
        store(out, i, load(x, i) - largest - log_total)


@kernel(lambda T: (Memory(T), Memory(T), named(Rows)))
def _softmax(chunk, x, out, rows):
    for start in _of_chunk(chunk, rows):
        _, total = _exponentials(x, start, rows.k, out)
        share = type(total)(1) / total  # dividing each element would take twice as long as reading it
        for i in range(start, start + rows.k):
            store(out, i, load(out, i) * share)


@kernel(lambda T: (Memory(T), Memory(T), named(Rows)))
def _log_softmax(chunk, x, out, rows):
    for start in _of_chunk(chunk, rows):
        _log_softmax_of_row(x, start, rows.k, out)


@kernel(lambda T: (Memory(T), Memory(T), Memory(T), named(Rows)))
def _softmax_grad(chunk, g, y, out, rows):
    """y * (g - sum of g * y)."""
    for start in _of_chunk(chunk, rows):
        for i in range(start, start + rows.k):
            store(out, i, load(g, i) * load(y, i))
        total = _sum(out, start, rows.k)
        for i in range(start, start + rows.k):
            store(out, i, load(y, i) * (load(g, i) - total))


@kernel(lambda T: (Memory(T), Memory(T), Memory(T), named(Rows)))
def _log_softmax_grad(chunk, g, y, out, rows):
    """g - exp(y) * (sum of g)."""
    for start in _of_chunk(chunk, rows):
        total = _sum(g, start, rows.k)
        for i in range(start, start + rows.k):
            store(out, i, load(g, i) - exp(load(y, i)) * total)


def _plan_along(kernel: Kernel, dim: int, *arrays: Array) -> Callable[..., Array]:
    shape, dtype = arrays[0].swapaxes(dim, -1).shape, arrays[0].dtype
    make, entry, rows, work = maker(shape, dtype), kernel[dtype], _rows(shape), math.prod(shape) * COST
    chunks = -(-rows.total // rows.each) if rows.k else 0

    def run(*arrays: Array) -> Array:
        out = make()
        entry(chunks, work, (*[in_order(x.swapaxes(dim, -1)) for x in arrays], out, rows))
        return out.swapaxes(dim, -1)

    return run


_along: Plans[Callable[..., Array]] = Plans(_plan_along)


def softmax(x: Array, dim: int) -> Array:
    """See Backend.softmax."""
    return _along.find((_softmax, dim, x.dtype, x.shape, x.strides), _softmax, dim, x)(x)


def log_softmax(x: Array, dim: int) -> Array:
    """See Backend.log_softmax."""
    return _along.find((_log_softmax, dim, x.dtype, x.shape, x.strides), _log_softmax, dim, x)(x)


def softmax_grad(g: Array, out: Array, dim: int) -> Array:
    """See Backend.softmax_grad."""
    form = (_softmax_grad, dim, g.dtype, g.shape, g.strides, out.strides)
    return _along.find(form, _softmax_grad, dim, g, out)(g, out)


def log_softmax_grad(g: Array, out: Array, dim: int) -> Array:
    """See Backend.log_softmax_grad."""
    form = (_log_softmax_grad, dim, g.dtype, g.shape, g.strides, out.strides)
    return _along.find(form, _log_softmax_grad, dim, g, out)(g, out)


@kernel(lambda T: (Memory(T), Memory(types.int64), Memory(T), Memory(T), named(Rows)))
def _cross_entropy(chunk, x, target, losses, log_probs, rows):
    for start in _of_chunk(chunk, rows):
        _log_softmax_of_row(x, start, rows.k, log_probs)
        row = start // rows.k
        store(losses, row, -load(log_probs, start + load(target, row)))


@kernel(lambda T: (Memory(T), types.intp, Memory(T), Memory(types.int64), Memory(T), named(Rows)))
def _cross_entropy_grad(chunk, g, g_step, log_probs, target, out, rows):
    """`g_step` is the stride from one row's gradient to the next in g: 0 for a mean or a sum."""
    for start in _of_chunk(chunk, rows):
        row = start // rows.k
        weight, label = load(g, row * g_step), load(target, row)
        for i in range(start, start + rows.k):
            store(out, i, exp(load(log_probs, i)) * weight)
        if 0 <= label < rows.k:  # checked for the loss, but memory shared with NumPy may have changed since
            store(out, start + label, load(out, start + label) - weight)


def _plan_losses(logits: Array) -> Callable[[Array, Array], tuple[Array, Array]]:
    rows, dtype, work = _rows(logits.shape), logits.dtype, logits.size * COST
    make, make_log_probs, entry = maker(logits.shape[:1], dtype), maker(logits.shape, dtype), _cross_entropy[dtype]
    chunks = -(-rows.total // rows.each) if rows.k else 0

    def run(logits: Array, target: Array) -> tuple[Array, Array]:
        losses, log_probs = make(), make_log_probs()
        entry(chunks, work, (in_order(logits), in_order(target), losses, log_probs, rows))
        return losses, log_probs

    return run


def _plan_losses_grad(g: Array, log_probs: Array) -> Callable[[Array, Array, Array], Array]:
    rows, dtype, work, step = _rows(log_probs.shape), g.dtype, log_probs.size * COST, g.strides[0] // g.itemsize
    make, entry = maker(log_probs.shape, dtype), _cross_entropy_grad[dtype]
    chunks = -(-rows.total // rows.each) if rows.k else 0

    def run(g: Array, log_probs: Array, target: Array) -> Array:
        out = make()
        entry(chunks, work, (g, step, log_probs, in_order(target), out, rows))
        return out

    return run


_losses: Plans[Callable[[Array, Array], tuple[Array, Array]]] = Plans(_plan_losses)
_losses_grad: Plans[Callable[[Array, Array, Array], Array]] = Plans(_plan_losses_grad)


def cross_entropy(logits: Array, target: Array) -> tuple[Array, Array]:
    """See Backend.cross_entropy."""
    return _losses.find((logits.dtype, logits.shape), logits)(logits, target)


def cross_entropy_grad(g: Array, log_probs: Array, target: Array) -> Array:
    """See Backend.cross_entropy_grad."""
    return _losses_grad.find((g.dtype, g.strides, log_probs.shape), g, log_probs)(g, log_probs, target)
