"""Stages of fused functions: one kernel computes all results for each element, in registers.

Operands that have the layout of the results, or are single values, are processed as one run, as in `_elementwise`;
others in four dimensions, in the memory order of the results. Results to be reduced are written first, and then reduced
by `_reduce`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any

import numpy as np

from stackgrad.tensor import REDUCTIONS
from stackgrad.tensor._stage import Result, Stage

from .._index import memory_order, merge
from .._scalar import fused_scalar, fused_source
from . import _reduce
from ._array import DeviceArray, maker
from ._driver import cuda, inlined, types
from ._kernel import _NUMBA, BLOCK, Kernel, cover, int64, integers, pointer, stored
from ._math import function_of
from ._strides import RANK, offset_of

ALONG, SINGLE, APART = "along", "single", "apart"  # an operand's layout: that of the results, one value, or strides


def _text(layouts: Sequence[str], results: int) -> str:
    """The kernel's source. `walk` holds the extents, and then the strides of each operand whose layout is APART."""
    operands, written = [f"x{i}" for i in range(len(layouts))], [f"r{i}" for i in range(results)]
    index, taken, apart = {ALONG: "i", SINGLE: "0"}, [], 0
    for x, layout in zip(operands, layouts, strict=True):
        apart += layout == APART
        taken.append(f"{x}[{index.get(layout, f'offset_of(i, walk[0], walk[{apart}])')}]")
    lines = [
        f"def fused({', '.join([*operands, *written, 'walk', 'n'])}):",
        "    i = cuda.grid(1)",
        "    while i < n:",
        f"        {', '.join(f't{i}' for i in range(results))} = _scalar({', '.join(taken)})",
        *[f"        {r}[i] = t{i}" for i, r in enumerate(written)],
        "        i += cuda.gridsize(1)",
    ]
    return "\n".join(lines) + "\n"


def kernel_of(stage: Stage, layouts: Sequence[str]) -> Kernel:
    """The kernel of a stage whose operands have these layouts."""
    dtypes = [*stage.dtypes, *[stage.slot_dtype(result.slot) for result in stage.results]]
    text = _text(layouts, len(stage.results))
    key = f"{text}{fused_source(stage)}{[dtype.name for dtype in dtypes]}"
    found = _kernels.get(key)
    if found is not None:
        return found
    name = f"fused_{sha256(key.encode()).hexdigest()[:16]}"
    namespace: dict[str, Any] = {"cuda": cuda, "offset_of": offset_of, "__name__": __name__}
    namespace["_scalar"] = fused_scalar(stage, name, function_of, inlined)
    exec(text, namespace)
    signature = (
        *[pointer(_NUMBA[stored(dtype)]) for dtype in dtypes],
        types.UniTuple(integers(RANK), 1 + list(layouts).count(APART)),
        int64,
    )
    found = _kernels[key] = Kernel(namespace["fused"], lambda T: signature, BLOCK, "s", name)
    return found


_kernels: dict[str, Kernel] = {}  # by everything that they are made from


def plan_stage(
    stage: Stage, arrays: Sequence[DeviceArray], composed: Callable[..., Sequence[DeviceArray]]
) -> Callable[..., Sequence[DeviceArray]]:
    """See Backend.plan_stage; `composed` is used if more than RANK dimensions remain."""
    shape = stage.shape
    spread = [
        tuple([0 if axis is None or x.shape[axis] == 1 else x.strides[axis] for axis in operand.axes])
        for x, operand in zip(arrays, stage.operands, strict=True)
    ]
    order = memory_order([(shape, strides) for strides in spread], shape)
    makers = [maker(shape, stage.slot_dtype(result.slot), order) for result in stage.results]
    example = makers[0]()
    in_order = tuple([shape[d] for d in order])
    extents, strides = merge(in_order, [tuple([s[d] for d in order]) for s in (*spread, example.strides)])
    if len(extents) > RANK:
        return composed
    fill = (0,) * (RANK - len(extents))
    layouts = [SINGLE if not any(s) else ALONG if s == strides[-1] else APART for s in strides[:-1]]
    walk = ((1,) * len(fill) + extents, *[fill + s for s, at in zip(strides, layouts, strict=False) if at == APART])
    launch, size = kernel_of(stage, layouts)[np.dtype(np.float32)], example.size
    ends = [_reduced(result) for result in stage.results]

    def run(*arrays: DeviceArray) -> list[DeviceArray]:
        made = [make() for make in makers]
        launch(cover(size), *arrays, *made, walk, size)
        return [end(out) for end, out in zip(ends, made, strict=True)]

    return run


def _reduced(result: Result) -> Callable[[DeviceArray], DeviceArray]:
    if result.reduction is None:
        return lambda out: out
    reduction = REDUCTIONS[result.reduction]
    return lambda out: _reduce.reduce(reduction, out, result.dims)
