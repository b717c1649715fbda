"""Matrix product in tiles held in registers.

    out (n, m) = a (n, k) times b (k, m)

b is packed into panels of COLUMNS columns; each panel (k, COLUMNS) is contiguous, with zeros beyond m. For each panel,
the rows of a are processed in tiles of ROWS x COLUMNS, which stay in registers for all of k:

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

If a fits into the second-level cache, a chunk is one panel by all rows of a, or by a part of them. It packs the panel
itself, DEPTH rows of b at a time, which stay in the first-level cache, and stores the unfinished tiles in between. For
a larger a all panels are packed first, and a chunk is a block of rows by PANELS panels.
"""

from __future__ import annotations

import math
from collections import namedtuple
from collections.abc import Callable

from stackgrad.tensor import OPS
from stackgrad.tensor._plans import Plans
from stackgrad.tensor._types import HostArray as Array

from ._channels_last import fill_with, in_order
from ._elementwise import elementwise
from ._kernel import Kernel, kernel, named, rebind
from ._memory import empty, maker
from ._numba import helper, types
from ._parallel import MULTIPLY_ADDS, is_small
from ._parts import PRODUCTS, sum_of
from ._pointers import Memory, in_register, load, on_stack, store
from ._simd import tile_from_row, tile_load, tile_multiply_add, tile_relu, tile_store
from ._transposed import tile_of_columns
from ._width import WIDE_BYTES, wide_lanes, wide_lanes_of

Run = Callable[[Array, Array, Array | None], Array]

ROWS, VECTORS = 6, 2  # of a tile; an a with fewer rows has tiles of one row
TILE_ROWS = ROWS  # placeholder: each kernel has the rows of its tile
COLUMNS = VECTORS * WIDE_BYTES // 4  # of float32, half as many of float64
SMALL = 131_072  # elements of an a that each panel reads again: 512 kB
DEPTH = 256
LONGEST = 504  # rows of such an a in a chunk
PANEL, TILES = DEPTH * COLUMNS, LONGEST * COLUMNS
FEWEST = 6  # chunks, if each then has more than a few rows
PANELS = 16
# Rows of a chunk, and the chunks it takes to choose them: more rows read panels less often, fewer keep all cores busy.
BLOCK_ROWS = ((96, 64), (24, 16), (12, 0))


@helper
def _fill(panel, at, b, start, row_step, column_step, rows, used):
    """Fill `rows` rows of the panel at panel[at] with those from b[start] on; zeros beyond the `used` columns."""
    lanes, columns = wide_lanes_of(b), VECTORS * wide_lanes_of(b)
    if column_step == 1 and used == columns:
        for i in range(rows):
            row = tile_load(b, start + i * row_step, 0, 1, VECTORS)
            tile_store(row, panel, at + i * columns, 0, 0, 1, columns, False)
        return
    whole = used if row_step == 1 and rows >= lanes else 0
    for j in range(0, whole, lanes):
        for first in range(0, rows, lanes):
            i = min(first, rows - lanes)
            tile = tile_of_columns(b, start + i + j * column_step, column_step, used - j)
            tile_store(tile, panel, at + i * columns + j, columns, 0, lanes, lanes, False)
    for i in range(rows if whole < columns else 0):
        for j in range(whole, used):
            store(panel, at + i * columns + j, load(b, start + i * row_step + j * column_step))
        for j in range(used, columns):
            store(panel, at + i * columns + j, 0)


# The strides in memory from one matrix, row and column to the next.
_Step = namedtuple("_Step", "batch row column")

# a is (n, k), b is (k, m); whether to add a bias and apply relu.
_Extents = namedtuple("_Extents", "n k m biased relu")

# A chunk: `together` panels by a `block` of rows, `depth` of k at a time; whether all of b is `packed` first.
_Cut = namedtuple("_Cut", "packed together depth block")


@kernel(lambda T: (Memory(T), Memory(T), named(_Step), named(_Extents)))
def _pack(panel, b, packed, step, of):
    """Pack one panel of one matrix of b."""
    columns = VECTORS * wide_lanes_of(b)
    panels = (of.m + columns - 1) // columns
    column = panel % panels * columns
    start = panel // panels * step.batch + column * step.column
    _fill(packed, panel * of.k * columns, b, start, step.row, step.column, of.k, min(columns, of.m - column))


