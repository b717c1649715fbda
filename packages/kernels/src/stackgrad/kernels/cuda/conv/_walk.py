"""The kernel of all three operations, and its launch for a walk, which says what is summed (see __init__)."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from stackgrad.tensor import OPS
from stackgrad.tensor._types import DType, Pair

from .._driver import cuda, inlined
from .._kernel import T, int64, integers, named, pointer
from .._math import compile_scalar
from .._strides import divide
from .._tile import ALIGNMENT, After, Form, TiledKernels, after_of, form_for

# Placeholders: each form of the tile has its own, see `Form.globals`.
ROWS = COLUMNS = DEPTH = DOWN = ACROSS = THREADS = SUMS = 1
LEFT_PITCH = RIGHT_PITCH = LEFT_SIZE = RIGHT_SIZE = LEFT_EACH = RIGHT_EACH = 1
_corner: Any = None
_row_of: Any = None
_column_of: Any = None
_multiply_add: Any = None

OUTSIDE = -(2**30)  # a row outside any image, whatever is added to it
_relu = compile_scalar(OPS["relu"].scalar)


@inlined
def _split(i, height, width):
    """i as (i // (height * width), row, column)."""
    row = divide(i, width)
    major = divide(row, height)
    return major, np.int32(row - major * height), np.int32(i - row * width)


@inlined
def _beyond(major, y, x, by, height, width):
    """The split index (major, y, x) advanced by `by`; in 32 bits, because that takes less code."""
    x = np.uint32(x + by)
    rows = np.uint32(x // np.uint32(width))
    y = np.uint32(y + rows)
    majors = np.uint32(y // np.uint32(height))
    return major + majors, np.int32(y - majors * height), np.int32(x - rows * width)


class Operand(NamedTuple):
    """An array and its strides.

    The strides of a: a group, a row and the three parts of d. Of b: a group, the first parts of column and d, a row and
    a column of the image. Of out: a piece, a group, a row and the three parts of a column.
    """

    array: Any
    steps: Any


class Walk(NamedTuple):
    """The extents of columns, `over`, and of d, `along`, in three parts each, and the rows of one group.

    `moves` has the rows and columns of the image by which the second and third parts of a column move, those by which
    the parts of d move, and those at which they begin.
    """

    groups: Any
    rows: Any
    over: Any
    along: Any
    image: Any
    moves: Any

    @property
    def depth(self) -> int:
        return math.prod(self.along)

    def form(self, dtype: DType) -> Form:
        return form_for(dtype, self.rows, math.prod(self.over), self.depth, self.groups)

    def tiles(self, form: Form) -> int:
        return int(self.groups * form.tiles(self.rows, math.prod(self.over)))


def _convolve_arguments(T):
    operand = named(Operand, pointer(T), integers(5))
    walk = named(Walk, int64, int64, integers(3), integers(3), integers(2), integers(6))
    return operand, operand, after_of(T), named(Operand, pointer(T), integers(6)), walk, int64


def _convolve(a, b, after, out, walk, piece):
    """out[row, column] = the sum over d of a[row, d] times b[column, d], for the rows of each group."""
    over, along, moves, n = walk.over, walk.along, walk.moves, walk.rows
    left = cuda.shared.array(LEFT_SIZE, T, alignment=ALIGNMENT)
    right = cuda.shared.array(RIGHT_SIZE, T, alignment=ALIGNMENT)
    next_left = cuda.local.array(LEFT_EACH, T)
    next_right = cuda.local.array(RIGHT_EACH, T)
    ours = cuda.local.array(DOWN, T)
    theirs = cuda.local.array(ACROSS, T)
    sums = cuda.local.array(SUMS, T)
    base = cuda.local.array(RIGHT_EACH, np.int64)
    image_row = cuda.local.array(RIGHT_EACH, np.int32)
    image_column = cuda.local.array(RIGHT_EACH, np.int32)
    for i in range(SUMS):
        sums[i] = T(0)

    m, k = over[0] * over[1] * over[2], along[0] * along[1] * along[2]
    across, down = divide(m + COLUMNS - 1, COLUMNS), divide(n + ROWS - 1, ROWS)
    at = cuda.blockIdx.x
    tile = divide(at, across)
    first_column = (at - tile * across) * COLUMNS
    tile_group = divide(tile, down)
    first_row = (tile - tile_group * down) * ROWS
    part = divide(tile_group, walk.groups)
    group = tile_group - part * walk.groups
    rows, columns = np.int32(min(ROWS, n - first_row)), np.int32(min(COLUMNS, m - first_column))

    # The offsets at which the thread reads: its rows and columns, and its first d.
    thread = cuda.threadIdx.x
    lane, lane_d = thread // DEPTH, thread % DEPTH
    start = part * piece
    end = min(start + piece, k)
    row_step = THREADS // DEPTH * a.steps[1]
    from_a = group * a.steps[0] + (first_row + lane) * a.steps[1]
    first_major, first_y, first_x = _split(first_column, over[1], over[2])
    for i in range(RIGHT_EACH):
        column = lane + i * (THREADS // DEPTH)
        major, y, x = _beyond(first_major, first_y, first_x, column, over[1], over[2])
        base[i] = group * b.steps[0] + major * b.steps[1]
        image_row[i] = np.int32(y * moves[0] + moves[4]) if column < columns else np.int32(OUTSIDE)
        image_column[i] = np.int32(x * moves[1] + moves[5])
    major, y, x = _split(start + lane_d, along[1], along[2])
    major_by, y_by, x_by = _split(DEPTH, along[1], along[2])
    height, width = np.int32(along[1]), np.int32(along[2])
    move_y, move_x = np.int32(moves[2]), np.int32(moves[3])
    image_height, image_width = np.uint32(walk.image[0]), np.uint32(walk.image[1])
    step_y, step_x = np.int32(b.steps[3]), np.int32(b.steps[4])
    to_left, to_right = lane_d * LEFT_PITCH + lane, lane_d * RIGHT_PITCH + lane
    top, side = _corner(thread)

    buffer = 0
    depth = start - DEPTH
    while depth < end:
        if depth + DEPTH < end:
            within = depth + DEPTH + lane_d < end
            at_a = from_a + major * a.steps[2] + y * a.steps[3] + x * a.steps[4]
            for i in range(LEFT_EACH):
                inside = within and np.int32(lane + i * (THREADS // DEPTH)) < rows
                next_left[i] = a.array[at_a + i * row_step] if inside else T(0)
            at_b = major * b.steps[2]
            down_by, right_by = np.int32(y * move_y), np.int32(x * move_x)
            for i in range(RIGHT_EACH):
                at_y, at_x = np.int32(image_row[i] + down_by), np.int32(image_column[i] + right_by)
                inside = within and np.uint32(at_y) < image_height and np.uint32(at_x) < image_width
                next_right[i] = b.array[base[i] + at_b + at_y * step_y + at_x * step_x] if inside else T(0)
            x = np.int32(x + x_by)
            y = np.int32(y + y_by)
            major += major_by
            if x >= width:
                x = np.int32(x - width)
                y = np.int32(y + 1)
            if y >= height:
                y = np.int32(y - height)
                major += 1
        if depth >= start:
            _multiply_add(left, right, buffer, top, side, ours, theirs, sums)
            buffer = 1 - buffer
        if depth + DEPTH < end:
            for i in range(LEFT_EACH):
                left[np.uint64(buffer * DEPTH * LEFT_PITCH + to_left + i * (THREADS // DEPTH))] = next_left[i]
            for i in range(RIGHT_EACH):
                right[np.uint64(buffer * DEPTH * RIGHT_PITCH + to_right + i * (THREADS // DEPTH))] = next_right[i]
            cuda.syncthreads()
        depth += DEPTH

    if after.biased:
        for u in range(DOWN):
            if _row_of(top, u) < rows:
                shift = after.bias[group * n + first_row + _row_of(top, u)]
                for v in range(ACROSS):
                    sums[u * ACROSS + v] += shift
    if after.relu:
        for i in range(SUMS):
            sums[i] = _relu(sums[i], sums[i], sums[i])
    to_row = part * out.steps[0] + group * out.steps[1] + first_row * out.steps[2]
    for v in range(ACROSS):
        column = _column_of(side, v)
        if column < columns:
            major, y, x = _beyond(first_major, first_y, first_x, column, over[1], over[2])
            to = to_row + major * out.steps[3] + y * out.steps[4] + x * out.steps[5]
            for u in range(DOWN):
                if _row_of(top, u) < rows:
                    out.array[to + _row_of(top, u) * out.steps[2]] = sums[u * ACROSS + v]


_CONVOLVE = TiledKernels(_convolve, _convolve_arguments)


def convolve(walk: Walk, a: Operand, b: Operand, out: Operand, form: Form, pieces: Pair, after: After) -> None:
    """Launch `_convolve`; `pieces` comes from `cut`, `after` from `epilogue`. Raises ValueError for huge strides."""
    if max(b.steps[3:]) >= 2**31:  # with 32 bits for these the kernel has more threads
        raise ValueError(
            f"convolution on 'cuda' of images whose rows or columns are {max(b.steps[3:]):,} elements apart: "
            "expected less than 2**31; use .contiguous()"
        )
    count, length = pieces
    some = walk if walk.depth else walk._replace(along=(0, 1, 1))
    _CONVOLVE.launch(form, out.array.dtype, count * walk.tiles(form), a, b, after, out, some, length)
