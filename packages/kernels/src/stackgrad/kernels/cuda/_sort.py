"""Sorting rows: a stable merge sort, whose runs double in length.

Each element finds its position in the merged run on its own: it follows the elements before it in its own run and those
of the other run that belong before it, which it counts by binary search:

    runs        |1 4 7 9|2 4 5 8|
    merged      |1 2 4 4 5 7 8 9|      the right 4: one before it in its run, two in the left one
"""

from __future__ import annotations

import numpy as np

from ._array import DeviceArray, empty
from ._copy import copy
from ._driver import cuda, inlined
from ._kernel import cover, int64, kernel, pointer
from ._strides import divide

_INT64 = np.dtype("int64")


@inlined
def _before(a, b, descending):
    """Whether a, which follows b, must move before it. NaN counts as larger than all other values."""
    if descending:
        return a > b or (a != a and b == b)
    return a < b or (b != b and a == a)


@inlined
def _count_before(keys, start, end, key, with_equals, descending):
    """The number of sorted keys from `start` to `end` that belong before `key`."""
    low = start
    high = end
    while low < high:
        middle = (low + high) >> 1
        here = keys[middle]
        if (with_equals and not _before(key, here, descending)) or _before(here, key, descending):
            low = middle + 1
        else:
            high = middle
    return low - start


@kernel(lambda T: (pointer(int64), int64, int64), dtypes="i")
def _count_along(order, k, n):
    """Write 0 .. k - 1 to each row."""
    i = cuda.grid(1)
    while i < n:
        order[i] = i - divide(i, k) * k
        i += cuda.gridsize(1)


@kernel(lambda T: (pointer(T), pointer(int64), pointer(T), pointer(int64), *[int64] * 4), dtypes="if")
def _merge(keys, order, to_keys, to_order, width, k, descending, n):
    """Merge pairs of runs of `width` keys, in rows of k keys; n keys in all."""
    i = cuda.grid(1)
    while i < n:
        row = divide(i, k) * k
        run = divide(i - row, width)
        own = row + run * width
        other = row + (run ^ 1) * width
        end = row + k
        key = keys[i]
        count = _count_before(keys, min(other, end), min(other + width, end), key, run & 1, descending)
        to = min(own, other) + (i - own) + count
        to_keys[to] = key
        to_order[to] = order[i]
        i += cuda.gridsize(1)


def argsort(a: DeviceArray, descending: bool) -> DeviceArray:
    """See Backend.argsort."""
    k, n = a.shape[1], a.size
    keys, order = copy(a), empty(a.shape, _INT64)
    if not n:
        return order
    _count_along[_INT64](cover(n), order, k, n)
    width = 1
    while width < k:
        others = empty(a.shape, a.dtype), empty(a.shape, _INT64)
        _merge[a.dtype](cover(n), keys, order, *others, width, k, int(descending), n)
        keys, order = others
        width *= 2
    return order
