"""The stages of a fused function, as a backend receives them, and their composition of the backend's operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from ._optable import OPS, REDUCTIONS
from ._types import DType, Shape

if TYPE_CHECKING:
    from ._backend import Backend
    from ._types import Array

Axes = tuple[int | None, ...]


class Operand(NamedTuple):
    """The value of index `source`, whose dimension axes[d] is dimension d of the stage; None: it is repeated."""

    source: int
    axes: Axes


class Line(NamedTuple):
    """`op` (or "cast", or "constant" of `value`) applied to earlier slots: the operands, then the lines."""

    op: str
    slots: tuple[int, ...]
    dtype: DType
    value: Any = None


class Result(NamedTuple):
    """A slot, or its reduction of that name over `dims`."""

    slot: int
    reduction: str | None = None
    dims: Shape = ()


class Stage(NamedTuple):
    """The work of one kernel: for each element of `shape`, compute the lines, and from them the results."""

    shape: Shape
    operands: tuple[Operand, ...]
    dtypes: tuple[DType, ...]  # of the operands
    lines: tuple[Line, ...]
    results: tuple[Result, ...]

    def slot_dtype(self, slot: int) -> DType:
        return (*self.dtypes, *[line.dtype for line in self.lines])[slot]


class Given(NamedTuple):
    """A value in memory, or its view by these axes."""

    source: int
    axes: Axes | None = None


class Call(NamedTuple):
    """A call of a backend's method, with an array between other arguments."""

    given: Given
    method: str
    before: tuple[Any, ...]
    after: tuple[Any, ...]


def aligned(backend: Backend, array: Array, axes: Axes) -> Array:
    """The view of `array` whose dimension d is its dimension axes[d], or has extent 1 where that is None."""
    chosen = [axis for axis in axes if axis is not None]
    others = [d for d in range(array.ndim) if d not in chosen]
    extents = tuple([1 if axis is None else array.shape[axis] for axis in axes])
    return backend.reshape(backend.permute(array, (*chosen, *others)), extents)


def plan_composed(backend: Backend, stage: Stage) -> Callable[..., list[Array]]:
    """A function that computes a stage with the backend's operations, one after the other."""

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
