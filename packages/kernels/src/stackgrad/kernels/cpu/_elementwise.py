"""map and zip: one function of scalars, applied to every element in parallel.

Operands with the same dense layout, in any order of dimensions, are processed as one flat run, CHUNK elements at a
time. Other operands, such as a scalar, a broadcast row or a slice with steps, are brought to four dimensions and
processed by rows. The preparations for operands of one form are made once: a `_Plan`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np

from stackgrad.tensor import OPS, Op
from stackgrad.tensor._plans import Plans, layouts
from stackgrad.tensor._shape import broadcast_shapes, strides_in_order
from stackgrad.tensor._types import HostArray as Array
from stackgrad.tensor._types import Shape

from .._index import inverse, memory_order, merge, spread_strides, three
from .._scalar import OF_INTEGERS, types_of
from ._kernel import Entry, Kernel, Signature, kernel, rebind
from ._math import compile_scalar
from ._memory import maker
from ._numba import helper, types
from ._parallel import CHUNK
from ._pointers import Memory, load, load_at, size_of, store, store_apart_at, store_at

BLOCK = 32  # elements: LLVM unrolls its loops to four vectors, of eight elements of four bytes
RANK = 4  # dimensions of a walk by rows; with more, there is one walk for each index of the first ones


def _scalar(x, y, z):
    """Placeholder: each kernel below is compiled with the function of one op instead."""
    return x


def _flat(chunk, x, y, z, out, x_chunk, y_chunk, z_chunk, size):
    """CHUNK elements of operands of the same layout; `x_chunk` is the offset from chunk to chunk in x: CHUNK or 0."""
    xs, ys, zs = chunk * x_chunk, chunk * y_chunk, chunk * z_chunk
    start = chunk * CHUNK
    for i in range(min(CHUNK, size - start)):
        store(out, start + i, _scalar(load(x, xs + i), load(y, ys + i), load(z, zs + i)))


class Layout(NamedTuple):
    """The layout of an array on a walk, in bytes: the offset of the first element, and the stride of each dimension."""

    start: int
    i: int
    j: int
    k: int
    m: int


class Line(NamedTuple):
    """A row of an array: its memory, and in bytes the offset of the first element and the stride to the next."""

    memory: Any
    start: int
    step: int


@helper
def layout_of(table, array):
    """Read the layout of x, y, z or out, 0 to 3, from the table: five integers each, after the RANK extents."""
    at = 4 + 5 * array
    return Layout(load(table, at), load(table, at + 1), load(table, at + 2), load(table, at + 3), load(table, at + 4))


@helper
def position(layout, i, j, k, m):
    return layout.start + i * layout.i + j * layout.j + k * layout.k + m * layout.m


def _walk(chunk, x, y, z, out, table):
    """`rows` rows of `columns` elements of the last dimension; `across` chunks side by side cover it.

    The table holds RANK extents, the `Layout` of each array, and across, columns and rows.
    """
    n0, n1, n2, n3 = load(table, 0), load(table, 1), load(table, 2), load(table, 3)
    of_x, of_y, of_z, of_out = layout_of(table, 0), layout_of(table, 1), layout_of(table, 2), layout_of(table, 3)
    across, columns, rows = load(table, 24), load(table, 25), load(table, 26)
    first, left = chunk // across * rows, chunk % across * columns
    count = min(n3 - left, columns)
    k, j, i = first % n2, first // n2 % n1, first // n2 // n1
    xs, ys = position(of_x, i, j, k, left), position(of_y, i, j, k, left)
    zs, to = position(of_z, i, j, k, left), position(of_out, i, j, k, left)
    for _ in range(min(n0 * n1 * n2 - first, rows)):
        _row(Line(x, xs, of_x.m), Line(y, ys, of_y.m), Line(z, zs, of_z.m), Line(out, to, of_out.m), count)
        xs, ys, zs, to = xs + of_x.k, ys + of_y.k, zs + of_z.k, to + of_out.k
        k += 1
        if k == n2:
            k = 0
            j += 1
            if j == n1:
                j = 0
                i += 1
            xs, ys = position(of_x, i, j, k, left), position(of_y, i, j, k, left)
            zs, to = position(of_z, i, j, k, left), position(of_out, i, j, k, left)


@helper
def _load_next(line, m):
    """Element m of a dense line."""
    return load_at(line.memory, line.start + m * size_of(line.memory))


@helper
def _store_next(line, m, value):
    """Write element m of a dense line that shares no memory with the operands."""
    store_apart_at(line.memory, line.start + m * size_of(line.memory), value)


@helper
def _is_dense(line):
    """Whether the elements are adjacent in memory."""
    return line.step == size_of(line.memory)


def _row(x, y, z, out, count):
    """`count` elements of a row with any strides; LLVM vectorises the loop over dense lines."""
    if _is_dense(out) and _is_dense(x) and _is_dense(y) and _is_dense(z):
        for m in range(count):
            _store_next(out, m, _scalar(_load_next(x, m), _load_next(y, m), _load_next(z, m)))
    else:
        xs, ys, zs, to = x.start, y.start, z.start, out.start
        for _ in range(count):
            store_at(out.memory, to, _scalar(load_at(x.memory, xs), load_at(y.memory, ys), load_at(z.memory, zs)))
            xs += x.step
            ys += y.step
            zs += z.step
            to += out.step


@helper
def _moved(line, count):
    """The line without its first `count` elements."""
    return Line(line.memory, line.start + count * line.step, line.step)


def _row_by_blocks(x, y, z, out, count):
    """`count` elements of a row with BLOCK or more. Lines are dense, but x alone, or y and z, may repeat one value.

    For a multiple of BLOCK elements LLVM needs no remainder loop. The remainder is done as the last BLOCK elements of
    the row: some are computed twice, even those of the chunk before, to the same bits. That is safe because `out` is
    new memory, which no operand shares.
    """
    start, length = 0, count & -BLOCK
    while True:
        x, y, z, out = _moved(x, start), _moved(y, start), _moved(z, start), _moved(out, start)
        if y.step == 0:
            b, c = load_at(y.memory, y.start), load_at(z.memory, z.start)
            for m in range(length):
                _store_next(out, m, _scalar(_load_next(x, m), b, c))
        elif x.step == 0:
            a = load_at(x.memory, x.start)
            for m in range(length):
                _store_next(out, m, _scalar(a, _load_next(y, m), _load_next(z, m)))
        else:
            for m in range(length):
                _store_next(out, m, _scalar(_load_next(x, m), _load_next(y, m), _load_next(z, m)))
        if start + length == count:
            break
        start, length = count - BLOCK, BLOCK


class ElementwiseKernels:
    """The three kernels of a function of up to three scalars.

    `scalar_types` maps an element type to the Numba types of these scalars and of the result.
    """

    def __init__(self, name: str, scalar: Any, scalar_types: Signature, key: str | None) -> None:
        bound = rebind(_flat, f"{name}_flat", _scalar=scalar)
        self.flat = Kernel(bound, lambda T: (*map(Memory, scalar_types(T)), *[types.intp] * 4), key)

        def walk(part: str, row: Any) -> Kernel:
            bound = helper(rebind(row, f"{name}_{part}_row", _scalar=scalar))
            signature = lambda T: tuple(map(Memory, (*scalar_types(T), types.int64)))  # noqa: E731
            return Kernel(rebind(_walk, f"{name}_{part}", _row=bound), signature, key)

        self.by_rows, self.by_blocks = walk("rows", _row), walk("blocks", _row_by_blocks)
        self.plans: Plans[Callable[..., Array]] = Plans(partial(_runner, self))
        self.writes: Plans[Iterable[_Launch]] = Plans(partial(_plan_write, self))


@cache
def _kernels(name: str, of_integers: bool) -> ElementwiseKernels:
    op = OPS[name]
    own = OF_INTEGERS.get(name) if of_integers else None
    scalar = helper(own) if own else compile_scalar(op.scalar)
    key = f"{op.scalar} {op.result}"
    return ElementwiseKernels(name, scalar, lambda T: types_of(op, types.boolean)(T), key)


def plan_elementwise(op: Op, *operands: Array) -> Callable[..., Array]:
    """See Backend.plan_elementwise."""
    dtype = operands[-1].dtype
    of_integers, result = dtype.kind == "i", np.dtype(bool) if op.result == "bool" else dtype
    return _find(_kernels(op.name, of_integers), dtype, result, operands)


def elementwise(op: Op, *operands: Array) -> Array:
    """See Backend.elementwise."""
    return plan_elementwise(op, *operands)(*operands)


def run(kernels: ElementwiseKernels, dtype: np.dtype[Any], out_dtype: np.dtype[Any], *operands: Array) -> Array:
    """Apply the kernels' function to operands that broadcast, with the kernel for element type `dtype`."""
    return _find(kernels, dtype, out_dtype, operands)(*operands)


