"""Matrix products by tiles, see `_tile`: a (*batch, n, k) times b (*batch, k, m).

    blocks     |matrix 0: tile 0, 1, 2 ... by rows|matrix 1|...|  and all of these again for the next piece of k

    step       a |ROWS x DEPTH|, b |DEPTH x COLUMNS|  to shared memory. Adjacent threads read adjacent elements:
               along k or across it, whichever has the smaller stride

Operands may have any strides. Elements beyond an edge are read as 0.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from stackgrad.tensor import OPS

from ._array import DeviceArray, empty, permute
from ._driver import cuda, inlined
from ._kernel import T, int64, integers, named, pointer
from ._math import compile_scalar
from ._strides import RANK, divide, offset_of, parts
from ._tile import ALIGNMENT, TiledKernels, after_of, cut, epilogue, form_for, joined

# Placeholders: each form of the tile has its own, see `Form.globals`.
ROWS = COLUMNS = DEPTH = DOWN = ACROSS = THREADS = SUMS = 1
LEFT_PITCH = RIGHT_PITCH = LEFT_SIZE = RIGHT_SIZE = LEFT_EACH = RIGHT_EACH = 1
_corner: Any = None
_row_of: Any = None
_column_of: Any = None
_multiply_add: Any = None

_relu = compile_scalar(OPS["relu"].scalar)


@inlined
def _first_read(thread, extent, depth, threads, along):
    """The first index of a thread in a tile (extent, depth), and the strides to its next elements."""
    if along:
        return thread // depth, thread % depth, threads // depth, 0
    return thread % extent, thread // extent, 0, threads // extent


class Factor(NamedTuple):
    """An operand: its memory, and its strides for the batch, for a row of a or a column of b, and along k."""

    array: Any
    batch: Any
    side: Any
    depth: Any


class Extents(NamedTuple):
    """The batch's extents; a is (n, k), b is (k, m); sums are cut into pieces of k."""

    batch: Any
    n: Any
    m: Any
    k: Any
    piece: Any


def _product_arguments(T):
    factor = named(Factor, pointer(T), integers(RANK), int64, int64)
    return factor, factor, after_of(T), pointer(T), named(Extents, integers(RANK), int64, int64, int64, int64)


