"""Matrix product in tiles held in registers.

    out (n, m) = a (n, k) times b (k, m)

b is packed into panels of COLUMNS columns, each panel (k, COLUMNS) in one piece, zeros beyond m. Panel after panel, the
rows of a go by in tiles of ROWS x COLUMNS that stay in registers over all k:

                 panel
                +-----+-----+-----+
    b      k    |     |     |     |
                +-----+-----+-----+
         k
        +---+   +-----+-----+-----+
    a   |   |   | tile|     |     |  ROWS
        |   |   +-----+-----+-----+         out
        +---+   |     |     |     |
                +-----+-----+-----+
                COLUMNS

Where a fits into the second-level cache, a chunk is one panel by all rows, or by a part of them: it packs the panel by
itself, DEPTH rows of b at a time, which stay in the first-level cache, and puts tiles aside between them. For a larger
a all panels are packed first, and a chunk is a block of rows by PANELS panels.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import types
from numpy.typing import NDArray

from stackgrad.tensor import OPS
from stackgrad.tensor._plans import Plans

from ._channels_last import fill_with, in_order
from ._elementwise import elementwise
from ._kernel import Kernel, helper, kernel, rebind
from ._memory import empty
from ._parallel import MULTIPLY_ADDS, is_small
from ._parts import PRODUCTS, sum_of
from ._pointers import VECTOR_BYTES, lanes_of, load, on_stack, store
from ._simd import lanes, tile_from_row, tile_load, tile_multiply_add, tile_of_columns, tile_relu, tile_store

Array = NDArray[Any]

ROWS, VECTORS = 6, 2  # of a tile; fewer rows than these go by one at a time
COLUMNS = VECTORS * VECTOR_BYTES // 4  # of float32, half as many of float64
SMALL = 131_072  # elements of an a that is read again for each panel: 512 kB
DEPTH = 256
LONGEST = 504  # rows of such an a in a chunk
PANEL, TILES = DEPTH * COLUMNS, LONGEST * COLUMNS
FEWEST = 6  # chunks, if more than a few rows would be left for each
PANELS = 16
# Rows of a chunk, where there are so many chunks: with more rows a panel is read less often, with fewer all are busy.
BLOCK_ROWS = ((96, 64), (24, 16), (12, 0))


@helper
def _fill(panel, at, b, start, row_step, column_step, rows, used):
    """Fill `rows` rows of a panel, which begins at panel[at], from b[start] on; zeros beyond the `used` columns."""
    lanes, columns = lanes_of(b), VECTORS * lanes_of(b)
    if column_step == 1 and used == columns:
        for i in range(rows):
            row = tile_load(b, start + i * row_step, 0, 1, VECTORS)
            tile_store(row, panel, at + i * columns, 0, 0, 1, columns, False)
        return
    whole = used // lanes * lanes if row_step == 1 and rows >= lanes else 0
    for j in range(0, whole, lanes):
        for first in range(0, rows, lanes):
            i = min(first, rows - lanes)
            tile = tile_of_columns(b, start + i + j * column_step, column_step)
            tile_store(tile, panel, at + i * columns + j, columns, 0, lanes, lanes, False)
    for i in range(rows if whole < columns else 0):
        for j in range(whole, used):
            store(panel, at + i * columns + j, load(b, start + i * row_step + j * column_step))
        for j in range(used, columns):
            store(panel, at + i * columns + j, 0)


@kernel(lambda T: (T[::1], *[types.intp] * 3, T[::1], *[types.intp] * 2))
def _pack(panel, b, batch_step, row_step, column_step, packed, k, m):
    """One panel of one matrix of the flat b, to its place in packed."""
    columns = VECTORS * lanes_of(b)
    panels = (m + columns - 1) // columns
    column = panel % panels * columns
    start = panel // panels * batch_step + column * column_step
    _fill(packed, panel * k * columns, b, start, row_step, column_step, k, min(columns, m - column))


# fmt: off
def _multiply(
    chunk, a, a_batch, a_row, a_column, b, b_batch, b_row, b_column, bias, packed, out, n, m, k, depth, block, together,
    relu,
):
    # fmt: on
    """`block` rows by `together` panels; chunks count these within the blocks within the batches.

    Without `packed`, panels are filled here, `depth` rows at a time. The last tile of a matrix overlaps the one before
    it, whose rows it computes again, to the same bits.
    """
    columns = VECTORS * lanes_of(a)
    panels = (m + columns - 1) // columns
    across, down = (panels + together - 1) // together, (n + block - 1) // block
    batch, row0, panel0 = chunk // (across * down), chunk // across % down * block, chunk % across * together
    own, begun, first_row = on_stack(a, PANEL), on_stack(a, TILES), on_stack(a, COLUMNS)
    for panel in range(panel0, min(panels, panel0 + together)):
        column = panel * columns
        for j in range(columns):
            store(first_row, j, load(bias, column + j) if column + j < bias.size else 0)
        for done in range(0, max(1, k), depth):  # once for no columns of a: the bias
            if packed.size:
                weights, start = packed, (batch * panels + panel) * k * columns
            else:
                weights, start = own, 0
                at = batch * b_batch + done * b_row + column * b_column
                _fill(own, 0, b, at, b_row, b_column, min(depth, k - done), min(columns, m - column))
            for first in range(row0, min(n, row0 + block), ROWS):
                row, aside = min(first, n - ROWS), (first - row0) * columns
                if done == 0:
                    tile = tile_from_row(first_row, 0, ROWS, VECTORS)
                else:
                    tile = tile_load(begun, aside, columns, ROWS, VECTORS)
                i, w = batch * a_batch + row * a_row + done * a_column, start
                for _ in range(min(depth, k - done)):
                    tile = tile_multiply_add(tile, a, i, a_row, weights, w)
                    i += a_column
                    w += columns
                if done + depth < k:
                    tile_store(tile, begun, aside, columns, 0, ROWS, columns, False)
                else:
                    if relu:
                        tile = tile_relu(tile)
                    tile_store(tile, out, (batch * n + row) * m + column, m, 0, ROWS, m - column, False)


_MULTIPLY = {
    rows: Kernel(
        rebind(_multiply, f"_multiply_{rows}x2", ROWS=rows),
        lambda T: (*[T[::1], *[types.intp] * 3] * 2, T[::1], T[::1], T[::1], *[types.intp] * 6, types.boolean),
    )
    for rows in (ROWS, 1)
}


def linear(x: NDArray[Any], weight: NDArray[Any], bias: NDArray[Any] | None, relu: bool) -> NDArray[Any]:
    """See Backend.linear."""
    return matmul(x, weight.T, bias, relu)


def matmul(a: NDArray[Any], b: NDArray[Any], bias: NDArray[Any] | None = None, relu: bool = False) -> NDArray[Any]:
    """(*batch, n, k) times (*batch, k, m), plus bias (m,): (*batch, n, m) in C order. Operands may have any strides.

    With `relu`, what is below 0 is 0. Of more than PRODUCTS, k is cut into pieces.
    """
    if a.dtype.kind == "i":
        return _of_integers(a, b)
    k = a.shape[-1]
    if k <= PRODUCTS:
        return _matmul(a, b, bias, relu)
    length = -(-k // -(-k // PRODUCTS))
    cuts = [slice(first, first + length) for first in range(0, k, length)]
    out = sum_of(_matmul(a[..., cut], b[..., cut, :], None, False) for cut in cuts)
    if bias is not None:
        out = elementwise(OPS["add"], out, bias)
    return elementwise(OPS["relu"], out) if relu else out


def _matmul(a: NDArray[Any], b: NDArray[Any], bias: NDArray[Any] | None, relu: bool) -> NDArray[Any]:
    batch_shape, n, k, m = a.shape[:-2], a.shape[-2], a.shape[-1], b.shape[-1]
    batch = math.prod(batch_shape)
    out = empty((*batch_shape, n, m), a.dtype)
    if not out.size:
        return out
    flat_b, *b_steps = _flat(b)
    if batch > 1 and not b_steps[0]:  # one b for all rows
        a, batch, n = in_order(a).reshape(batch * n, k), 1, batch * n
    flat_a, *a_steps = _flat(a)
    flat_bias = np.empty(0, a.dtype) if bias is None else in_order(bias)
    columns = VECTORS * lanes(a.dtype)
    chunks, work, panels, together, depth, block = _plans.find((batch, n, k, m, columns), batch, n, k, m, columns)
    packed = empty(batch * panels * k * columns, a.dtype)
    if panels:
        _pack[a.dtype](batch * panels, packed.size, (flat_b, *b_steps, packed, k, m))
    shared = (flat_a, *a_steps, flat_b, *b_steps, flat_bias, packed, out.reshape(-1), n, m, k, depth, block, together)
    _MULTIPLY[ROWS if n >= ROWS else 1][a.dtype](chunks, work, (*shared, relu))
    return out


class _Plan(NamedTuple):
    """How often the kernel runs, how much work that is, how many panels of b are packed before, and what a chunk does.

    A chunk is `together` panels by a block of rows, `depth` of k at a time.
    """

    chunks: int
    work: int
    packed: int
    together: int
    depth: int
    block: int


def _plan(batch: int, n: int, k: int, m: int, columns: int) -> _Plan:
    panels = -(-m // columns)
    work = batch * (n + ROWS) * m * k // MULTIPLY_ADDS  # a panel takes as long to fill as a tile
    if n * k <= SMALL:
        enough = 1 if is_small(work) else -(-FEWEST // (batch * panels))
        down = max(-(-n // LONGEST), min(-(-n // (4 * ROWS)), enough))
        block = -(-n // (down * ROWS)) * ROWS
        return _Plan(batch * -(-n // block) * panels, work, 0, 1, -(-k // -(-k // DEPTH)) if k else 1, block)
    chunks_of = {block: batch * -(-n // block) * -(-panels // PANELS) for block, _ in BLOCK_ROWS}
    block = next(block for block, enough in BLOCK_ROWS if chunks_of[block] >= enough)
    return _Plan(chunks_of[block], work, panels, PANELS, k, block)


_plans: Plans[_Plan] = Plans(_plan)


@kernel(lambda T: (T[::1], T[::1], T[::1], *[types.intp] * 4))
def _multiply_integers(row, a, b, out, n, k, m, step):
    """A row of (n, m) of one of the matrices of `out`; `step` lies between those of b."""
    first, to = row // n * step, row * m
    fill_with(out, to, to + m, 0)
    for i in range(k):
        factor = load(a, row * k + i)
        for j in range(m):
            store(out, to + j, load(out, to + j) + factor * load(b, first + i * m + j))


def _of_integers(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    n, k, m = a.shape[-2], a.shape[-1], b.shape[-1]
    out = empty((*a.shape[:-2], n, m), a.dtype)
    if out.size:
        repeated = b.ndim > 2 and not any(b.strides[:-2])
        flat_b = in_order(b[(0,) * (b.ndim - 2)] if repeated else b).reshape(-1)
        shared = (in_order(a).reshape(-1), flat_b, out.reshape(-1), n, k, m, 0 if repeated else k * m)
        _multiply_integers[a.dtype](out.size // m, out.size * k, shared)
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