def _find(
    kernels: ElementwiseKernels, dtype: np.dtype[Any], out_dtype: np.dtype[Any], operands: tuple[Array, ...]
) -> Callable[..., Array]:
    return kernels.plans.find((dtype, layouts(operands)), dtype, out_dtype, operands)


class _Launch(NamedTuple):
    """A kernel, its chunks and work, and its arguments besides the operands and the result."""

    entry: Entry
    chunks: int
    work: int
    rest: tuple[Any, ...]


class _Plan(NamedTuple):
    """How to make the result's memory and transpose it at the end, which operands to repeat, and the launches.

    `scalars`: whether some operands have no dimensions; these may be NumPy scalars instead of arrays.
    """

    make: Callable[[], Array]
    back: Shape | None
    scalars: bool
    repeats: tuple[tuple[int, int], ...]
    launches: Iterable[_Launch]

    def run(self, *operands: Array) -> Array:
        """The result for operands of the shapes, strides and dtypes of this plan."""
        make, back, scalars, repeats, launches = self
        out = make()
        if scalars:
            operands = tuple([np.asarray(x) for x in operands])
        for count, i in repeats:
            operands = (*operands[:i], _repeat(operands[i], count), *operands[i + 1 :])
        x, y, z = operands if len(operands) == 3 else (operands[0], operands[-1], operands[-1])
        for entry, chunks, work, rest in launches:
            entry(chunks, work, (x, y, z, out, *rest))
        return out if back is None else out.transpose(back)


