"""Matrix product in tiles held in registers.

    out (n, m) = a (n, k) times b (k, m)

b is packed into panels of COLUMNS columns, each panel (k, COLUMNS) in one piece, zeros beyond m. A chunk is
BLOCK_ROWS rows by BLOCK_COLUMNS columns of out; chunks run in parallel. Within a chunk, panel after panel, the rows
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
from ._parallel import MULTIPLY_ADDS, SERIAL
from ._simd import lanes, load, store, tile_from_row, tile_multiply_add, tile_store

ROWS = 6
VECTORS = 2
BLOCK_ROWS = 24
BLOCK_COLUMNS = 256


@kernel(lambda T: (T[::1], *[types.intp] * 6, T[::1]))
def _pack(panel, b, batch_step, row_step, column_step, k, m, columns, packed):
    """Copy one panel of one matrix of the flat b to its place in packed, zeros beyond m."""
    panels = (m + columns - 1) // columns
    start, first, at = panel // panels * batch_step, panel % panels * columns, panel * k * columns
    width = min(columns, m - first)
    for i in range(k):
        for j in range(width):
            store(packed, at + i * columns + j, load(b, start + i * row_step + (first + j) * column_step))
        for j in range(width, columns):
            store(packed, at + i * columns + j, 0)


@kernel(lambda T: (T[::1], *[types.intp] * 3, T[::1], T[::1], types.intp, T[::1], T[::1], *[types.intp] * 4))
def _multiply(chunk, a, batch_step, row_step, column_step, rest, packed, packed_step, bias, out, n, m, k, columns):
    """One chunk of out; chunks count columns within rows within batches.

    `rest` (batch, k, ROWS) holds the rows of each matrix's short last tile, zeros beyond n.
    """
    across, down = (m + BLOCK_COLUMNS - 1) // BLOCK_COLUMNS, (n + BLOCK_ROWS - 1) // BLOCK_ROWS
    batch, row0, column0 = chunk // (across * down), chunk // across % down * BLOCK_ROWS, chunk % across * BLOCK_COLUMNS
    for column in range(column0, min(m, column0 + BLOCK_COLUMNS), columns):
        for row in range(row0, min(n, row0 + BLOCK_ROWS), ROWS):
            source, i, step, next_k = a, batch * batch_step + row * row_step, row_step, column_step
            if row + ROWS > n:
                source, i, step, next_k = rest, batch * k * ROWS, 1, ROWS
            w = batch * packed_step + column * k
            tile = tile_from_row(bias, column, ROWS, VECTORS)
            for _ in range(k):
                tile = tile_multiply_add(tile, source, i, step, packed, w)
                i += next_k
                w += columns
            tile_store(tile, out, (batch * n + row) * m + column, m, n - row, m - column)


def linear(x: NDArray[Any], weight: NDArray[Any], bias: NDArray[Any] | None) -> NDArray[Any]:
    """See Backend.linear."""
    return matmul(x, weight.T, bias)


def matmul(a: NDArray[Any], b: NDArray[Any], bias: NDArray[Any] | None = None) -> NDArray[Any]:
    """(*batch, n, k) times (*batch, k, m), plus bias (m,): (*batch, n, m) in C order. Operands may have any strides."""
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
    packed = empty(pieces * columns * k, a.dtype)
    _pack[a.dtype](pieces, packed.size < SERIAL, (flat_b, b_step, b_row, b_column, k, m, columns, packed))
    chunks = batch * -(-n // BLOCK_ROWS) * -(-m // BLOCK_COLUMNS)
    serial = batch * n * m * k < SERIAL * MULTIPLY_ADDS
    packed_step = panels * columns * k if b_step else 0
    start = np.zeros(panels * columns, a.dtype)
    if bias is not None:
        start[:m] = bias
    shared = (flat_a, *a_steps, _short_tiles(a, batch), packed, packed_step, start, out.reshape(-1), n, m, k, columns)
    _multiply[a.dtype](chunks, serial, shared)
    return out


def _short_tiles(a: NDArray[Any], batch: int) -> NDArray[Any]:
    """The last n % ROWS rows of each matrix as (batch, k, ROWS), flat, zeros beyond them."""
    n, k = a.shape[-2:]
    rows = n % ROWS
    if not rows:
        return empty(0, a.dtype)
    rest = np.zeros((batch, k, ROWS), a.dtype)
    rest[:, :, :rows] = a[..., n - rows :, :].swapaxes(-1, -2).reshape(batch, k, rows)
    return rest.reshape(-1)


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
    return np.ascontiguousarray(x).reshape(-1), step, columns, 1