def _product(a, b, after, out, of):
    """out (pieces, *batch, n, m) from operands of any strides."""
    batch, n, m, k, piece = of.batch, of.n, of.m, of.k, of.piece
    left = cuda.shared.array(LEFT_SIZE, T, alignment=ALIGNMENT)
    right = cuda.shared.array(RIGHT_SIZE, T, alignment=ALIGNMENT)
    next_left = cuda.local.array(LEFT_EACH, T)
    next_right = cuda.local.array(RIGHT_EACH, T)
    ours = cuda.local.array(DOWN, T)
    theirs = cuda.local.array(ACROSS, T)
    sums = cuda.local.array(SUMS, T)
    for i in range(SUMS):
        sums[i] = T(0)

    down, across = divide(n + ROWS - 1, ROWS), divide(m + COLUMNS - 1, COLUMNS)
    at = cuda.blockIdx.x
    tiles = divide(at, across)
    matrix = divide(tiles, down)
    first_row, first_column = (tiles - matrix * down) * ROWS, (at - tiles * across) * COLUMNS
    matrices = batch[0] * batch[1] * batch[2] * batch[3]
    start = divide(matrix, matrices)
    element = matrix - start * matrices
    start *= piece
    rows, columns = np.int32(min(ROWS, n - first_row)), np.int32(min(COLUMNS, m - first_column))

    thread = cuda.threadIdx.x
    row, row_d, row_by, row_d_by = _first_read(thread, ROWS, DEPTH, THREADS, abs(a.depth) <= abs(a.side))
    column, column_d, column_by, column_d_by = _first_read(thread, COLUMNS, DEPTH, THREADS, abs(b.depth) <= abs(b.side))
    from_a = offset_of(element, batch, a.batch) + (first_row + row) * a.side + (start + row_d) * a.depth
    from_b = offset_of(element, batch, b.batch) + (first_column + column) * b.side + (start + column_d) * b.depth
    a_by, b_by = row_by * a.side + row_d_by * a.depth, column_by * b.side + column_d_by * b.depth
    to_left, left_by = row_d * LEFT_PITCH + row, row_d_by * LEFT_PITCH + row_by
    to_right, right_by = column_d * RIGHT_PITCH + column, column_d_by * RIGHT_PITCH + column_by
    top, side = _corner(thread)

    end = min(start + piece, k)
    buffer = 0
    depth = start - DEPTH
    while depth < end:
        if depth + DEPTH < end:
            deep = np.int32(min(DEPTH, end - depth - DEPTH))
            for i in range(LEFT_EACH):
                inside = np.int32(row + i * row_by) < rows and np.int32(row_d + i * row_d_by) < deep
                next_left[i] = a.array[from_a + i * a_by] if inside else T(0)
            for i in range(RIGHT_EACH):
                inside = np.int32(column + i * column_by) < columns and np.int32(column_d + i * column_d_by) < deep
                next_right[i] = b.array[from_b + i * b_by] if inside else T(0)
            from_a += DEPTH * a.depth
            from_b += DEPTH * b.depth
        if depth >= start:
            _multiply_add(left, right, buffer, top, side, ours, theirs, sums)
            buffer = 1 - buffer
        if depth + DEPTH < end:
            for i in range(LEFT_EACH):
                left[np.uint64(buffer * DEPTH * LEFT_PITCH + to_left + i * left_by)] = next_left[i]
            for i in range(RIGHT_EACH):
                right[np.uint64(buffer * DEPTH * RIGHT_PITCH + to_right + i * right_by)] = next_right[i]
            cuda.syncthreads()
        depth += DEPTH

    if after.biased:
        for v in range(ACROSS):
            if _column_of(side, v) < columns:
                shift = after.bias[first_column + _column_of(side, v)]
                for u in range(DOWN):
                    sums[u * ACROSS + v] += shift
    if after.relu:
        for i in range(SUMS):
            sums[i] = _relu(sums[i], sums[i], sums[i])
    to = (matrix * n + first_row) * m + first_column
    for u in range(DOWN):
        for v in range(ACROSS):
            if _row_of(top, u) < rows and _column_of(side, v) < columns:
                out[to + _row_of(top, u) * m + _column_of(side, v)] = sums[u * ACROSS + v]


_PRODUCT = TiledKernels(_product, _product_arguments, integers=True)


def matmul(a: DeviceArray, b: DeviceArray) -> DeviceArray:
    """See Backend.matmul."""
    return _multiply(a, b, None, relu=False)


def linear(x: DeviceArray, weight: DeviceArray, bias: DeviceArray | None, relu: bool) -> DeviceArray:
    """See Backend.linear."""
    return _multiply(x, permute(weight, (1, 0)), bias, relu)


def _multiply(a: DeviceArray, b: DeviceArray, bias: DeviceArray | None, relu: bool) -> DeviceArray:
    *shape, n, k = a.shape
    m, batch, dtype = b.shape[-1], tuple(shape), a.dtype
    form = form_for(dtype, n, m, k, math.prod(batch))
    tiles = math.prod(batch) * form.tiles(n, m)
    cuts, piece = cut(form, tiles, k)
    out = empty((cuts, *batch, n, m), dtype)
    walked = list(parts([a, b, out], batch, [a.strides[:-2], b.strides[:-2], out.strides[1:-2]])) if tiles else []
    if len(walked) > 1 and cuts > 1:
        cuts, piece, out = 1, max(k, 1), out.view((1, *out.shape[1:]), out.strides)
    after = epilogue(bias, relu, cuts, out)
    for (x, y, to), inner in walked:
        left = Factor(x, x.strides, *a.strides[-2:])
        right = Factor(y, y.strides, b.strides[-1], b.strides[-2])
        blocks = cuts * math.prod(inner) * form.tiles(n, m)
        _PRODUCT.launch(form, dtype, blocks, left, right, after, to, Extents(inner, n, m, k, piece))
    return joined(out, bias, relu)