def _multiply(chunk, a, b, bias, packed, out, a_step, b_step, of, cut):
    """A block of rows by some panels. Chunk indices run over groups of panels, then blocks of rows, then matrices.

    Unless b is packed, panels are filled here, `depth` rows at a time. The last tile of a matrix overlaps the one
    before it and computes its rows again, to the same bits.
    """
    n, k, m, columns = of.n, of.k, of.m, VECTORS * wide_lanes_of(a)
    panels = (m + columns - 1) // columns
    across, down = (panels + cut.together - 1) // cut.together, (n + cut.block - 1) // cut.block
    batch, row0 = chunk // (across * down), chunk // across % down * cut.block
    panel0 = chunk % across * cut.together
    row_step, column_step = in_register(a_step.row), in_register(a_step.column)
    own, begun, first_row = on_stack(a, PANEL), on_stack(a, TILES), on_stack(a, COLUMNS)
    for panel in range(panel0, min(panels, panel0 + cut.together)):
        column = panel * columns
        fill_with(first_row, 0, columns, 0)
        if of.biased:
            for j in range(min(columns, m - column)):
                store(first_row, j, load(bias, column + j))
        for done in range(0, max(1, k), cut.depth):  # once even if a has no columns: for the bias
            if cut.packed:
                weights, start = packed, (batch * panels + panel) * k * columns
            else:
                weights, start = own, 0
                at = batch * b_step.batch + done * b_step.row + column * b_step.column
                _fill(own, 0, b, at, b_step.row, b_step.column, min(cut.depth, k - done), min(columns, m - column))
            for first in range(row0, min(n, row0 + cut.block), TILE_ROWS):
                row, aside = min(first, n - TILE_ROWS), (first - row0) * columns
                if done == 0:
                    tile = tile_from_row(first_row, 0, TILE_ROWS, VECTORS)
                else:
                    tile = tile_load(begun, aside, columns, TILE_ROWS, VECTORS)
                i, w = batch * a_step.batch + row * row_step + done * column_step, start
                for _ in range(min(cut.depth, k - done)):
                    tile = tile_multiply_add(tile, a, i, row_step, weights, w)
                    i += column_step
                    w += columns
                if done + cut.depth < k:
                    tile_store(tile, begun, aside, columns, 0, TILE_ROWS, columns, False)
                else:
                    if of.relu:
                        tile = tile_relu(tile)
                    tile_store(tile, out, (batch * n + row) * m + column, m, 0, TILE_ROWS, m - column, False)


_MULTIPLY = {
    rows: Kernel(
        rebind(_multiply, f"_multiply_{rows}x{VECTORS}", TILE_ROWS=rows),
        lambda T: (*[Memory(T)] * 5, named(_Step), named(_Step), named(_Extents), named(_Cut)),
    )
    for rows in (ROWS, 1)
}


def linear(x: Array, weight: Array, bias: Array | None, relu: bool) -> Array:
    """See Backend.linear."""
    return matmul(x, weight.T, bias, relu)


def matmul(a: Array, b: Array, bias: Array | None = None, relu: bool = False) -> Array:
    """(*batch, n, k) times (*batch, k, m), plus bias (m,): (*batch, n, m) in C order. Operands may have any strides.

    `relu` applies relu to the result. A k above PRODUCTS is split into parts.
    """
    key = (a.dtype, a.shape, a.strides, b.shape, b.strides, relu)
    return _plans.find(key, a, b, relu)(a, b, bias)


def _plan(a: Array, b: Array, relu: bool) -> Run:
    if a.dtype.kind == "i":
        return lambda a, b, bias: _of_integers(a, b)
    return _by_tiles(a, b, relu) if a.shape[-1] <= PRODUCTS else _in_parts(a.shape[-1], relu)


_plans: Plans[Run] = Plans(_plan)


