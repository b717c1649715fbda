"""The tiled product that matrix products and convolutions share: sums over d of left(row, d) times right(column, d).

A block of threads computes a tile of the result. The sum advances by DEPTH at a time; for that the block copies parts
of its rows and columns to shared memory. While it multiplies these, it already reads the next ones into registers, and
it alternates between two buffers, so that one barrier each time is enough:

                          right   columns of the tile
                                 |........................|  DEPTH deep
    left                         +------------------------+
    rows of    |...|             |t0    t1    |t0    t1   |
    the tile   |...|             |t2    t3    |t2    t3   |       thread t0 has DOWN x ACROSS of the sums in registers,
               |...|             |------------+-----------|       in groups of GROUP each way: it reads four values at
               |...|             |t0    t1    |t0    t1   |       once, and its neighbours the next four
               DEPTH deep        |t2    t3    |t2    t3   |

For each d a thread reads DOWN + ACROSS values and does DOWN x ACROSS multiply-adds. The threads of a warp are arranged
4 by 8, so that together they read few lines of shared memory. Both operands are stored there with DEPTH as the slower
dimension, in rows that are PAD elements longer than necessary: when a warp writes columns of DEPTH 8, no two threads
conflict in a bank, and rows are still aligned for reads of four values at once.

LARGE and MEDIUM are as drawn, for float32 alone. SMALL, for small products and for float64, has one group each way, of
four rows and two columns, and DEPTH 16; writes of float32 then conflict in pairs of threads.

If tiles are few and sums are long, the sums are cut into pieces for different blocks; `joined` adds the pieces in
order. All of these choices depend on the shapes alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from stackgrad.tensor import OPS, REDUCTIONS
from stackgrad.tensor._types import DType

from ._array import DeviceArray
from ._copy import contiguous
from ._driver import inlined
from ._elementwise import elementwise
from ._kernel import Grid, Kernel, Signature, either, int64, named, pointer
from ._reduce import reduce

GROUP = either(4, simulated=1)
PAD = 4
ALIGNMENT = either(16, simulated=None)  # bytes of GROUP float32
WARP_DOWN, WARP_ACROSS = either((4, 8), simulated=(1, 2))
ENOUGH = either(256, simulated=2)  # blocks: fewer leave much of a GPU idle
SHORTEST = either(256, simulated=8)  # length of a piece of a sum
LONGEST = either(16384, simulated=64)


@dataclass(frozen=True)
class Form:
    """The extents of a tile, its DEPTH, and the number of rows and columns of the tile that each thread has."""

    rows: int
    columns: int
    depth: int
    down: int
    across: int

    @property
    def threads(self) -> int:
        return self.rows // self.down * (self.columns // self.across)

    def tiles(self, rows: int, columns: int) -> int:
        """The number of tiles that cover these rows and columns."""
        return -(-rows // self.rows) * -(-columns // self.columns)

    def globals(self) -> dict[str, Any]:
        """The globals of a kernel of this form."""
        left_pitch, right_pitch = self.rows + PAD, self.columns + PAD
        corner, row_of, column_of, multiply_add = _functions(self)
        return {
            "ROWS": self.rows,
            "COLUMNS": self.columns,
            "DEPTH": self.depth,
            "DOWN": self.down,
            "ACROSS": self.across,
            "THREADS": self.threads,
            "SUMS": self.down * self.across,
            "LEFT_PITCH": left_pitch,
            "RIGHT_PITCH": right_pitch,
            "LEFT_SIZE": 2 * self.depth * left_pitch,
            "RIGHT_SIZE": 2 * self.depth * right_pitch,
            "LEFT_EACH": self.rows * self.depth // self.threads,  # values that a thread copies each time
            "RIGHT_EACH": self.columns * self.depth // self.threads,
            "_corner": corner,
            "_row_of": row_of,
            "_column_of": column_of,
            "_multiply_add": multiply_add,
        }


LARGE = either(Form(128, 128, 8, 8, 8), simulated=Form(4, 4, 2, 2, 2))
MEDIUM = either(Form(64, 128, 8, 8, 8), simulated=Form(2, 4, 2, 1, 2))
SMALL = either(Form(32, 32, 16, 4, 2), simulated=Form(4, 2, 2, 2, 1))


def _functions(form: Form) -> tuple[Any, ...]:
    """The functions that the threads of a tile share."""
    depth, down, across = form.depth, form.down, form.across
    left_pitch, right_pitch = form.rows + PAD, form.columns + PAD
    row_group, column_group = min(GROUP, down), min(GROUP, across)
    row_stride, column_stride = form.rows // down * row_group, form.columns // across * column_group
    warps_across = form.columns // across // WARP_ACROSS
    warp_across, warp_down, warp = WARP_ACROSS, WARP_DOWN, WARP_DOWN * WARP_ACROSS

    @inlined
    def corner(thread):
        """The first row and the first column of a thread."""
        at, lane = thread // warp, thread % warp
        row = at // warps_across * warp_down + lane // warp_across
        column = at % warps_across * warp_across + lane % warp_across
        return row * row_group, column * column_group

    @inlined
    def row_of(first, u):
        """The u-th row of a thread."""
        return first + u // row_group * row_stride + u % row_group

    @inlined
    def column_of(first, v):
        """The v-th column of a thread."""
        return first + v // column_group * column_stride + v % column_group

    @inlined
    def multiply_add(left, right, buffer, first_row, first_column, ours, theirs, sums):
        """Add the products of DEPTH elements to the sums; `ours` and `theirs` are registers for DOWN and ACROSS values.

        Indices are unsigned: a test for negative ones would keep the compiler from reading four values at once.
        """
        for d in range(depth):
            at_left = (buffer * depth + d) * left_pitch + first_row
            at_right = (buffer * depth + d) * right_pitch + first_column
            for u in range(down):
                ours[u] = left[np.uint64(at_left + u // row_group * row_stride + u % row_group)]
            for v in range(across):
                theirs[v] = right[np.uint64(at_right + v // column_group * column_stride + v % column_group)]
            for u in range(down):
                for v in range(across):
                    sums[u * across + v] += ours[u] * theirs[v]

    return corner, row_of, column_of, multiply_add


class TiledKernels:
    """A kernel in all forms. Dtypes of eight bytes use small tiles, because only half as many values fit."""

    def __init__(self, body: Callable[..., None], signature: Signature, integers: bool = False) -> None:
        def form(form: Form, name: str, dtypes: str) -> Kernel:
            return Kernel(body, signature, form.threads, dtypes, f"{body.__name__.strip('_')}_{name}", bind=bind(form))

        def bind(form: Form) -> Callable[[DType], dict[str, Any]]:
            return lambda dtype: form.globals()

        self._kernels = {
            LARGE: form(LARGE, "large", "s"),
            MEDIUM: form(MEDIUM, "medium", "s"),
            SMALL: form(SMALL, "small", "fi" if integers else "f"),
        }

    def launch(self, form: Form, dtype: DType, grid: Grid, *arguments: Any) -> None:
        self._kernels[form][dtype](grid, *arguments)


def form_for(dtype: DType, rows: int, columns: int, depth: int, products: int) -> Form:
    """The largest tile that gives enough blocks and wastes little beyond the edges, for `products` products at once."""
    if dtype == np.dtype("float32"):
        for form in (LARGE, MEDIUM):
            tiles = form.tiles(rows, columns)
            blocks = products * tiles * max(depth // SHORTEST, 1)
            if blocks >= ENOUGH and 2 * tiles * form.rows * form.columns <= 3 * rows * columns:
                return form
    return SMALL


def cut(form: Form, tiles: int, depth: int) -> tuple[int, int]:
    """The number of pieces into which sums of `depth` products are cut, and their length, for this number of tiles."""
    pieces = 1 if tiles >= ENOUGH else max(min(2 * ENOUGH // max(tiles, 1), depth // SHORTEST), 1)
    pieces = max(pieces, -(-depth // LONGEST))
    length = max(-(-depth // (pieces * form.depth)), 1) * form.depth
    return max(-(-depth // length), 1), length


class After(NamedTuple):
    """The operations after the sums: add a bias if `biased` is not 0, and apply relu if `relu` is not 0."""

    bias: Any
    biased: Any
    relu: Any


def after_of(T: Any) -> Any:
    """The Numba type of an After."""
    return named(After, pointer(T), int64, int64)


def epilogue(bias: DeviceArray | None, relu: bool, pieces: int, unread: DeviceArray) -> After:
    """The `After` of a kernel: bias and relu must wait if sums are cut. Without a bias, `unread` takes its place."""
    if pieces > 1 or bias is None:
        return After(unread, 0, int(relu and pieces == 1))
    return After(contiguous(bias), 1, int(relu))


def joined(parts: DeviceArray, bias: DeviceArray | None, relu: bool) -> DeviceArray:
    """The sum of pieces (pieces, ...), followed by bias, which broadcasts, and relu if they had to wait for it."""
    if parts.shape[0] == 1:
        return parts.view(parts.shape[1:], parts.strides[1:])
    out = reduce(REDUCTIONS["sum"], parts, (0,))
    if bias is not None:
        out = elementwise(OPS["add"], out, bias)
    return elementwise(OPS["relu"], out) if relu else out
