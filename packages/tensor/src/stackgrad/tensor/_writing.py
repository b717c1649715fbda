"""Writes to the memory of a tensor: every write, by a key, in place or in an optimizer step, goes through here.

A write that a gradient flows through is part of the graph: the tensor takes the history of the written value, and so
do the tensors that it is a view of. Writes are counted, so that backward raises if a saved tensor has changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ._autograd import BuiltinFunction, Context, Function
from ._dtypes import PROMOTION, int64, is_float, nearest_dtype
from ._errors import not_a_tensor
from ._indexing import BasicKey, parse, take
from ._mode import is_recording
from ._ops import common_backend, elementwise, expand
from ._shape import broadcast_shapes
from ._source import Source
from ._types import Shape
from ._value import Value
from ._views import reshape

if TYPE_CHECKING:
    from ._tensor import Tensor


# --- checks for every write


def expect_writable(what: str, x: Value) -> None:
    """Raise ValueError for read-only memory, and for elements that share memory."""
    if not x.backend.is_writable(x.data):
        raise ValueError(f"{what} to a tensor of shape {x.shape} in read-only memory: clone() it first")
    if x.layout.repeats:
        raise ValueError(f"{what} to an expanded view of shape {x.shape}: its elements share memory; clone() it first")


def count_writes(x: Value, count: int = 1) -> None:
    """Count writes to `x`, for tensors saved from it, and repeat them in the twins of its memory."""
    version = x._version or x.version
    version.count += count
    if version.twins:
        version.write_twins(x.backend, x.data)


def expect_history(what: str, x: Value, *others: Value) -> bool:
    """Whether to record a write to `x` of a value computed from `others`.

    Raises RuntimeError if it cannot be recorded: it would change a leaf, or the origin of the view `x` is unknown.
    """
    if not is_recording():
        return False
    recorded = x.requires_grad or any([other.requires_grad for other in others])  # noqa: C419 - faster
    at: Value | None = x
    while at is not None:
        if at.node is None and at._requires_grad:
            raise RuntimeError(
                f"{what} to {'a view of ' if at is not x else ''}a leaf that requires a gradient: do it under "
                "no_grad(), or out of place"
            )
        source = at.source
        if source is None:
            break
        at = source.origin[0] if source.origin is not None else None
        if source.lost or (recorded and source.outside):
            raise RuntimeError(
                f"{what} with a gradient to a view whose origin was not recorded: it was made under no_grad(), or in "
                "a Function, or of too many views; clone() it first, or write under no_grad()"
            )
    return recorded


# --- a write as part of the graph


class Region:
    """A part of a tensor that was written: how to read it, and how to zero it."""

    index: Sequence[Tensor] = ()  # the tensors that it depends on

    def take(self, x: Tensor) -> Tensor:
        """The region of `x`."""
        raise NotImplementedError

    def clear(self, x: Tensor) -> None:
        """Write zeros to the region of `x`, which is in C order."""
        part = self.take(x).data
        x.backend.assign(part, x.backend.constant(0, x.dtype))

    def last(self, g: Tensor) -> Tensor:
        """The region of `g`, with zeros for elements that a later equal index overwrote."""
        return self.take(g)


class ViewRegion(Region):
    """The part of its parent that a view shows."""

    def __init__(self, function: type[Function], args: tuple[Any, ...]) -> None:
        self.function, self.args = function, args

    def take(self, x: Tensor) -> Tensor:
        return self.function.apply(x, *self.args)


class KeyRegion(Region):
    """The part that a key selects."""

    def __init__(self, shape: Shape, basic: BasicKey, arrays: dict[int, Tensor]) -> None:
        self.shape, self.basic, self.arrays = shape, basic, arrays
        self.index = list(arrays.values())

    def take(self, x: Tensor) -> Tensor:
        return take(x, self.basic, self.arrays)

    def clear(self, x: Tensor) -> None:
        if self.arrays:
            _put(x, self, x.new(x.backend.constant(0, x.dtype)))
        else:
            super().clear(x)

    def offsets(self, x: Tensor) -> Tensor:
        """The offsets in `x`, in C order, of the selected elements."""
        return self.take(reshape(_count(x, x.numel()), x.shape))

    def last(self, g: Tensor) -> Tensor:
        part = self.take(g)
        if not self.arrays or not part.numel():
            return part
        backend, offsets = g.backend, reshape(self.offsets(g), (part.numel(),)).data
        order = _count(g, part.numel())
        winner = backend.full((g.numel(), 1), 0, int64)
        backend.scatter(winner, offsets, reshape(order, (part.numel(), 1)).data)
        won = reshape(g.new(backend.gather(winner, offsets)), (part.numel(),)) == order
        return elementwise("where", reshape(won, part.shape), part, 0)


def _count(x: Tensor, n: int) -> Tensor:
    """0, 1, ... n - 1, on the backend of `x`."""
    return x.new(x.backend.full((n,), 1, int64)).cumsum(0) - 1


class Written(BuiltinFunction):
    """`x` after `part` was written to a region of it. This records the write; the memory has changed already."""

    @staticmethod
    def forward(ctx: Context, x: Tensor, part: Tensor, region: Region) -> Tensor:
        ctx.region = region
        ctx.save(*region.index)
        return x.new(x.data, x.version)

    @staticmethod
    def backward(ctx: Context, g: Tensor) -> tuple[Tensor | None, ...]:
        region: Region = ctx.region
        ctx.saved  # noqa: B018 - raises if an index was changed since
        return (
            Cleared.apply(g, region) if ctx.needs[0] else None,
            region.last(g) if ctx.needs[1] else None,
        )


class Cleared(BuiltinFunction):
    """A copy of `x` with zeros in a region. It is its own gradient."""

    @staticmethod
    def forward(ctx: Context, x: Tensor, region: Region) -> Tensor:
        ctx.region = region
        out = x.new(x.backend.copy(x.data))
        region.clear(out)
        return out

    @staticmethod
    def backward(ctx: Context, g: Tensor) -> Tensor:
        return Cleared.apply(g, ctx.region)


def _alias(x: Tensor) -> Tensor:
    """The same memory without a history."""
    return x.new(x.memory(), x.version)


def as_before(x: Tensor) -> Tensor:
    """An alias of `x` with its history before a write."""
    out = _alias(x)
    out.node, out._requires_grad = x.node, x.requires_grad
    return out


def adopt(x: Tensor, history: Tensor) -> None:
    """Give `x` the history of the written value `history`, and record the write in the tensors it is a view of."""
    Source.written = True
    x.version.records = records = x.version.records + 1
    x.node, x._requires_grad = history.node, True
    while x.source is not None and x.source.origin is not None:
        x.source.seen = records
        parent, function, args = cast("tuple[Tensor, type[Function], tuple[Any, ...]]", x.source.origin)
        parent.node, x = Written.apply(as_before(parent), x, ViewRegion(function, args)).node, parent
        parent._requires_grad = True


# --- writes by a key


def write(x: Tensor, key: Any, value: Any) -> None:
    """x[key] = value for a tensor, scalar, array or list, which broadcasts to x[key].

    Raises RuntimeError for a leaf that requires a gradient while operations are recorded, TypeError for a dtype that
    would lose values, and ValueError for other shapes and for read-only or shared memory.
    """
    source = cast("Tensor", value) if isinstance(value, Value) else _as_source(value, x)
    recorded = expect_history("in-place write", x, source)
    common_backend("in-place write", x, source)
    if PROMOTION.index(source.dtype) > PROMOTION.index(x.dtype) and not is_float(x.dtype):
        raise TypeError(f"in-place write of {source.dtype} into {x.dtype} would lose values: use .astype({x.dtype})")
    expect_writable("in-place write", x)
    if not recorded:
        source = _alias(source)
    source, region = source.astype(x.dtype), KeyRegion(x.shape, *parse(x, key))
    before = as_before(x)
    part = _put(_alias(x), region, source)
    count_writes(x)
    if recorded:
        adopt(x, Written.apply(before, part, region))


def _put(x: Tensor, region: KeyRegion, value: Tensor) -> Tensor:
    """x[key] = value, for a value of x's dtype. Returns the value, broadcast."""
    backend = x.backend
    if not region.arrays:
        view = backend.slice(x.data, region.basic)
        value = expand_to(value, view.shape)
        backend.assign(view, value.data)
        return value
    offsets = region.offsets(x)
    value = expand_to(value, offsets.shape)
    source = _alias(value).clone()  # the value may overlap x
    flat = backend.reshape(x.data, (x.numel(), 1))
    backend.scatter(flat, reshape(offsets, (offsets.numel(),)).data, reshape(source, (source.numel(), 1)).data)
    if not backend.shares_memory(flat, x.data):
        backend.assign(x.data, backend.reshape(flat, x.shape))
    return value


def _as_source(value: Any, x: Tensor) -> Tensor:
    """A value that is not a tensor, as a tensor on the backend of `x`."""
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"in-place write of ragged data: expected rows of equal length ({error})") from None
    if array.dtype.kind == "O":
        raise not_a_tensor("in-place write", value, "a tensor, numbers or an array of them")
    dtype = x.dtype if not array.size else nearest_dtype(array.dtype)
    return x.new(x.backend.from_numpy(array.astype(dtype, copy=False)))


def expand_to(value: Tensor, shape: Shape) -> Tensor:
    """`value` broadcast to exactly `shape`. Raises ValueError if it does not broadcast."""
    while value.ndim > len(shape) and value.shape[0] == 1:
        value = reshape(value, value.shape[1:])
    if value.ndim > len(shape) or broadcast_shapes(value.shape, shape) != shape:
        raise ValueError(f"value of shape {value.shape} does not broadcast to {shape}")
    return expand(value, shape)