def _in_parts(k: int, relu: bool) -> Run:
    """The product in parts of k, whose results are added pairwise."""
    length = -(-k // -(-k // PRODUCTS))
    cuts = [slice(first, first + length) for first in range(0, k, length)]

    def run(a: Array, b: Array, bias: Array | None) -> Array:
        out = sum_of(matmul(a[..., cut], b[..., cut, :]) for cut in cuts)
        if bias is not None:
            out = elementwise(OPS["add"], out, bias)
        return elementwise(OPS["relu"], out) if relu else out

    return run


def _by_tiles(a: Array, b: Array, relu: bool) -> Run:
    (*batch_shape, n, k), m, dtype = a.shape, b.shape[-1], a.dtype
    batch, make = math.prod(batch_shape), maker((*batch_shape, n, m), dtype)
    if not batch * n * m:
        return lambda a, b, bias: make()
    (read_a, a_step), (read_b, b_step) = _reading(a), _reading(b)
    if batch > 1 and not b_step.batch:  # one b for all matrices of a
        batch, n, read_a, a_step = 1, batch * n, in_order, _Step(0, k, 1)
    chunks, work, cut = _cut(batch, n, k, m, VECTORS * wide_lanes(dtype))
    extents, bare = _Extents(n, k, m, 1, relu), _Extents(n, k, m, 0, relu)
    panels = batch * -(-m // (VECTORS * wide_lanes(dtype)))
    packed_size = panels * k * VECTORS * wide_lanes(dtype)
    pack = _pack[dtype] if cut.packed else None
    make_packed, launch = maker((packed_size,), dtype), _MULTIPLY[ROWS if n >= ROWS else 1][dtype]

    def run(a: Array, b: Array, bias: Array | None) -> Array:
        out, of_b = make(), read_b(b)
        packed = out
        if pack is not None:
            packed = make_packed()
            pack(panels, packed_size, (of_b, packed, b_step, bare))
        offset, of = (out, bare) if bias is None else (in_order(bias), extents)
        launch(chunks, work, (read_a(a), of_b, offset, packed, out, a_step, b_step, of, cut))
        return out

    return run


def _cut(batch: int, n: int, k: int, m: int, columns: int) -> tuple[int, int, _Cut]:
    """The number of chunks, the work, and what each chunk does."""
    panels = -(-m // columns)
    work = batch * (n + ROWS) * m * k // MULTIPLY_ADDS  # filling a panel takes as long as a tile
    if n * k <= SMALL:
        enough = 1 if is_small(work) else -(-FEWEST // (batch * panels))
        down = max(-(-n // LONGEST), min(-(-n // (4 * ROWS)), enough))
        block = -(-n // (down * ROWS)) * ROWS
        return batch * -(-n // block) * panels, work, _Cut(0, 1, -(-k // -(-k // DEPTH)) if k else 1, block)
    chunks_of = {block: batch * -(-n // block) * -(-panels // PANELS) for block, _ in BLOCK_ROWS}
    block = next(block for block, enough in BLOCK_ROWS if chunks_of[block] >= enough)
    return chunks_of[block], work, _Cut(1, PANELS, k, block)


def _reading(x: Array) -> tuple[Callable[[Array], Array], _Step]:
    """A function that gives the memory of matrices (*batch, rows, columns), and the strides in it.

    It copies nothing if rows or columns are contiguous and the matrices follow one another or repeat.
    """
    rows, columns = x.shape[-2:]
    *batch, row, column = (stride // x.itemsize for stride in x.strides)
    if not any(batch):
        if 1 in (row, column):
            return _as_it_is, _Step(0, row, column)
        first = (0,) * (x.ndim - 2)
        return lambda x: in_order(x[first]), _Step(0, columns, 1)
    if x.flags.c_contiguous or x.swapaxes(-1, -2).flags.c_contiguous:
        return _as_it_is, _Step(rows * columns, row, column)
    return in_order, _Step(rows * columns, columns, 1)


def _as_it_is(x: Array) -> Array:
    return x


@kernel(lambda T: (*[Memory(T)] * 3, *[types.intp] * 4))
def _multiply_integers(row, a, b, out, n, k, m, step):
    """A row of one of the matrices (n, m) of `out`; `step` is the stride between the matrices of b."""
    first, to = row // n * step, row * m
    fill_with(out, to, to + m, 0)
    for i in range(k):
        factor = load(a, row * k + i)
        for j in range(m):
            store(out, to + j, load(out, to + j) + factor * load(b, first + i * m + j))


def _of_integers(a: Array, b: Array) -> Array:
    n, k, m = a.shape[-2], a.shape[-1], b.shape[-1]
    out = empty((*a.shape[:-2], n, m), a.dtype)
    if out.size:
        repeated = b.ndim > 2 and not any(b.strides[:-2])
        flat_b = in_order(b[(0,) * (b.ndim - 2)] if repeated else b).reshape(-1)
        shared = (in_order(a).reshape(-1), flat_b, out.reshape(-1), n, k, m, 0 if repeated else k * m)
        _multiply_integers[a.dtype](out.size // m, out.size * k, shared)
    return out
