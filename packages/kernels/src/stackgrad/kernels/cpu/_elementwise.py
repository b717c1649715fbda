"""map and zip: one function of single numbers, applied to every element in parallel.

Operands that lie in memory alike, in whatever order of dimensions, are walked as one flat run in pieces of CHUNK
elements; a single number is repeated in a buffer of that size. Anything else, such as a broadcast row or a slice
with steps, is brought to four dimensions and walked by rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from stackgrad.tensor import OPS, Op
from stackgrad.tensor._shape import broadcast_shapes

from .._index import merge
from .._powers import power_of_integers
from . import _vmath
from ._buffers import empty
from ._jit import Kernel, Signature, helper, rebind
from ._memory import load, load_at, size_of, store, store_apart_at, store_at
from ._on_host import on_host
from ._parallel import CHUNK, SERIAL

Array = NDArray[Any]
Shape = tuple[int, ...]

TURN = 32  # elements, four vectors of four bytes each: as many as LLVM takes at a time
RANK = 4  # dimensions of the walk by rows; more are walked one after the other


def _scalar(x, y, z):
    """Stand-in: each kernel below is compiled with the function of one op in its place."""
    return x


def _flat(chunk, x, y, z, out):
    """CHUNK elements of operands that lie alike. An operand of at most CHUNK elements is the same for all chunks."""
    start = chunk * CHUNK
    xs = start if x.size > CHUNK else 0
    ys = start if y.size > CHUNK else 0
    zs = start if z.size > CHUNK else 0
    for i in range(min(CHUNK, out.size - start)):
        store(out, start + i, _scalar(load(x, xs + i), load(y, ys + i), load(z, zs + i)))


def _walk(chunk, x, y, z, out, table):
    """`rows` rows of `columns` elements of the last dimension; `across` chunks side by side cover it.

    The arrays are given by their first elements alone. The table holds RANK extents, for each array where to begin and
    RANK strides, in bytes, and then across, columns and rows.
    """
    n0, n1, n2, n3 = table[0], table[1], table[2], table[3]
    across, columns, rows = table[24], table[25], table[26]
    first, left = chunk // across * rows, chunk % across * columns
    count = min(n3 - left, columns)
    k, j, i = first % n2, first // n2 % n1, first // n2 // n1
    x_next, y_next, z_next, out_next = table[7], table[12], table[17], table[22]
    x_step, y_step, z_step, out_step = table[8], table[13], table[18], table[23]
    xs, ys = _place(table, 4, i, j, k, left), _place(table, 9, i, j, k, left)
    zs, to = _place(table, 14, i, j, k, left), _place(table, 19, i, j, k, left)
    for _ in range(min(n0 * n1 * n2 - first, rows)):
        _row(x, xs, x_step, y, ys, y_step, z, zs, z_step, out, to, out_step, count)
        xs, ys, zs, to = xs + x_next, ys + y_next, zs + z_next, to + out_next
        k += 1
        if k == n2:
            k = 0
            j += 1
            if j == n1:
                j = 0
                i += 1
            xs, ys = _place(table, 4, i, j, k, left), _place(table, 9, i, j, k, left)
            zs, to = _place(table, 14, i, j, k, left), _place(table, 19, i, j, k, left)


@helper
def _place(table, at, i, j, k, m):
    return table[at] + i * table[at + 1] + j * table[at + 2] + k * table[at + 3] + m * table[at + 4]


def _row(x, xs, x_step, y, ys, y_step, z, zs, z_step, out, to, out_step, count):
    """`count` elements of a row, any steps apart; by vectors where they are neighbours."""
    if out_step == size_of(out) and x_step == size_of(x) and y_step == size_of(y) and z_step == size_of(z):
        for m in range(count):
            a, b = load_at(x, xs + m * size_of(x)), load_at(y, ys + m * size_of(y))
            store_apart_at(out, to + m * size_of(out), _scalar(a, b, load_at(z, zs + m * size_of(z))))
    else:
        for _ in range(count):
            store_at(out, to, _scalar(load_at(x, xs), load_at(y, ys), load_at(z, zs)))
            xs += x_step
            ys += y_step
            zs += z_step
            to += out_step


def _row_by_turns(x, xs, x_step, y, ys, y_step, z, zs, z_step, out, to, out_step, count):
    """`count` neighbours, or one number of x, or of y and z, for all of them: the end of a row of TURN or more.

    Given a multiple of TURN, LLVM makes no loop for what is left over. That is done as the last TURN elements, some of
    them for the second time, also those of the chunk before, to the same bits: `out` is new memory, which no operand
    lies in.
    """
    start, length = 0, count & -TURN
    while True:
        xs, ys, zs, to = xs + start * x_step, ys + start * y_step, zs + start * z_step, to + start * out_step
        if y_step == 0:
            b, c = load_at(y, ys), load_at(z, zs)
            for m in range(length):
                store_apart_at(out, to + m * size_of(out), _scalar(load_at(x, xs + m * size_of(x)), b, c))
        elif x_step == 0:
            a = load_at(x, xs)
            for m in range(length):
                value = _scalar(a, load_at(y, ys + m * size_of(y)), load_at(z, zs + m * size_of(z)))
                store_apart_at(out, to + m * size_of(out), value)
        else:
            for m in range(length):
                a, b = load_at(x, xs + m * size_of(x)), load_at(y, ys + m * size_of(y))
                store_apart_at(out, to + m * size_of(out), _scalar(a, b, load_at(z, zs + m * size_of(z))))
        if start + length == count:
            break
        start, length = count - TURN, TURN


class ElementwiseKernels:
    """The three kernels of one function of up to three numbers; `numbers` gives the Numba types of these and of the
    result for an element type."""

    def __init__(self, name: str, scalar: Any, numbers: Signature, key: str | None) -> None:
        bound = rebind(_flat, f"{name}_flat", _scalar=scalar)
        self.flat = Kernel(bound, lambda T: tuple(t[::1] for t in numbers(T)), key)

        def walk(kind: str, row: Any) -> Kernel:
            bound = helper(rebind(row, f"{name}_{kind}_row", _scalar=scalar))
            signature = lambda T: (*(t[::1] for t in numbers(T)), types.int64[::1])  # noqa: E731
            return Kernel(rebind(_walk, f"{name}_{kind}", _row=bound), signature, key)

        self.by_rows, self.by_turns = walk("rows", _row), walk("turns", _row_by_turns)


_FUNCTIONS = {name: getattr(math, name) for name in ("expm1", "log1p", "sqrt", "sin", "cos")}
_FUNCTIONS |= {name: getattr(_vmath, name) for name in ("exp", "log", "tanh", "sigmoid", "erf")}


def compile_scalar(expression: str) -> Any:
    """The function of x, y, z that `expression` of the op table stands for; T is the type of its last operand."""
    namespace: dict[str, Any] = dict(_FUNCTIONS)
    exec(f"def scalar(x, y, z):\n    T = type(y)\n    return {expression}\n", namespace)
    return helper(namespace["scalar"])


@cache
def _kernels(name: str, of_integers: bool) -> ElementwiseKernels:
    op = OPS[name]
    first = (lambda T: types.boolean) if name == "where" else (lambda T: T)
    result = (lambda T: types.boolean) if op.result == "bool" else (lambda T: T)
    scalar = helper(power_of_integers) if name == "pow" and of_integers else compile_scalar(op.scalar)
    return ElementwiseKernels(name, scalar, lambda T: (first(T), T, T, result(T)), op.scalar)


def elementwise(op: Op, *operands: Array) -> Array:
    """See Backend.elementwise."""
    dtype = operands[-1].dtype
    return run(_kernels(op.name, dtype.kind == "i"), dtype, np.dtype(bool) if op.result == "bool" else dtype, *operands)


def run(kernels: ElementwiseKernels, dtype: np.dtype[Any], out_dtype: np.dtype[Any], *operands: Array) -> Array:
    """The kernels' function of operands that broadcast, entered for element type `dtype`."""
    shape = operands[0].shape
    if all([x.shape == shape and x.flags.c_contiguous for x in operands]):  # noqa: C419 - faster
        out = empty(shape, out_dtype)
        _run_flat(kernels, dtype, [x.reshape(-1) for x in operands], out.reshape(-1))
        return out
    order = _common_order(operands)
    if order is None:
        return _run_by_rows(kernels, dtype, out_dtype, operands)
    like = max(operands, key=lambda x: x.ndim)
    out = empty(tuple(like.shape[d] for d in order), out_dtype)
    flats = [_repeat(x, out.size) if x.ndim < like.ndim else x.transpose(order).reshape(-1) for x in operands]
    _run_flat(kernels, dtype, flats, out.reshape(-1))
    return _turned_back(out, order)


