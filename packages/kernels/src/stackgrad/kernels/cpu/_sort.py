"""Sorting rows, stably: insertion sort for short runs, then merges of two runs."""

from __future__ import annotations

import numpy as np

from stackgrad.tensor._types import HostArray as Array

from ._copy import copy
from ._kernel import kernel
from ._memory import empty
from ._numba import helper, types
from ._parallel import CHUNK, STRIDED
from ._pointers import Memory, load, store

RUN = 16  # elements of a run that insertion sorts


@helper
def _before(a, b, descending):
    """Whether a, which follows b, must move before it. NaN counts as larger than all other values."""
    if descending:
        return a > b or (a != a and b == b)
    return a < b or (b != b and a == a)


@helper
def _insert(keys, order, start, end, descending):
    """Sort the keys from `start` to `end`, and `order` with them."""
    for i in range(start + 1, end):
        key, index, at = load(keys, i), load(order, i), i
        while at > start and _before(key, load(keys, at - 1), descending):
            store(keys, at, load(keys, at - 1))
            store(order, at, load(order, at - 1))
            at -= 1
        store(keys, at, key)
        store(order, at, index)


@helper
def _merge(keys, order, to_keys, to_order, left, right, end, descending):
    """Merge the runs from `left` to `right` and from `right` to `end`."""
    i, j = left, right
    for to in range(left, end):
        if i == right or (j < end and _before(load(keys, j), load(keys, i), descending)):
            source = j
            j += 1
        else:
            source = i
            i += 1
        store(to_keys, to, load(keys, source))
        store(to_order, to, load(order, source))


@helper
def _sort_row(keys, order, other_keys, other_order, first, last, descending):
    """Sort a row. After an odd number of merges the result is in the other two arrays."""
    for i in range(first, last):
        store(order, i, i - first)
    for start in range(first, last, RUN):
        _insert(keys, order, start, min(start + RUN, last), descending)
    width = RUN
    while width < last - first:
        for start in range(first, last, 2 * width):
            middle = min(start + width, last)
            _merge(keys, order, other_keys, other_order, start, middle, min(middle + width, last), descending)
        keys, other_keys = other_keys, keys
        order, other_order = other_order, order
        width *= 2


@kernel(lambda T: (*[Memory(T), Memory(types.int64)] * 2, *[types.intp] * 3, types.boolean))
def _sort(chunk, keys, order, other_keys, other_order, n, k, rows, descending):
    """Some of n rows of k keys."""
    for row in range(chunk * rows, min((chunk + 1) * rows, n)):
        _sort_row(keys, order, other_keys, other_order, row * k, (row + 1) * k, descending)


def argsort(a: Array, descending: bool) -> Array:
    """See Backend.argsort."""
    n, k = a.shape
    keys, order = copy(a), empty(a.shape, np.int64)
    if not a.size:
        return order
    merges = (-(-k // RUN) - 1).bit_length()
    others = (empty(a.shape, a.dtype), empty(a.shape, np.int64)) if merges else (keys, order)
    rows = max(1, CHUNK // k)
    shared = (*[x.reshape(-1) for x in (keys, order, *others)], n, k, rows, descending)
    _sort[a.dtype](-(-n // rows), a.size * STRIDED * (1 + merges), shared)
    return others[1] if merges % 2 else order
