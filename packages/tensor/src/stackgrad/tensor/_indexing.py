"""Indexing: reading parts of a tensor. Writes take the same keys (see _writing).

Integers, slices, None and ... select a view. Integer and boolean tensors (or lists, or NumPy arrays) select single
elements: the dimensions they index move to the front and merge into rows, and the rows are gathered. As in NumPy, the
selected dimensions replace the index arrays if those were adjacent, and otherwise come first; as in PyTorch, integers
and tensors of one integer do not count in this.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ._autograd import BuiltinFunction, Context
from ._dtypes import bool_, int64
from ._ops import Permute, expand
from ._shape import broadcast_shapes
from ._types import Shape
from ._value import Value
from ._views import View, owned, reshape

if TYPE_CHECKING:
    from ._tensor import Tensor

BasicKey = tuple[int | slice | None, ...]


class Slice(View):
    @staticmethod
    def forward(ctx: Context, x: Tensor, key: BasicKey) -> Tensor:
        ctx.key, ctx.shape = key, x.shape
        return x.new(x.backend.slice(x.data, key), x.version)

    @staticmethod
    def backward(ctx: Context, g: Tensor) -> Tensor:
        if g.size == math.prod(ctx.shape) and not any(
            isinstance(part, slice) and (part.step or 1) < 0 for part in ctx.key
        ):
            return reshape(g, ctx.shape)  # every element was selected
        return Embed.apply(g, ctx.key, ctx.shape)


class Embed(BuiltinFunction):
    """The adjoint of Slice: zeros of `shape` with g where `key` selects."""

    @staticmethod
    def forward(ctx: Context, g: Tensor, key: BasicKey, shape: Shape) -> Tensor:
        ctx.key = key
        out = g.backend.full(shape, 0, g.dtype)
        g.backend.assign(g.backend.slice(out, key), g.data)
        return g.new(out)

    @staticmethod
    def backward(ctx: Context, g: Tensor) -> Tensor:
        return Slice.apply(g, ctx.key)


class Gather(BuiltinFunction):
    """Rows of x (r, k) at index (m,): (m, k)."""

    @staticmethod
    def forward(ctx: Context, x: Tensor, index: Tensor) -> Tensor:
        ctx.rows = x.shape[0]
        ctx.save(index)
        return x.new(x.backend.gather(x.data, index.data))

    @staticmethod
    def backward(ctx: Context, g: Tensor) -> tuple[Tensor, None]:
        return ScatterAdd.apply(g, *ctx.saved, ctx.rows), None


class ScatterAdd(BuiltinFunction):
    """The adjoint of Gather: rows of g (m, k) added at index (m,) in zeros (rows, k)."""

    @staticmethod
    def forward(ctx: Context, g: Tensor, index: Tensor, rows: int) -> Tensor:
        ctx.save(index)
        return g.new(g.backend.scatter_add(g.data, index.data, rows))

    @staticmethod
    def backward(ctx: Context, g: Tensor) -> tuple[Tensor, None]:
        return Gather.apply(g, *ctx.saved), None


def get(x: Tensor, key: Any) -> Tensor:
    """x[key]."""
    return take(x, *parse(x, key))


def take(x: Tensor, basic: BasicKey, arrays: dict[int, Tensor]) -> Tensor:
    """x[key], for a parsed key."""
    view = Slice.apply(x, basic) if any(k != slice(None) for k in basic) else x
    if not arrays:
        return view if view is not x else Slice.apply(x, basic)
    dims, index = sorted(arrays), _merge(view, arrays)
    rest = [i for i in range(view.ndim) if i not in arrays]
    front = Permute.apply(view, (*dims, *rest))
    kept = tuple(view.shape[i] for i in rest)
    rows, width = math.prod(view.shape[i] for i in dims), math.prod(kept)
    out = reshape(Gather.apply(reshape(front, (rows, width)), reshape(index, (index.numel(),))), index.shape + kept)
    kept_dims = [i for i in range(view.ndim) if i not in arrays or arrays[i].ndim]  # a 0-d index removes one, as an int
    at = [i for i, dim in enumerate(kept_dims) if dim in arrays]
    if at and at[-1] - at[0] == len(at) - 1:
        # adjacent: the selected dimensions move back to where the index arrays were
        n, first = index.ndim, at[0]
        out = Permute.apply(out, (*range(n, n + first), *range(n), *range(n + first, out.ndim)))
    return owned(out)


def parse(x: Tensor, key: Any) -> tuple[BasicKey, dict[int, Tensor]]:
    """The basic part of `key`, with a full slice for each index array, and the arrays by dimension of the view."""
    keys = [_as_index(k, x) for k in (key if isinstance(key, tuple) else (key,))]
    consumed = sum(_dims_taken(k) for k in keys)
    if consumed > x.ndim:
        raise IndexError(f"{consumed} indices for a tensor of shape {x.shape}: expected {x.ndim} at most")
    dots = [i for i, k in enumerate(keys) if k is Ellipsis]
    if len(dots) > 1:
        raise IndexError("an index can contain only one ...")
    at = dots[0] if dots else len(keys)
    keys = [*keys[:at], *[slice(None)] * (x.ndim - consumed), *keys[at + 1 :]]
    basic: list[int | slice | None] = []
    arrays: dict[int, Tensor] = {}
    dim, view_dim = 0, 0  # in x, and in the view that the basic part selects
    for k in keys:
        if isinstance(k, Value):
            index = cast("Tensor", k)
            found = _true_indices(index, x.shape, dim) if k.dtype == bool_ else (in_range(index, x.shape[dim], dim),)
            for index in found:
                arrays[view_dim] = index
                basic.append(slice(None))
                dim, view_dim = dim + 1, view_dim + 1
            continue
        if isinstance(k, int) and not -x.shape[dim] <= k < x.shape[dim]:
            raise IndexError(f"index {k} is out of range for dim {dim} of extent {x.shape[dim]}")
        basic.append(k)
        dim += k is not None
        view_dim += not isinstance(k, int)
    return tuple(basic), arrays


def _dims_taken(k: Any) -> int:
    if k is None or k is Ellipsis:
        return 0
    return k.ndim if isinstance(k, Value) and k.dtype == bool_ else 1


def _as_index(k: Any, x: Tensor) -> Any:
    if k is None or k is Ellipsis or isinstance(k, slice):
        return k
    if isinstance(k, Value):
        if k.backend is not x.backend:
            raise ValueError(
                f"index on backend {k.backend.name!r} for a tensor on {x.backend.name!r}: bring it over with .to(...)"
            )
        if k.dtype not in (int64, bool_):
            raise IndexError(f"index of dtype {k.dtype}: expected int64 or bool")
        if k.dtype == int64 or k.ndim:
            return k
    if isinstance(k, (bool, np.bool_)) or (isinstance(k, (Value, np.ndarray)) and k.dtype == bool_ and not k.ndim):
        raise IndexError(f"index {k}: a single bool selects nothing; expected a bool tensor with dimensions")
    if hasattr(k, "__index__") and not isinstance(k, np.ndarray):
        return k.__index__()
    array = np.asarray(k)
    if array.size == 0 and not isinstance(k, np.ndarray):
        array = array.astype(np.int64)
    if array.dtype.kind not in "iub":
        raise IndexError(f"index {k!r}: expected integers, slices, ..., None, or int64 or bool arrays")
    return x.new(x.backend.from_numpy(array if array.dtype == bool_ else array.astype(np.int64)))


def _true_indices(mask: Tensor, shape: Shape, dim: int) -> tuple[Tensor, ...]:
    expected = shape[dim : dim + mask.ndim]
    if mask.shape != expected:
        raise IndexError(f"bool index of shape {mask.shape} for dims of shape {expected}: expected the same shape")
    return tuple(mask.new(index) for index in mask.read("a mask as an index", mask.backend.nonzero))


def in_range(index: Tensor, extent: int, dim: int) -> Tensor:
    """`index` counted from the front. Raises IndexError for a value out of range."""
    message = f"index {{}} is out of range for dim {dim} of extent {extent}"
    data = index.backend.checked_index(index.memory(), -extent, extent, IndexError, message)
    return index.new(data, index.version)  # with its version, even for a copy: backward raises if the index changed


def _merge(view: Tensor, arrays: dict[int, Tensor]) -> Tensor:
    """The index arrays combined into one of row indices over the dimensions that they index together."""
    shape = broadcast_shapes(*(index.shape for index in arrays.values()))
    merged: Tensor | None = None
    for dim in sorted(arrays):
        index = expand(arrays[dim], shape)
        merged = index if merged is None else merged * view.shape[dim] + index
    assert merged is not None
    return merged
