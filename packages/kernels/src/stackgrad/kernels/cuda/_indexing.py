"""Gather and scatter by row indices, and the indices of true elements.

In a gather each thread copies one element. In a scatter several rows may go to the same one, and their order must not
depend on the timing of threads, or the bits would change from run to run. If there is little work, the thread of each
element of the result goes through all row indices in order:

    index      |2 0 2 1|
    thread     (row 2, column c) adds g[0, c] and g[2, c]

Otherwise the row indices are sorted first, by a stable radix sort with four bits at a time. A thread counts the digits
of its chunk. Running sums over (digit, chunk) give the end of each chunk's part of the result, and the thread moves its
indices there, from the last of the chunk to the first:

    digits     |2 0 2|1 2 0|        chunk 0 has one 0, no 1, two 2; chunk 1 one of each
    counts     |1 1|0 1|2 1|        digit 0 of both chunks, then 1, then 2
    ends       |1 2|2 3|5 6|
    sorted     |0 0 1 2 2 2|
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from stackgrad.tensor._shape import strides_in_order

from ._array import DeviceArray, empty, to_numpy
from ._copy import contiguous, copy, full
from ._cumsum import cumsum
from ._driver import cuda, inlined
from ._kernel import T, cover, either, int64, kernel, named, pointer
from ._math import add
from ._strides import divide

CHUNK = either(64, simulated=5)  # row indices of one thread
DIGITS = 16  # of four bits
FEW = either(2**24, simulated=200)  # comparisons of row indices up to which sorting does not pay

_INT64 = np.dtype("int64")


class Rows(NamedTuple):
    """The number of rows and of elements in a row, and the strides of rows and of elements in a row."""

    count: Any
    k: Any
    step: Any
    step_inside: Any


def _rows_of(a: DeviceArray) -> Rows:
    return Rows(*a.shape, *a.strides)


@kernel(lambda T: (pointer(T), pointer(int64), pointer(T), named(Rows), int64), dtypes="bif")
def _gather(a, index, out, rows, n):
    """Copy row index[i] of `a` to row i of out; zeros for an index out of range."""
    i = cuda.grid(1)
    while i < n:
        j = divide(i, rows.k)
        row = index[j]
        out[i] = a[row * rows.step + (i - j * rows.k) * rows.step_inside] if 0 <= row < rows.count else T(0)
        i += cuda.gridsize(1)


def gather(a: DeviceArray, index: DeviceArray) -> DeviceArray:
    """See Backend.gather."""
    out = empty((index.size, a.shape[1]), a.dtype)
    if out.size:
        _gather[a.dtype](cover(out.size), a, contiguous(index), out, _rows_of(a), out.size)
    return out


# --- order: stable sorting of row indices


@kernel(lambda T: (pointer(int64), pointer(int64), int64, int64, int64), dtypes="i")
def _count_digits(keys, counts, shift, chunks, m):
    """Count each digit, `shift` bits up, of m keys in each chunk: counts (DIGITS, chunks), which must be zero."""
    chunk = cuda.grid(1)
    while chunk < chunks:
        for i in range(chunk * CHUNK, min(m, (chunk + 1) * CHUNK)):
            counts[((keys[i] >> shift) & (DIGITS - 1)) * chunks + chunk] += 1
        chunk += cuda.gridsize(1)


_SORTED = (pointer(int64), pointer(int64), pointer(int64), pointer(int64), pointer(int64), int64, int64, int64)


@kernel(lambda T: _SORTED, dtypes="i")
def _sort_by_digit(keys, order, sorted_keys, sorted_order, ends, shift, chunks, m):
    """Move keys and their order to their positions by one digit; the last of each chunk goes just before `ends`."""
    chunk = cuda.grid(1)
    while chunk < chunks:
        i = min(m, (chunk + 1) * CHUNK) - 1
        while i >= chunk * CHUNK:
            at = ((keys[i] >> shift) & (DIGITS - 1)) * chunks + chunk
            ends[at] -= 1
            sorted_keys[ends[at]] = keys[i]
            sorted_order[ends[at]] = order[i]
            i -= 1
        chunk += cuda.gridsize(1)


@kernel(lambda T: (pointer(int64), int64), dtypes="i")
def _count_up(out, n):
    i = cuda.grid(1)
    while i < n:
        out[i] = i
        i += cuda.gridsize(1)


def _sorted(index: DeviceArray, rows: int) -> tuple[DeviceArray, DeviceArray]:
    """The values of `index`, 0 .. rows - 1, in ascending order, and the original position of each. Stable."""
    m = index.size
    chunks = -(-m // CHUNK)
    order = empty((m,), _INT64)
    _count_up[_INT64](cover(m), order, m)
    for shift in range(0, (rows - 1).bit_length(), 4):
        counts = full((DIGITS * chunks,), 0, _INT64)
        _count_digits[_INT64](cover(chunks), index, counts, shift, chunks, m)
        ends = cumsum(counts, 0)
        sorted_index, sorted_order = empty((m,), _INT64), empty((m,), _INT64)
        arrays = index, order, sorted_index, sorted_order, ends
        _sort_by_digit[_INT64](cover(chunks), *arrays, shift, chunks, m)
        index, order = sorted_index, sorted_order
    return index, order


@inlined
def _first_at_least(keys, m, value):
    """The number of the m sorted keys that are smaller than `value`."""
    low = 0
    high = m
    while low < high:
        middle = (low + high) >> 1
        if keys[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low


# --- scatter


@kernel(lambda T: (pointer(T), pointer(int64), pointer(T), int64, int64, int64), dtypes="if")
def _add_few(g, index, out, m, k, n):
    """Each element of out is the sum over the rows of g (m, k) that belong to its row."""
    i = cuda.grid(1)
    while i < n:
        row = divide(i, k)
        column = i - row * k
        total, lost = T(0), T(0)
        for j in range(m):
            if index[j] == row:
                total, lost = add(total, lost, g[j * k + column])
        out[i] = total
        i += cuda.gridsize(1)


@kernel(lambda T: (pointer(T), pointer(int64), pointer(int64), pointer(T), int64, int64, int64), dtypes="if")
def _add_sorted(g, keys, order, out, m, k, n):
    """Like `_add_few`, with sorted row indices."""
    i = cuda.grid(1)
    while i < n:
        row = divide(i, k)
        column = i - row * k
        total, lost = T(0), T(0)
        j = _first_at_least(keys, m, row)
        while j < m and keys[j] == row:
            total, lost = add(total, lost, g[order[j] * k + column])
            j += 1
        out[i] = total
        i += cuda.gridsize(1)


def scatter_add(g: DeviceArray, index: DeviceArray, rows: int) -> DeviceArray:
    """See Backend.scatter_add."""
    m, k = g.shape
    out = empty((rows, k), g.dtype)
    if not out.size:
        return out
    g, index = contiguous(g), contiguous(index)
    if out.size * m <= FEW:
        _add_few[g.dtype](cover(out.size), g, index, out, m, k, out.size)
    else:
        _add_sorted[g.dtype](cover(out.size), g, *_sorted(index, rows), out, m, k, out.size)
    return out


@kernel(lambda T: (pointer(int64), pointer(int64), pointer(T), pointer(T), named(Rows), int64), dtypes="bif")
def _put_last(keys, order, source, target, rows, n):
    """Write the last source of each row to that row of the target; skip indices out of range. n counts elements."""
    k = rows.k
    i = cuda.grid(1)
    while i < n:
        j = divide(i, k)
        row, column = keys[j], i - j * k
        if 0 <= row < rows.count and (i - column + k == n or keys[j + 1] != row):
            target[row * rows.step + column * rows.step_inside] = source[order[j] * k + column]
        i += cuda.gridsize(1)


def scatter(target: DeviceArray, index: DeviceArray, source: DeviceArray) -> None:
    """See Backend.scatter."""
    if source.size:
        arrays = *_sorted(contiguous(index), target.shape[0]), contiguous(source), target
        _put_last[target.dtype](cover(source.size), *arrays, _rows_of(target), source.size)


# --- nonzero


@kernel(lambda T: (pointer(T), pointer(int64), pointer(int64), int64, int64, int64), dtypes="b")
def _true_coordinates(mask, counts, out, inner, extent, n):
    """Write for each true element its index in the dimension of extent `extent` and stride `inner`."""
    i = cuda.grid(1)
    while i < n:
        if mask[i] != 0:
            outer = divide(i, inner)
            out[counts[i] - 1] = outer - divide(outer, extent) * extent
        i += cuda.gridsize(1)


def nonzero(mask: DeviceArray) -> tuple[DeviceArray, ...]:
    """See Backend.nonzero. It waits for the device, which alone knows the number of true elements."""
    mask = contiguous(mask)
    n = mask.size
    if not n:
        return tuple([empty((0,), _INT64) for _ in mask.shape])
    counts = cumsum(copy(mask.view((n,), (1,)), _INT64), 0)
    found = int(to_numpy(counts.view((1,), (1,), n - 1))[0])
    coordinates = []
    for inner, extent in zip(strides_in_order(mask.shape), mask.shape, strict=True):
        out = empty((found,), _INT64)
        _true_coordinates[mask.dtype](cover(n), mask, counts, out, inner, extent, n)
        coordinates.append(out)
    return tuple(coordinates)
