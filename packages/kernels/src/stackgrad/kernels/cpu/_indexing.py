"""Rows selected by indices: gather, scatter and scatter_add.

For writes, a chunk is a range of rows: it goes through all indices and handles those in its range. So rows with equal
indices are written or added in the order of the indices.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from stackgrad.tensor._types import HostArray as Array

from ._channels_last import in_order
from ._kernel import kernel
from ._memory import empty
from ._numba import types
from ._parallel import CHUNK, is_small
from ._pointers import Memory, load, store, store_at

RANGES = 8  # of rows to write, at most
FEW = 128  # summands, whose rounding error is small


def _rows(T: Any) -> tuple[Any, ...]:
    return Memory(T), Memory(types.int64), Memory(T)


@kernel(lambda T: (*_rows(T), *[types.intp] * 3))
def _gather(chunk, a, index, out, n, k, rows):
    for i in range(chunk * rows, min(n, (chunk + 1) * rows)):
        source = load(index, i) * k
        for j in range(k):
            store(out, i * k + j, load(a, source + j))


@kernel(lambda T: (*_rows(T), *[types.intp] * 4))
def _scatter_add(chunk, g, index, out, n, many, k, rows):
    """n rows of k elements added to those of `many` that are in the range."""
    first, last = chunk * rows, min(many, (chunk + 1) * rows)
    for i in range(first * k, last * k):
        store(out, i, 0)
    for i in range(n):
        row = load(index, i)
        if first <= row < last:
            for j in range(k):
                store(out, row * k + j, load(out, row * k + j) + load(g, i * k + j))


@kernel(lambda T: (*_rows(T), Memory(T), *[types.intp] * 4))
def _scatter_add_many(chunk, g, index, out, lost, n, many, k, rows):
    """Like `_scatter_add`; the rounding error of each sum is carried into its next summand.

    W. Kahan, "Further remarks on reducing truncation errors", Communications of the ACM 8 (1965).
    """
    first, last = chunk * rows, min(many, (chunk + 1) * rows)
    for i in range(first * k, last * k):
        store(out, i, 0)
        store(lost, i, 0)
    for i in range(n):
        row = load(index, i)
        if first <= row < last:
            for j in range(k):
                at = row * k + j
                total = load(out, at)
                value = load(g, i * k + j) - load(lost, at)
                new = total + value
                error = (new - total) - value
                store(out, at, new)
                store(lost, at, error if abs(error) < np.inf else 0)


@kernel(lambda T: (*_rows(T), types.UniTuple(types.intp, 2), *[types.intp] * 3))
def _scatter(chunk, source, index, target, steps, n, k, rows):
    """Write n rows of k elements to those rows of `target`, of any strides, that are in the chunk's range."""
    for i in range(n):
        row = load(index, i)
        if chunk * rows <= row < (chunk + 1) * rows:
            for j in range(k):
                store_at(target, row * steps[0] + j * steps[1], load(source, i * k + j))


def gather(a: Array, index: Array) -> Array:
    """See Backend.gather."""
    k = a.shape[1]
    out = empty((len(index), k), a.dtype)
    if out.size:
        rows = max(1, CHUNK // k)
        shared = (in_order(a).reshape(-1), in_order(index), out.reshape(-1), len(index), k, rows)
        _gather[a.dtype](-(-len(index) // rows), out.size, shared)
    return out


def scatter_add(g: Array, index: Array, rows: int) -> Array:
    """See Backend.scatter_add."""
    out = empty((rows, g.shape[1]), g.dtype)
    if out.size:
        work = out.size + g.size
        chunks, each = _ranges(rows, work)
        operands = (in_order(g).reshape(-1), in_order(index), out.reshape(-1))
        extents = (len(index), rows, g.shape[1], each)
        if len(index) <= FEW or g.dtype.kind != "f":
            _scatter_add[g.dtype](chunks, work, (*operands, *extents))
        else:
            _scatter_add_many[g.dtype](chunks, work, (*operands, empty(out.size, g.dtype), *extents))
    return out


def scatter(target: Array, index: Array, source: Array) -> None:
    """See Backend.scatter."""
    if not target.flags.writeable:  # a kernel does not check
        raise ValueError(f"scatter to an array of shape {target.shape} in read-only memory: copy it first")
    if source.size:
        chunks, each = _ranges(len(target), source.size)
        shared = (
            in_order(source).reshape(-1),
            in_order(index),
            target,
            target.strides,
            len(index),
            target.shape[1],
            each,
        )
        _scatter[target.dtype](chunks, source.size, shared)


def _ranges(rows: int, work: int) -> tuple[int, int]:
    """The number of ranges in which `rows` rows are written, and the rows of each."""
    each = rows if is_small(work) else -(-rows // RANGES)
    return -(-rows // each), each
