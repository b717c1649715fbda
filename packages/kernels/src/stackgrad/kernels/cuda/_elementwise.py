"""map and zip: one function of scalars, applied to every element.

    elements   |0 1 2 3 ...                                                                          n|
    threads    |block 0: 0 .. 255|block 1|...|last block|block 0 again, one grid further|...

Adjacent threads take adjacent elements, so that a warp reads and writes whole lines of memory. Operands with the same
layout, in any order of dimensions, are processed as one run; a single value is read with stride 0. Other operands, such
as a broadcast row or a slice with steps, are brought to four dimensions, in which each thread finds its elements. The
preparations for operands of one form are made once: a `_Plan`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from stackgrad.tensor import OPS, Op
from stackgrad.tensor._plans import Plans, layouts
from stackgrad.tensor._shape import broadcast_shapes
from stackgrad.tensor._types import Shape

from .._index import by_stride, memory_order, merge, spread_strides, three
from .._scalar import OF_INTEGERS, types_of
from ._array import DeviceArray, maker
from ._driver import cuda, inlined
from ._kernel import BLOCK, Kernel, Launch, boolean, cover, int64, integers, named, pointer
from ._math import compile_scalar
from ._strides import RANK, offset_of, parts

Operands = Callable[[Any], tuple[Any, Any, Any, Any]]
Write = Callable[[tuple[DeviceArray, ...], DeviceArray], None]


def _scalar(x, y, z):
    """Placeholder: each kernel below is compiled with the function of one op instead."""
    return x


@inlined
def _written(x):
    """The value to write; `bool` replaces this function if the result is a bool."""
    return x


class Steps(NamedTuple):
    """The stride of each operand, in elements: 1, or 0 for a single value."""

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
    """Operands that have the layout of the result or are single values."""
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
    """The two kernels of a function of up to three scalars; integers may have a function of their own.

    `operands` maps an element type to the Numba types of the scalars and of the result."""

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
            return *map(pointer, operands(T)), named(Steps), int64

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
        self.plans: Plans[_Plan] = Plans(_plan)
        self.writes: Plans[Write] = Plans(_plan_write)


def plan_elementwise(op: Op, *operands: DeviceArray) -> Callable[..., DeviceArray]:
    """See Backend.plan_elementwise."""
    dtype = operands[-1].dtype
    return _find(_KERNELS[op.name], dtype, np.dtype(bool) if op.result == "bool" else dtype, operands).run


def elementwise(op: Op, *operands: DeviceArray) -> DeviceArray:
    """See Backend.elementwise."""
    return plan_elementwise(op, *operands)(*operands)


def run(
    kernels: ElementwiseKernels, dtype: np.dtype[Any], out_dtype: np.dtype[Any], *operands: DeviceArray
) -> DeviceArray:
    """Apply the kernels' function to operands that broadcast, with the kernel for element type `dtype`."""
    return _find(kernels, dtype, out_dtype, operands).run(*operands)


def write(
    kernels: ElementwiseKernels, dtype: np.dtype[Any], operands: tuple[DeviceArray, ...], out: DeviceArray
) -> None:
    """Like `run`, but write to `out`, of any layout. An operand that overlaps it must have the same layout."""
    kernels.writes.find((dtype, layouts((*operands, out))), kernels, dtype, operands, out)(operands, out)


def _find(
    kernels: ElementwiseKernels, dtype: np.dtype[Any], out_dtype: np.dtype[Any], operands: tuple[DeviceArray, ...]
) -> _Plan:
    return kernels.plans.find((dtype, layouts(operands)), kernels, dtype, out_dtype, operands)


class _Plan(NamedTuple):
    """A function that makes the result's array, and one that writes to it."""

    make: Callable[[], DeviceArray]
    write: Write

    def run(self, *operands: DeviceArray) -> DeviceArray:
        """The result for operands of the shapes and strides of this plan."""
        out = self.make()
        self.write(operands, out)
        return out


def _plan(
    kernels: ElementwiseKernels, dtype: np.dtype[Any], out_dtype: np.dtype[Any], operands: tuple[DeviceArray, ...]
) -> _Plan:
    shape = broadcast_shapes(*[x.shape for x in operands])
    make = maker(shape, out_dtype, memory_order(layouts(operands), shape))
    return _Plan(make, _plan_write(kernels, dtype, operands, make()))


def _plan_write(
    kernels: ElementwiseKernels, dtype: np.dtype[Any], operands: tuple[DeviceArray, ...], out: DeviceArray
) -> Write:
    if not out.size:
        return lambda operands, out: None
    steps = [_step(x, out) for x in operands]
    if None not in steps and out.is_gapless:
        return partial(_launch, kernels.flat[dtype], Steps(*three(steps)), out.size)
    order = by_stride(out.shape, out.strides)
    shape = tuple([out.shape[d] for d in order])
    strides = [tuple([spread_strides(x.shape, x.strides, out.shape)[d] for d in order]) for x in (*operands, out)]
    if len(merge(shape, strides)[0]) > RANK:
        return partial(_launch_parts, kernels.strided[dtype], shape, strides)
    ((views, extents),) = parts((*operands, out), shape, strides)
    walk = Walk(extents, *[view.strides for view in (*three(views[:-1]), views[-1])])
    return partial(_launch, kernels.strided[dtype], walk, out.size)


def _launch(kernel: Launch, steps: Steps | Walk, size: int, operands: Sequence[DeviceArray], out: DeviceArray) -> None:
    kernel(cover(size), *three(operands), out, steps, size)


def _launch_parts(
    kernel: Launch, shape: Shape, strides: list[Shape], operands: tuple[DeviceArray, ...], out: DeviceArray
) -> None:
    """With more than RANK dimensions, make one launch for each index of the first ones."""
    for views, extents in parts((*operands, out), shape, strides):
        *read, written = views
        walk = Walk(extents, *[view.strides for view in (*three(read), written)])
        _launch(kernel, walk, math.prod(extents), read, written)


def _step(x: DeviceArray, out: DeviceArray) -> int | None:
    """1 if x has the layout of `out`, 0 if it is a single value, else None."""
    if x.size == 1:
        return 0
    if x.shape != out.shape:
        return None
    same = [n == 1 or mine == its for n, mine, its in zip(x.shape, x.strides, out.strides, strict=True)]
    return 1 if all(same) else None


def _op_kernels(op: Op) -> ElementwiseKernels:
    scalar = compile_scalar(op.scalar)
    of_integers = inlined(OF_INTEGERS[op.name]) if op.name in OF_INTEGERS else None
    return ElementwiseKernels(op.name, scalar, types_of(op, boolean), op.accepts, of_integers=of_integers)


_KERNELS = {op.name: _op_kernels(op) for op in OPS.values()}
