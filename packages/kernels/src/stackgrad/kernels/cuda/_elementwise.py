"""map and zip: one function of scalars, applied to every element.

    elements   |0 1 2 3 ...                                                                          n|
    threads    |block 0: 0 .. 255|block 1|...|last block|block 0 again, one grid further|...

Neighbouring threads take neighbouring elements, so that a warp reads and writes whole lines of memory. Operands that
lie alike, in whatever order of dimensions, are walked as one run; a single value is read at stride 0. Anything else,
such as a broadcast row or a slice with steps, is brought to four dimensions, in which each thread finds its elements.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from stackgrad.tensor import OPS, Op
from stackgrad.tensor._shape import broadcast_shapes

from .._index import by_stride, inverse, memory_order, spread_strides, three
from .._scalar import power_of_integers, types_of
from ._array import DeviceArray, empty, permute
from ._driver import cuda, inlined
from ._kernel import BLOCK, Kernel, boolean, cover, int64, integers, named, pointer
from ._math import compile_scalar
from ._strides import RANK, offset_of, parts

Operands = Callable[[Any], tuple[Any, Any, Any, Any]]


def _scalar(x, y, z):
    """Stand-in: each kernel below is compiled with the function of one op in its place."""
    return x


@inlined
def _written(x):
    """What is written: where the result is a bool, `bool` stands in its place."""
    return x


class Steps(NamedTuple):
    """How far apart the elements of each operand lie: 1, or 0 for a single value."""

    x: Any
    y: Any
    z: Any


class Walk(NamedTuple):
    """The extents of RANK dimensions, and the strides of operands and result in them."""

    extents: Any
    x: Any
    y: Any
    z: Any
    out: Any


def _flat(x, y, z, out, step, n):
    """Operands that lie alike, or are single values."""
    i = cuda.grid(1)
    while i < n:
        out[i] = _written(_scalar(x[i * step.x], y[i * step.y], z[i * step.z]))
        i += cuda.gridsize(1)


def _strided(x, y, z, out, walk, n):
    """Operands and result of any strides."""
    i = cuda.grid(1)
    while i < n:
        value = _scalar(
            x[offset_of(i, walk.extents, walk.x)],
            y[offset_of(i, walk.extents, walk.y)],
            z[offset_of(i, walk.extents, walk.z)],
        )
        out[offset_of(i, walk.extents, walk.out)] = _written(value)
        i += cuda.gridsize(1)


class ElementwiseKernels:
    """The two kernels of one function of up to three scalars; `operands` gives the Numba types of these and of the
    result for an element type. Integers may have a function of their own."""

    def __init__(
        self,
        name: str,
        scalar: Any,
        operands: Operands,
        dtypes: str,
        registered: bool = True,
        of_integers: Any = None,
    ) -> None:
        def flat(T: Any) -> tuple[Any, ...]:
            return *map(pointer, operands(T)), named(Steps, int64), int64

        def strided(T: Any) -> tuple[Any, ...]:
            return *map(pointer, operands(T)), named(Walk, integers(RANK)), int64

        def bind(dtype: np.dtype[Any]) -> dict[str, Any]:
            *_, result = operands(dtype)
            function = of_integers if of_integers and dtype == np.dtype("int64") else scalar
            return {"_scalar": function, "_written": bool if result in (boolean, np.dtype("bool")) else _written}

        self.flat, self.strided = (
            Kernel(body, signature, BLOCK, dtypes, f"{name}{body.__name__}", registered, bind)
            for body, signature in ((_flat, flat), (_strided, strided))
        )


def _op_kernels(op: Op) -> ElementwiseKernels:
    scalar = compile_scalar(op.scalar)
    of_integers = inlined(power_of_integers) if op.name == "pow" else None
    return ElementwiseKernels(op.name, scalar, types_of(op, boolean), op.accepts, of_integers=of_integers)


_KERNELS = {op.name: _op_kernels(op) for op in OPS.values()}


def elementwise(op: Op, *operands: DeviceArray) -> DeviceArray:
    """See Backend.elementwise."""
    dtype = operands[-1].dtype
    return run(_KERNELS[op.name], dtype, np.dtype(bool) if op.result == "bool" else dtype, *operands)


def run(
    kernels: ElementwiseKernels, dtype: np.dtype[Any], out_dtype: np.dtype[Any], *operands: DeviceArray
) -> DeviceArray:
    """The kernels' function of operands that broadcast, entered for element type `dtype`."""
    shape = broadcast_shapes(*[x.shape for x in operands])
    order = memory_order([(x.shape, x.strides) for x in operands], shape)
    out = permute(empty(tuple([shape[d] for d in order]), out_dtype), inverse(order))
    write(kernels, dtype, operands, out)
    return out


def write(
    kernels: ElementwiseKernels, dtype: np.dtype[Any], operands: tuple[DeviceArray, ...], out: DeviceArray
) -> None:
    """As `run`, into `out`, which may lie in any way but overlap an operand that lies otherwise."""
    if not out.size:
        return
    steps = [_step(x, out) for x in operands]
    if None not in steps and out.is_gapless:
        kernels.flat[dtype](cover(out.size), *three(operands), out, Steps(*three(steps)), out.size)
        return
    order = by_stride(out.shape, out.strides)
    arrays = [*operands, out]
    strides = [tuple([spread_strides(x.shape, x.strides, out.shape)[d] for d in order]) for x in arrays]
    for views, shape in parts(arrays, tuple([out.shape[d] for d in order]), strides):
        count = int(np.prod(shape))
        four = *three(views[:-1]), views[-1]
        kernels.strided[dtype](cover(count), *four, Walk(shape, *[view.strides for view in four]), count)


def _step(x: DeviceArray, out: DeviceArray) -> int | None:
    """1 where x lies as `out` does, 0 where it is a single value, else None."""
    if x.size == 1:
        return 0
    if x.shape != out.shape:
        return None
    alike = [n == 1 or mine == its for n, mine, its in zip(x.shape, x.strides, out.strides, strict=True)]
    return 1 if all(alike) else None
