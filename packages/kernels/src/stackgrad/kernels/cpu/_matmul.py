"""Matrix product in tiles held in registers.

    out (n, m) = a (n, k) times b (k, m)

b is packed into panels of COLUMNS columns, each panel (k, COLUMNS) in one piece, zeros beyond m. A chunk is a block of
rows by BLOCK_COLUMNS columns of out; chunks run in parallel. Within a chunk, panel after panel, the rows
go by in tiles of ROWS x COLUMNS that stay in registers over all k:

                 panel
                +-----+-----+-----+
    b      k    |     |     |     |
                +-----+-----+-----+
         k
        +---+   +-----+-----+-----+
    a   |   |   | tile|     |     |  ROWS
        |   |   +-----+-----+-----+         out: one chunk
        +---+   |     |     |     |
                +-----+-----+-----+
                COLUMNS
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from ._buffers import empty
from ._jit import kernel
from ._layout import in_order
from ._memory import lanes_of, load, store
from ._parallel import MULTIPLY_ADDS, SERIAL, STRIDED
from ._simd import lanes, tile_from_row, tile_load, tile_multiply_add, tile_of_columns, tile_relu, tile_store

ROWS = 6
VECTORS = 2
BLOCK_COLUMNS = 256
# Rows of a chunk, where there are so many chunks: with more rows a panel is read less often, with fewer all are busy.
BLOCK_ROWS = ((96, 64), (24, 16), (12, 0))


@kernel(lambda T: (T[::1], *[types.intp] * 3, T[::1], *[types.intp] * 3, T[::1]))
def _pack(panel, b, batch_step, row_step, column_step, bias, k, m, columns, packed):
    """Copy one panel of one matrix of the flat b to its place in packed, zeros beyond m; the bias comes last."""
    panels = (m + columns - 1) // columns
    start, first, at = panel // panels * batch_step, panel % panels * columns, panel * k * columns
    width = min(columns, m - first)
    if column_step == 1 and width == VECTORS * lanes_of(b):
        for i in range(k):
            row = tile_load(b, start + i * row_step + first, 0, 1, VECTORS)
            tile_store(row, packed, at + i * columns, 0, 0, 1, VECTORS * lanes_of(b), False)
    else:
        lanes = lanes_of(b)
        whole = width // lanes * lanes if row_step == 1 and k >= lanes else 0
        for j in range(0, whole, lanes):
            for i in range(0, k, lanes):
                row = min(i, k - lanes)
                tile = tile_of_columns(b, start + row + (first + j) * column_step, column_step)
                tile_store(tile, packed, at + row * columns + j, columns, 0, lanes, lanes, False)
        for i in range(k if whole < columns else 0):
            for j in range(whole, width):
                store(packed, at + i * columns + j, load(b, start + i * row_step + (first + j) * column_step))
            for j in range(width, columns):
                store(packed, at + i * columns + j, 0)
    if panel < panels:
        last = packed.size - panels * columns
        for j in range(first, first + columns):
            store(packed, last + j, load(bias, j) if j < bias.size else 0)


@kernel(lambda T: (T[::1], *[types.intp] * 3, T[::1], types.intp, T[::1], *[types.intp] * 5, types.boolean))
def _multiply(chunk, a, batch_step, row_step, column_step, packed, packed_step, out, n, m, k, columns, block, relu):
    """One chunk of out, `block` rows; chunks count columns within rows within batches.

    The last tile of a matrix overlaps the one before it, whose rows it computes again, to the same bits.
    """
    across, down = (m + BLOCK_COLUMNS - 1) // BLOCK_COLUMNS, (n + block - 1) // block
    batch, row0, column0 = chunk // (across * down), chunk // across % down * block, chunk % across * BLOCK_COLUMNS
    bias = packed.size - (m + columns - 1) // columns * columns
    for column in range(column0, min(m, column0 + BLOCK_COLUMNS), columns):
        start = batch * packed_step + column * k
        if n < ROWS:
            for row in range(n):
                i, w = batch * batch_step + row * row_step, start
                line = tile_from_row(packed, bias + column, 1, VECTORS)
                for _ in range(k):
                    line = tile_multiply_add(line, a, i, row_step, packed, w)
                    i += column_step
                    w += columns
                if relu:
                    line = tile_relu(line)
                tile_store(line, out, (batch * n + row) * m + column, m, 0, 1, m - column, False)
            continue
        for first in range(row0, min(n, row0 + block), ROWS):
            row = min(first, n - ROWS)
            i, w = batch * batch_step + row * row_step, start
            tile = tile_from_row(packed, bias + column, ROWS, VECTORS)
            for _ in range(k):
                tile = tile_multiply_add(tile, a, i, row_step, packed, w)
                i += column_step
                w += columns
            if relu:
                tile = tile_relu(tile)
            tile_store(tile, out, (batch * n + row) * m + column, m, 0, ROWS, m - column, False)


def linear(x: NDArray[Any], weight: NDArray[Any], bias: NDArray[Any] | None) -> NDArray[Any]:
    """See Backend.linear."""
    return matmul(x, weight.T, bias)


def linear_relu(x: NDArray[Any], weight: NDArray[Any], bias: NDArray[Any] | None) -> NDArray[Any]:
    """See Backend.linear_relu."""
    return matmul(x, weight.T, bias, relu=True)


def matmul(a: NDArray[Any], b: NDArray[Any], bias: NDArray[Any] | None = None, relu: bool = False) -> NDArray[Any]:
    """(*batch, n, k) times (*batch, k, m), plus bias (m,): (*batch, n, m) in C order. Operands may have any strides.

    With `relu`, what is below 0 is 0.
    """
    batch_shape, n, k, m = a.shape[:-2], a.shape[-2], a.shape[-1], b.shape[-1]
    batch = math.prod(batch_shape)
    out = empty((*batch_shape, n, m), a.dtype)
    if not out.size:
        return out
    columns = VECTORS * lanes(a.dtype)
    flat_a, *a_steps = _flat(a)
    flat_b, b_step, b_row, b_column = _flat(b)
    panels = -(-m // columns)
    pieces = panels * (batch if b_step else 1)  # a b that all batches share is packed once
    packed = empty(pieces * columns * k + panels * columns, a.dtype)
    flat_bias = np.empty(0, a.dtype) if bias is None else in_order(bias)
    alone = packed.size * (1 if 1 in (b_row, b_column) else STRIDED) < SERIAL
    _pack[a.dtype](pieces, alone, (flat_b, b_step, b_row, b_column, flat_bias, k, m, columns, packed))
    chunks_of = {block: batch * -(-n // block) * -(-m // BLOCK_COLUMNS) for block, _ in BLOCK_ROWS}
    block = next(block for block, enough in BLOCK_ROWS if chunks_of[block] >= enough)
    serial = batch * n * m * k < SERIAL * MULTIPLY_ADDS
    packed_step = panels * columns * k if b_step else 0
    shared = (flat_a, *a_steps, packed, packed_step, out.reshape(-1), n, m, k, columns, block, relu)
    _multiply[a.dtype](chunks_of[block], serial, shared)
    return out


def _flat(x: NDArray[Any]) -> tuple[NDArray[Any], int, int, int]:
    """The elements of (*batch, rows, columns) in one flat array, and the steps between batches, rows and columns.

    Without a copy when each matrix is in C order or transposed, and the batches follow one another or repeat.
    """
    rows, columns = x.shape[-2:]
    repeated = x.ndim > 2 and not any(x.strides[:-2])
    if repeated:
        x = x[(0,) * (x.ndim - 2)]
    step = 0 if repeated else rows * columns
    if x.flags.c_contiguous:
        return x.reshape(-1), step, columns, 1
    turned = x.swapaxes(-1, -2)
    if turned.flags.c_contiguous:
        return turned.reshape(-1), step, 1, rows
    return in_order(x).reshape(-1), step, columns, 1
