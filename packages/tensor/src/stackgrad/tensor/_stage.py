"""The steps of a fused function, as a backend is given them, and how they are composed of its operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ._optable import OPS, REDUCTIONS
from ._shape import Shape

if TYPE_CHECKING:
    from ._backend import Array, Backend

DType = np.dtype[Any]
Axes = tuple[int | None, ...]


class Operand(NamedTuple):
    """Dimension axes[d] of the value `source` lies along dimension d of the stage; None: it is repeated."""

    source: int
    axes: Axes


class Line(NamedTuple):
    """`op` (or "cast", or "constant" of `value`) of earlier slots: first come the operands, then the lines."""

    op: str
    slots: tuple[int, ...]
    dtype: DType
    value: Any = None


class Result(NamedTuple):
    """A slot, as it is or reduced over `dims` by the reduction of that name."""

    slot: int
    reduction: str | None = None
    dims: Shape = ()


class Stage(NamedTuple):
    """What one kernel can do: for each element of `shape` the lines, and from them the results."""

    shape: Shape
    operands: tuple[Operand, ...]
    dtypes: tuple[DType, ...]  # of the operands
    lines: tuple[Line, ...]
    results: tuple[Result, ...]

    def slot_dtype(self, slot: int) -> DType:
        return (*self.dtypes, *[line.dtype for line in self.lines])[slot]


class Given(NamedTuple):
    """A value in memory, or the view of it by these axes."""

    source: int
    axes: Axes | None = None


class Call(NamedTuple):
    """A method of the backend, of one array between other arguments."""

    given: Given
    method: str
    before: tuple[Any, ...]
    behind: tuple[Any, ...]


def aligned(backend: Backend, array: Array, axes: Axes) -> Array:
    """The view of `array` of which dimension d is its dimension axes[d], or of extent 1."""
    chosen = [axis for axis in axes if axis is not None]
    others = [d for d in range(array.ndim) if d not in chosen]
    extents = tuple([1 if axis is None else array.shape[axis] for axis in axes])
    return backend.reshape(backend.permute(array, (*chosen, *others)), extents)


def plan_composed(backend: Backend, stage: Stage) -> Callable[..., list[Array]]:
    """What does a stage by the backend's operations, one after the other."""

    def run(*arrays: Array) -> list[Array]:
        slots = [aligned(backend, a, operand.axes) for a, operand in zip(arrays, stage.operands, strict=True)]
        for line in stage.lines:
            operands = [slots[i] for i in line.slots]
            if line.op == "constant":
                slots.append(backend.constant(line.value, line.dtype))
            elif line.op == "cast":
                slots.append(operands[0] if operands[0].dtype == line.dtype else backend.copy(operands[0], line.dtype))
            else:
                slots.append(backend.elementwise(OPS[line.op], *operands))
        out = []
        for result in stage.results:
            whole = backend.expand(slots[result.slot], stage.shape)
            if result.reduction is not None:
                out.append(backend.reduce(REDUCTIONS[result.reduction], whole, result.dims))
            else:
                out.append(backend.copy(whole))
        return out

    return run
