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
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from stackgrad.tensor import OPS, Op

from ._buffers import empty
from ._jit import Kernel, Signature, helper, rebind
from ._on_host import on_host
from ._parallel import CHUNK, SERIAL
from ._simd import load, load_at, place, store, store_at

Array = NDArray[Any]
Shape = tuple[int, ...]

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


def _by_rows(chunk, x, y, z, out, across, columns, rows):
    """`rows` rows of `columns` elements of the last dimension; `across` chunks side by side cover it."""
    n0, n1, n2, n3 = out.shape
    first, left = chunk // across * rows, chunk % across * columns
    right = min(n3, left + columns)
    for row in range(first, min(n0 * n1 * n2, first + rows)):
        i, j, k = row // (n1 * n2), row // n2 % n1, row % n2
        xs, ys, zs = place(x, i, j, k, left), place(y, i, j, k, left), place(z, i, j, k, left)
        to = place(out, i, j, k, left)
        for _ in range(right - left):
            store_at(out, to, _scalar(load_at(x, xs), load_at(y, ys), load_at(z, zs)))
            xs += x.strides[3]
            ys += y.strides[3]
            zs += z.strides[3]
            to += out.strides[3]


class ElementwiseKernels:
    """The two kernels of one function of up to three numbers; `numbers` gives the Numba types of these and of the
    result for an element type."""

    def __init__(self, name: str, scalar: Any, numbers: Signature, key: str | None) -> None:
        flat, by_rows = (rebind(body, f"{name}{body.__name__}", _scalar=scalar) for body in (_flat, _by_rows))
        self.flat = Kernel(flat, lambda T: tuple(t[::1] for t in numbers(T)), key)
        self.by_rows = Kernel(
            by_rows, lambda T: (*(types.Array(t, RANK, "A") for t in numbers(T)), *[types.intp] * 3), key
        )


_NAMES = ("exp", "expm1", "log", "log1p", "sqrt", "sin", "cos", "tanh", "erf")
_FUNCTIONS = {name: getattr(math, name) for name in _NAMES}


def compile_scalar(expression: str) -> Any:
    """The function of x, y, z that `expression` of the op table stands for; T is the type of its last operand."""
    namespace: dict[str, Any] = dict(_FUNCTIONS)
    exec(f"def scalar(x, y, z):\n    T = type(y)\n    return {expression}\n", namespace)
    return helper(namespace["scalar"])


@cache
def _kernels(name: str) -> ElementwiseKernels:
    op = OPS[name]
    first = (lambda T: types.boolean) if name == "where" else (lambda T: T)
    result = (lambda T: types.boolean) if op.result == "bool" else (lambda T: T)
    return ElementwiseKernels(name, compile_scalar(op.scalar), lambda T: (first(T), T, T, result(T)), op.scalar)


def elementwise(op: Op, *operands: Array) -> Array:
    """See Backend.elementwise."""
    dtype = operands[-1].dtype
    return run(_kernels(op.name), dtype, np.dtype(bool) if op.result == "bool" else dtype, *operands)


def run(kernels: ElementwiseKernels, dtype: np.dtype[Any], out_dtype: np.dtype[Any], *operands: Array) -> Array:
    """The kernels' function of operands that broadcast, entered for element type `dtype`."""
    order = _common_order(operands)
    if order is None:
        return _run_by_rows(kernels, dtype, out_dtype, operands)
    like = max(operands, key=lambda x: x.ndim)
    out = empty(tuple(like.shape[d] for d in order), out_dtype)
    if out.size:
        flats = [_repeat(x, out.size) if x.ndim < like.ndim else x.transpose(order).reshape(-1) for x in operands]
        x, y, z = (flats + flats[-1:] * 2)[:3]
        kernels.flat[dtype](-(-out.size // CHUNK), out.size < SERIAL, (x, y, z, out.reshape(-1)))
    return _turned_back(out, order)


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
    shape = np.broadcast_shapes(*(x.shape for x in operands))
    spread = [np.broadcast_to(x, shape) for x in operands]
    # The result takes the memory order of the first operand that has the full shape.
    strides = next((x.strides for x in operands if x.shape == shape), (0,) * len(shape))
    order = tuple(sorted(range(len(shape)), key=lambda d: -abs(strides[d])))
    out = empty(tuple(shape[d] for d in order), out_dtype)
    if out.size:
        x, y, z = ([x.transpose(order) for x in spread] + [spread[-1].transpose(order)] * 2)[:3]
        walk_rows(kernels.by_rows[dtype], (x, y, z, out))
    return _turned_back(out, order)


def _turned_back(out: Array, order: Shape) -> Array:
    """`out`, whose dimension i is dimension order[i] of the result, as the result: itself where that is the same."""
    if order == tuple(range(len(order))):
        return out
    return out.transpose([order.index(d) for d in range(len(order))])


def walk_rows(entry: Callable[..., None], arrays: tuple[Array, ...]) -> None:
    """Run a kernel of `_by_rows` on arrays of one shape, the last of which it writes."""
    shape, strides = _merge(arrays)
    if len(shape) > RANK:
        for i in range(shape[0]):
            inner = [as_strided(a, shape, s)[i] for a, s in zip(arrays, strides, strict=True)]
            walk_rows(entry, tuple(inner))
        return
    lead = RANK - len(shape)
    full = (1,) * lead + shape
    boxes = [as_strided(a, full, (0,) * lead + s) for a, s in zip(arrays, strides, strict=True)]
    columns = min(full[3], CHUNK)
    across = -(-full[3] // columns)
    rows = CHUNK // columns
    chunks = -(-(full[0] * full[1] * full[2]) // rows) * across
    entry(chunks, arrays[-1].size < SERIAL, (*boxes, across, columns, rows))


def _merge(arrays: tuple[Array, ...]) -> tuple[Shape, list[Shape]]:
    """The common shape and each array's strides, with neighbouring dimensions made one where all arrays allow it."""
    shape: list[int] = []
    strides: list[list[int]] = [[] for _ in arrays]
    for d, extent in enumerate(arrays[0].shape):
        if extent == 1:
            continue
        if shape and all(s[-1] == a.strides[d] * extent for a, s in zip(arrays, strides, strict=True)):
            shape[-1] *= extent
            for a, s in zip(arrays, strides, strict=True):
                s[-1] = a.strides[d]
            continue
        shape.append(extent)
        for a, s in zip(arrays, strides, strict=True):
            s.append(a.strides[d])
    return tuple(shape), [tuple(s) for s in strides]