def _runner(
    kernels: ElementwiseKernels, dtype: np.dtype[Any], out_dtype: np.dtype[Any], operands: tuple[Array, ...]
) -> Callable[..., Array]:
    """A function that applies the kernels to operands like these; for the usual plan of one launch it has no loop."""
    plan = _plan(kernels, dtype, out_dtype, operands)
    make, back, scalars, repeats, launches = plan
    if back is not None or repeats or not isinstance(launches, tuple) or len(launches) != 1:
        return plan.run
    (entry, chunks, work, rest), second = launches[0], min(1, len(operands) - 1)
    if scalars:

        def run_arrays(*operands: Array) -> Array:
            out = make()
            x, y, z = np.asarray(operands[0]), np.asarray(operands[second]), np.asarray(operands[-1])
            entry(chunks, work, (x, y, z, out, *rest))
            return out

        return run_arrays

    def run(*operands: Array) -> Array:
        out = make()
        entry(chunks, work, (operands[0], operands[second], operands[-1], out, *rest))
        return out

    return run


def _plan(
    kernels: ElementwiseKernels, dtype: np.dtype[Any], out_dtype: np.dtype[Any], operands: tuple[Array, ...]
) -> _Plan:
    shape = broadcast_shapes(*[x.shape for x in operands])
    spread = [spread_strides(x.shape, x.strides, shape) for x in operands]
    order = memory_order([(x.shape, x.strides) for x in operands], shape)
    ordered = tuple([shape[d] for d in order])
    make, back = maker(ordered, out_dtype), None if order == tuple(range(len(order))) else inverse(order)
    size = math.prod(ordered)
    if not size:
        return _Plan(make, back, False, (), ())
    scalars = not all(x.ndim for x in operands)
    sizes = [x.itemsize for x in operands]
    result_strides = tuple([step * out_dtype.itemsize for step in strides_in_order(ordered)])
    extents, strides = merge(ordered, [*[tuple([steps[d] for d in order]) for steps in spread], result_strides])
    steps = [bytes_[-1] / n if bytes_ else 1 for bytes_, n in zip(strides, sizes, strict=False)]
    x, y, z = three(steps)
    dense = len(extents) <= 1 and (x, y, z) == (1, 1, 1)
    blocks = not dense and _in_blocks(x, y, z, extents)
    if blocks or len(extents) > 1 or not all(step in (0, 1) for step in steps):
        kernel = kernels.by_blocks if blocks else kernels.by_rows
        walks = _Walks(kernel[dtype], extents, [*three(strides[:-1]), strides[-1]])
        return _Plan(make, back, scalars, (), walks if len(extents) > RANK else tuple(walks))
    repeats = tuple([(min(size, CHUNK), i) for i, step in enumerate(steps) if step == 0])
    chunk_strides = [int(CHUNK * step) for step in (x, y, z)]
    flat = _Launch(kernels.flat[dtype], -(-size // CHUNK), size, (*chunk_strides, size))
    return _Plan(make, back, scalars, repeats, (flat,))


def _in_blocks(x: float, y: float, z: float, extents: Shape) -> bool:
    """Whether `_row_by_blocks` can process rows of these extents, with operands of these strides (in elements)."""
    return bool(extents) and extents[-1] >= BLOCK and (x, y, z) in ((1, 1, 1), (1, 0, 0), (0, 1, 1))


class _Walks:
    """The launches of a kernel of `_walk`, made again for each run: there may be many."""

    def __init__(self, entry: Entry, extents: Shape, strides: list[Shape]) -> None:
        self._arguments = entry, extents, strides

    def __iter__(self) -> Iterator[_Launch]:
        return _walks(*self._arguments)


def _walks(
    entry: Entry, extents: Shape, strides: list[Shape], starts: Sequence[int] = (0, 0, 0, 0)
) -> Iterator[_Launch]:
    """One launch, or with more than RANK dimensions, one for each index of the first ones."""
    if len(extents) > RANK:
        for i in range(extents[0]):
            moved = [start + i * steps[0] for start, steps in zip(starts, strides, strict=True)]
            yield from _walks(entry, extents[1:], [steps[1:] for steps in strides], moved)
        return
    lead = RANK - len(extents)
    n0, n1, n2, n3 = full = (1,) * lead + extents
    columns = min(n3, CHUNK)
    across = -(-n3 // columns)
    rows = CHUNK // columns
    table = [*full]
    for start, steps in zip(starts, strides, strict=True):
        table += [start, *[0] * lead, *steps]
    table += [across, columns, rows]
    chunks = -(-(n0 * n1 * n2) // rows) * across
    yield _Launch(entry, chunks, n0 * n1 * n2 * n3, (np.array(table, np.int64),))


def write(kernels: ElementwiseKernels, x: Array, out: Array) -> None:
    """Write the kernels' function of `x`, which broadcasts, to `out`, of any layout. The two must not overlap."""
    x = np.asarray(x)
    form = (x.shape, x.strides, out.shape, out.strides)
    for entry, chunks, work, rest in kernels.writes.find((x.dtype, form), x, out):
        entry(chunks, work, (x, x, x, out, *rest))


def _plan_write(kernels: ElementwiseKernels, x: Array, out: Array) -> Iterable[_Launch]:
    if not out.size:
        return ()
    order = sorted(range(out.ndim), key=lambda d: -abs(out.strides[d]))
    spread = spread_strides(x.shape, x.strides, out.shape)
    ordered = tuple([out.shape[d] for d in order])
    extents, (steps, to) = merge(ordered, [tuple([strides[d] for d in order]) for strides in (spread, out.strides)])
    walks = _Walks(kernels.by_rows[x.dtype], extents, [steps, steps, steps, to])
    return walks if len(extents) > RANK else tuple(walks)


@kernel(lambda T: (Memory(T), Memory(T), types.intp))
def _fill(chunk, x, out, size):
    value = load(x, 0)
    for i in range(chunk * CHUNK, min(size, (chunk + 1) * CHUNK)):
        store(out, i, value)


def fill(out: Array, x: Array) -> None:
    """Fill `out`, which is in C order, with the one element of `x`."""
    if out.size:
        _fill[out.dtype](-(-out.size // CHUNK), out.size, (x, out, out.size))


def _repeat(x: Array, size: int) -> Array:
    out = np.empty(size, x.dtype)
    fill(out, x)
    return out