def _run_flat(kernels: ElementwiseKernels, dtype: np.dtype[Any], flats: list[Array], out: Array) -> None:
    if out.size:
        x, y, z = (flats + flats[-1:] * 2)[:3]
        kernels.flat[dtype](-(-out.size // CHUNK), out.size < SERIAL, (x, y, z, out))


def _common_order(operands: tuple[Array, ...]) -> Shape | None:
    """The order of dimensions in which all operands but single numbers lie in memory without gaps, if there is one."""
    arrays = [x for x in operands if x.ndim]
    if not arrays:
        return ()
    first = arrays[0]
    if any(x.shape != first.shape for x in arrays):
        return None
    order = tuple(range(first.ndim))
    if not first.flags.c_contiguous:
        order = tuple(sorted(order, key=lambda d: -first.strides[d]))
    if all(x.transpose(order).flags.c_contiguous for x in arrays):
        return order
    return None


@on_host
def _repeat(x: Array, size: int) -> Array:
    return np.full(min(size, CHUNK), x, x.dtype)


def _run_by_rows(
    kernels: ElementwiseKernels, dtype: np.dtype[Any], out_dtype: np.dtype[Any], operands: tuple[Array, ...]
) -> Array:
    shape = broadcast_shapes(*[x.shape for x in operands])
    spread = [_spread_strides(x, shape) for x in operands]
    # The result takes the memory order of the first operand that has the full shape and repeats nothing.
    model: Shape = (0,) * len(shape)
    for steps in reversed(spread):
        if all(step or extent == 1 for step, extent in zip(steps, shape, strict=True)):
            model = steps
    order = tuple(sorted(range(len(shape)), key=lambda d: -abs(model[d])))
    turned = tuple([shape[d] for d in order])
    out = empty(turned, out_dtype)
    if out.size:
        arrays = ([*operands, operands[-1], operands[-1]])[:3]
        strides = [tuple([steps[d] for d in order]) for steps in ([*spread, spread[-1], spread[-1]])[:3]]
        extents, merged = merge(turned, [*strides, out.strides])
        kernel = kernels.by_turns if _in_turns([*arrays, out], extents, merged) else kernels.by_rows
        _walk_rows(kernel[dtype], [_first(x) for x in (*arrays, out)], extents, merged, [0] * 4)
    return _turned_back(out, order)


def _in_turns(arrays: list[Array], extents: Shape, strides: list[Shape]) -> bool:
    """Whether these are operands and result of `_row_by_turns`."""
    if not extents or extents[-1] < TURN:
        return False
    steps = tuple([places[-1] / a.itemsize for a, places in zip(arrays, strides, strict=True)])
    return steps in ((1, 1, 1, 1), (1, 0, 0, 1), (0, 1, 1, 1))


def _spread_strides(x: Array, shape: Shape) -> Shape:
    """The strides of x as repeated to `shape`."""
    new = len(shape) - x.ndim
    return (0,) * new + tuple([0 if extent == 1 else step for extent, step in zip(x.shape, x.strides, strict=True)])


def _first(x: Array) -> Array:
    """The first element of x, alone in an array of one dimension."""
    return x[(slice(0, 1),) * x.ndim].reshape(-1) if x.ndim else x.reshape(1)


def _turned_back(out: Array, order: Shape) -> Array:
    """`out`, whose dimension i is dimension order[i] of the result, as the result: itself where that is the same."""
    if order == tuple(range(len(order))):
        return out
    return out.transpose([order.index(d) for d in range(len(order))])


def _walk_rows(
    entry: Callable[..., None], firsts: list[Array], shape: Shape, strides: list[Shape], places: list[int]
) -> None:
    """Run a kernel of `_walk` from these places on."""
    if len(shape) > RANK:
        for i in range(shape[0]):
            moved = [place + i * steps[0] for place, steps in zip(places, strides, strict=True)]
            _walk_rows(entry, firsts, shape[1:], [steps[1:] for steps in strides], moved)
        return
    lead = RANK - len(shape)
    n0, n1, n2, n3 = full = (1,) * lead + shape
    columns = min(n3, CHUNK)
    across = -(-n3 // columns)
    rows = CHUNK // columns
    table = [*full]
    for place, steps in zip(places, strides, strict=True):
        table += [place, *[0] * lead, *steps]
    table += [across, columns, rows]
    chunks = -(-(n0 * n1 * n2) // rows) * across
    entry(chunks, n0 * n1 * n2 * n3 < SERIAL, (*firsts, np.array(table, np.int64)))
