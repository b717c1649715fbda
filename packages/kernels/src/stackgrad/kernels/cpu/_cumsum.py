"""Running sums. Those of floats are float64 with their accumulated rounding error."""

from __future__ import annotations

import numpy as np

from stackgrad.tensor._types import HostArray as Array

from .._index import around
from ._channels_last import fill_with, in_order
from ._kernel import kernel
from ._memory import empty
from ._numba import types
from ._parts import add_exactly
from ._pointers import Memory, load, store

COLUMNS = 128  # of b in one chunk


@kernel(lambda T: (Memory(T), Memory(T), types.intp, types.intp))
def _of_integers(a, x, out, k, b):
    """Running sums of x[a] (k, b) along k."""
    start = a * k * b
    for column in range(start, start + b):
        store(out, column, load(x, column))
    for i in range(start + b, start + k * b):
        store(out, i, load(out, i - b) + load(x, i))


@kernel(lambda T: (Memory(T), Memory(T), Memory(types.float64), types.intp, types.intp))
def _of_floats(chunk, x, out, kept, k, b):
    """Running sums of COLUMNS columns of x (a, k, b) along k; `kept` has room for a sum and its error for each."""
    T = type(load(x, 0))
    if b == 1:
        total, lost = 0.0, 0.0
        for i in range(chunk * k, (chunk + 1) * k):
            total, lost = add_exactly(total, lost, np.float64(load(x, i)))
            store(out, i, T(total + lost))
        return
    across = (b + COLUMNS - 1) // COLUMNS
    left = chunk % across * COLUMNS
    start, totals = chunk // across * k * b + left, chunk * 2 * COLUMNS
    fill_with(kept, totals, totals + 2 * COLUMNS, 0)
    for i in range(start, start + k * b, b):
        for column in range(min(COLUMNS, b - left)):
            at = totals + column
            value = np.float64(load(x, i + column))
            total, lost = add_exactly(load(kept, at), load(kept, at + COLUMNS), value)
            store(kept, at, total)
            store(kept, at + COLUMNS, lost)
            store(out, i + column, T(total + lost))


def cumsum(a: Array, dim: int) -> Array:
    """See Backend.cumsum."""
    flat, (outer, k, b) = in_order(a).reshape(-1), around(a.shape, dim)
    out = empty(a.shape, a.dtype)
    if out.size and a.dtype.kind == "f":
        chunks = outer * -(-b // COLUMNS)
        kept = empty(chunks * 2 * COLUMNS if b > 1 else 0, np.float64)
        _of_floats[a.dtype](chunks, a.size, (flat, out.reshape(-1), kept, k, b))
    elif out.size:
        _of_integers[a.dtype](outer, a.size, (flat, out.reshape(-1), k, b))
    return out
