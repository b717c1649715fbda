"""Views: the same memory under another shape, wherever PyTorch would return a view.

PyTorch's results are in C order; ours may be in another order, such as channels last. So we track the strides that
PyTorch's tensor would have: a tensor without a source is the result of an operation and counts as in C order; a view
has the strides that its function derives from its parent's. If PyTorch's strides allow a view and the memory's do not,
the view is one of a twin: a copy of the parent's memory in PyTorch's order. Every write to one is repeated in the
other, so the difference cannot be observed (see _writing).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ._autograd import BuiltinFunction, Context
from ._backend import Backend
from ._installed import get_backend
from ._plans import Layout, Plans, layout_of
from ._shape import reshaped_strides, strides_in_order
from ._source import Source
from ._types import Array, Shape
from ._value import Value

if TYPE_CHECKING:
    from ._tensor import Tensor

DEEPEST = 200  # the longest chain of views without a gradient whose origin is kept


class View(BuiltinFunction):
    """A function whose result is, or may be, a view of its first argument."""

    @classmethod
    def _compute(cls, ctx: Context, args: tuple[Any, ...], recorded: bool) -> Tensor:
        out, x = cls.forward(ctx, *args), args[0]
        if out._version is not None and out._version is x._version and out is not x:
            out.source = _source(x, cls, args[1:], recorded)
        return out

    @classmethod
    def strides(cls, x: Value, strides: Shape, *args: Any) -> Shape:
        """The strides of the result if those of `x` were `strides`."""
        stand_in = x.new(as_strided(np.empty(1, np.int8), x.shape, strides))  # its elements are never read
        stand_in.backend = get_backend("numpy")
        found: Shape = cls.forward(Context(), stand_in, *args).data.strides
        return found


_OUTSIDE = Source(depth=1, outside=True)


def _source(x: Value, function: type[View], args: tuple[Any, ...], recorded: bool) -> Source:
    before = x.source
    if before is None and not recorded and not x._requires_grad and x.layout.in_order:
        return _OUTSIDE
    depth = before.depth + 1 if before is not None else 1
    if recorded and (depth <= DEEPEST or x._requires_grad):
        return Source((x, function, args), x.version.records, depth)
    lost = x._requires_grad or (before is not None and before.lost)
    strides = None if _has_pytorch_strides(x) else function.strides(x, strides_of(x), *args)
    return Source(None, 0, depth, True, lost, strides)


def _path_to(x: Value) -> tuple[Value, list[tuple[Value, type[View], tuple[Any, ...]]]]:
    """The root of the chain of views that ends at `x`, and the chain from there."""
    path = []
    while x.source is not None and x.source.origin is not None:
        path.append(cast("tuple[Value, type[View], tuple[Any, ...]]", x.source.origin))
        x = x.source.origin[0]
    return x, path[::-1]


def _has_pytorch_strides(x: Value) -> bool:
    """Whether the strides of the memory are known to be PyTorch's."""
    root = x if x.source is None else _path_to(x)[0]
    return root.backend.is_contiguous(root.data) if root.source is None else root.source.strides is None


def strides_of(x: Value) -> Shape:
    """The strides that PyTorch's tensor would have, up to a common factor."""
    root, path = _path_to(x)
    if root.source is None:
        strides = strides_in_order(root.shape)
    else:
        strides = root.data.strides if root.source.strides is None else root.source.strides
    for parent, function, args in path:
        strides = function.strides(parent, strides, *args)
    return strides


def given(x: Tensor) -> Tensor:
    """`x`, whose memory and strides come from another library."""
    if not x.backend.is_contiguous(x.data):
        x.source = Source()
    return x


def owned(x: Tensor) -> Tensor:
    """`x`, a view of memory that nobody else has."""
    x.source = None
    return x


def detached(x: Tensor) -> Tensor:
    """The same memory without the history."""
    out = x.new(x.memory(), x.version)
    if x.source is not None:
        out.source = Source(strides=None if _has_pytorch_strides(x) else strides_of(x))
    return out


class Reshape(View):
    """A view if the strides allow one, else a copy, or with `must_be_view` a view of the twin."""

    @staticmethod
    def forward(ctx: Context, x: Tensor, shape: Shape, must_be_view: bool = False) -> Tensor:
        memory, layout = x.data, x.layout
        ctx.shape = memory.shape
        if must_be_view and reshaped_strides(memory.shape, memory.strides, shape) is None:
            memory = _twin(x)
            layout = layout_of(memory, x.backend)
        data = x.backend.reshape(memory, shape)
        shared, result = _reshaped.find((layout, shape), x.backend, data, memory)
        assert shared or not must_be_view
        return x.new(data, x.version if shared else None, result)

    @staticmethod
    def backward(ctx: Context, g: Tensor) -> Tensor:
        return reshape(g, ctx.shape)

    @classmethod
    def strides(cls, x: Value, strides: Shape, *args: Any) -> Shape:
        found = reshaped_strides(x.shape, strides, args[0])
        return strides_in_order(args[0]) if found is None else found


def _result(backend: Backend, data: Array, memory: Array) -> tuple[bool, Layout]:
    return backend.shares_memory(data, memory), layout_of(data, backend)


# Whether the result of reshape is a view, and its layout: both depend on the operand's layout and the shape alone.
_reshaped: Plans[tuple[bool, Layout]] = Plans(_result)


def reshape(x: Tensor, shape: Shape) -> Tensor:
    return x if x.data.shape == shape else Reshape.apply(x, shape)


def view(x: Tensor, shape: Shape) -> Tensor:
    """See Tensor.view."""
    if x.shape == shape or not x.data.size or (x.source is None and x.backend.is_contiguous(x.data)):
        return reshape(x, shape)
    if reshaped_strides(x.shape, strides_of(x), shape) is None:
        raise ValueError(f"view of shape {x.shape} as {shape}: its strides need a copy; use reshape(...)")
    return Reshape.apply(x, shape, True)


def _twin(x: Tensor) -> Array:
    """`x` as a view of the twin of its root: a copy in PyTorch's order, made on first use."""
    root, path = _path_to(x)
    version, backend = root.version, root.backend
    copy = next((copy for there, copy in version.twins if there is root.data), None)
    if copy is None:
        strides = strides_of(root)
        order = tuple(sorted(range(root.ndim), key=lambda d: -abs(strides[d])))
        in_order = backend.copy(backend.permute(root.data, order))
        copy = backend.permute(in_order, tuple([order.index(d) for d in range(root.ndim)]))
        version.twins = (*version.twins, (root.data, copy))
    part = root.new(copy, version)
    for _, function, args in path:
        part = function.forward(Context(), part, *args)
    return part.data
