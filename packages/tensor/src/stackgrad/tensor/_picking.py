"""The methods of a tensor that read or write elements selected by an index tensor along a dimension, or by a mask."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, Unpack, cast, overload

import numpy as np

from ._checks import expect_numbers
from ._dtypes import PROMOTION, bool_, int64, scalar_dtype
from ._errors import not_a_tensor
from ._indexing import Gather, ScatterAdd, in_range, take
from ._operators import OPERANDS
from ._ops import common_backend, concatenate, elementwise, expand
from ._reductions import NumPyNames, named_dims, takes_axis
from ._shape import broadcast_shapes, normalize_dim, strides_in_order
from ._types import Operand, Shape
from ._value import Value
from ._views import reshape
from ._writing import write

if TYPE_CHECKING:
    from ._tensor import Tensor


class Picking(Value):
    """Reading and writing by nonnegative int64 indices and by bool masks. `axis` means `dim`.

    Raises IndexError for an index out of range or of another dtype, and ValueError for shapes that do not match.
    """

    __slots__ = ()

    @takes_axis
    def gather(self, dim: int, index: Tensor) -> Tensor:
        """`out[i][j][k] = self[i][index[i][j][k]][k]`, for dim 1 of three; the result has the shape of `index`.

        `index` has as many dimensions as this tensor; only along `dim` may its extent be larger.

        >>> tensor([[1, 2], [3, 4]]).gather(1, tensor([[1], [0]]))
        tensor([[2],
                [3]])
        """
        x, at = _along("gather", self, dim, index)
        return gather(x, at, index)

    def take_along_dim(self, indices: Tensor, dim: int | None = None, **names: Unpack[NumPyNames]) -> Tensor:
        """As `gather`, but the shapes broadcast except in `dim`, and negative indices count from the end.

        If `dim` is None, the indices refer to all elements in C order.

        >>> x = tensor([[30, 10, 20]])
        >>> x.take_along_dim(x.argsort(1), 1)
        tensor([[10, 20, 30]])
        """
        x = cast("Tensor", self)
        if names:
            dim = cast("int | None", named_dims("take_along_dim", dim, names))
        if dim is None:
            return x.reshape(-1).take_along_dim(indices.reshape(-1), 0)
        at = normalize_dim(dim, x.ndim)
        if not isinstance(indices, Value) or indices.ndim != x.ndim or indices.dtype != int64:
            return x.gather(dim, indices)  # raises the error
        indices = in_range(indices, (x.shape or (1,))[at], dim)
        shapes = [(*y.shape[:at], 1, *y.shape[at + 1 :]) for y in (x, indices)]
        whole = broadcast_shapes(*shapes)
        x, indices = (expand(y, (*whole[:at], y.shape[at], *whole[at + 1 :])) for y in (x, indices))
        return x.gather(dim, indices)

    @takes_axis
    def scatter_add(self, dim: int, index: Tensor, src: Tensor) -> Tensor:
        """This tensor with each element of `src` added where `gather` would read it; equal indices add up.

        `src` has the same dtype, and in each dimension at least the extent of `index`.

        >>> zeros(3).scatter_add(0, tensor([2, 2]), tensor([7.0, 8.0]))
        tensor([ 0.,  0., 15.])
        """
        x, at = _along("scatter_add", self, dim, index, src)
        return reshape(x + scatter_sum(_part(src, index.shape), at, index, x.shape), self.shape)

    @takes_axis
    def scatter(self, dim: int, index: Tensor, src: Operand | None = None, *, value: Operand | None = None) -> Tensor:
        """This tensor with the elements of `src`, a tensor or a scalar, written where `gather` would read them.

        Of equal indices the last wins and gets the gradient.

        >>> zeros(3).scatter(0, tensor([2, 0]), tensor([7.0, 8.0]))
        tensor([8., 0., 7.])
        """
        source = src if value is None else value
        if source is None or (src is not None and value is not None):
            raise TypeError("scatter: expected src, a tensor or a value, or value, and not both")
        tensors = [cast("Tensor", source)] if isinstance(source, Value) and source.ndim else []
        x, at = _along("scatter", self, dim, index, *tensors)
        out = x.clone()
        if index.numel():
            part = _part(tensors[0], index.shape).reshape(-1) if tensors else source
            write(out.view(-1), positions(index, x.shape, at).reshape(-1), part)
        return out if self.ndim else out.reshape(())

    @takes_axis
    def index_select(self, dim: int, index: Tensor) -> Tensor:
        """The slices at `index` (n,) along `dim`.

        >>> tensor([10, 20, 30]).index_select(0, tensor([2, 0]))
        tensor([30, 10])
        """
        x = cast("Tensor", self)
        at, index = _rows("index_select", x, dim, index)
        if not x.ndim:
            return x.reshape(1).index_select(0, index).reshape(())
        return take(x, (slice(None),) * x.ndim, {at: index})

    @takes_axis
    def index_add(self, dim: int, index: Tensor, source: Tensor, *, alpha: float = 1) -> Tensor:
        """This tensor with each slice of `source` along `dim`, times `alpha`, added at its `index` (n,).

        >>> zeros(3).index_add(0, tensor([0, 2, 0]), tensor([1.0, 2.0, 3.0]))
        tensor([4., 0., 2.])
        """
        x = cast("Tensor", self)
        common_backend("index_add", x, index, source)
        at, index = _rows("index_add", x, dim, index)
        expected = (*x.shape[:at], index.numel(), *x.shape[at + 1 :])
        if source.shape != expected:
            raise ValueError(f"index_add: source of shape {source.shape}: expected {expected}")
        expect_numbers("index_add", alpha=alpha)
        source = (source if alpha == 1 else source * alpha).astype(x.dtype).transpose(0, at)
        width = math.prod(source.shape[1:])
        total = ScatterAdd.apply(reshape(source, (index.numel(), width)), index, x.shape[at])
        return x + reshape(total, (x.shape[at], *source.shape[1:])).transpose(0, at)

    def masked_fill(self, mask: Tensor, value: Operand) -> Tensor:
        """This tensor with `value`, a scalar or a tensor without dimensions, where `mask` is true; both broadcast.

        >>> tensor([1.0, nan]).masked_fill(tensor([False, True]), 0)
        tensor([1., 0.])
        """
        _expect_mask("masked_fill", mask)
        if not isinstance(value, OPERANDS) or (isinstance(value, Value) and value.ndim):
            shown = f"a tensor of shape {value.shape}" if isinstance(value, Value) else type(value).__name__
            raise TypeError(f"masked_fill with {shown}: expected a scalar, or a tensor without dimensions; use where")
        dtype = value.dtype if isinstance(value, Value) else scalar_dtype(value)
        if PROMOTION.index(dtype) > PROMOTION.index(self.dtype) and self.dtype.kind != "f":
            raise TypeError(f"masked_fill of {self.dtype} with {dtype} would lose values: use .astype({dtype}) first")
        fill = cast("Tensor", value).astype(self.dtype) if isinstance(value, Value) else value
        return elementwise("where", mask, fill, self)

    def masked_select(self, mask: Tensor) -> Tensor:
        """The elements where `mask`, which broadcasts with this, is true: (n,), in C order.

        Raises RuntimeError in a captured function, as `nonzero` does.

        >>> tensor([1, 2, 3]).masked_select(tensor([True, False, True]))
        tensor([1, 3])
        """
        _expect_mask("masked_select", mask)
        shape = broadcast_shapes(self.shape, mask.shape)
        x, mask = expand(cast("Tensor", self), shape).reshape(-1), expand(mask, shape).reshape(-1)
        return x[mask]

    @overload
    def nonzero(self, *, as_tuple: Literal[False] = False) -> Tensor: ...
    @overload
    def nonzero(self, *, as_tuple: Literal[True]) -> tuple[Tensor, ...]: ...
    def nonzero(self, *, as_tuple: bool = False) -> Tensor | tuple[Tensor, ...]:
        """The int64 indices of nonzero elements, in C order: (n, ndim), or with `as_tuple` (n,) for each dimension.

        Raises RuntimeError in a captured function, since n depends on the values.

        >>> tensor([0, 7, 0, 8]).nonzero(as_tuple=True)
        (tensor([1, 3]),)
        """
        mask = cast("Tensor", self if self.dtype == bool_ else elementwise("ne", self, 0))
        mask = mask if mask.ndim else mask.reshape(1)
        dims = [mask.new(index) for index in mask.read("nonzero()", mask.backend.nonzero)]
        if as_tuple:
            return tuple(dims)
        if not self.ndim:
            return mask.new(mask.backend.empty((dims[0].shape[0], 0), int64))
        return concatenate([reshape(d, (*d.shape, 1)) for d in dims], 1)

    argwhere = nonzero


def _along(what: str, x: Value, dim: int, index: Tensor, *sources: Tensor) -> tuple[Tensor, int]:
    """`x`, with at least one dimension, and the normalised `dim`, once shapes, dtypes and indices are checked."""
    for other in (index, *sources):
        if not isinstance(other, Value):
            raise not_a_tensor(what, other)
    common_backend(what, x, index, *sources)
    at = normalize_dim(dim, x.ndim)
    _expect_indices(what, index)
    shape, given = x.shape or (1,), index.shape or (1,)
    free = [d for d in range(len(shape)) if d != at]
    checks_extents = what == "gather" or index.numel() > 0
    if len(given) != len(shape) or (checks_extents and any(given[d] > shape[d] for d in free)):
        raise ValueError(
            f"{what} along dim {dim}: index of shape {index.shape} for a tensor of shape {x.shape}: expected as many "
            f"dimensions, and no larger extents except in dim {dim}"
        )
    for source in sources:
        if source.dtype != x.dtype:
            raise TypeError(f"{what} of {source.dtype} into {x.dtype}: expected the same; use .astype({x.dtype})")
        if len(source.shape or (1,)) != len(given) or any(
            a < b for a, b in zip(source.shape or (1,), given, strict=True)
        ):
            raise ValueError(
                f"{what} along dim {dim}: src of shape {source.shape} for an index of shape {index.shape}: expected as "
                "many dimensions, and no smaller extents"
            )
    _expect_inside(what, index, shape[at], dim)
    return cast("Tensor", x) if x.ndim else cast("Tensor", x).reshape(1), at


def _rows(what: str, x: Tensor, dim: int, index: Tensor) -> tuple[int, Tensor]:
    """The normalised `dim`, and the index with one dimension, once it is checked."""
    if not isinstance(index, Value):
        raise not_a_tensor(f"{what}: index", index)
    common_backend(what, x, index)
    _expect_indices(what, index)
    if index.ndim > 1:
        raise ValueError(f"{what}: index of shape {index.shape}: expected one dimension")
    at = normalize_dim(dim, x.ndim)
    _expect_inside(what, index, (x.shape or (1,))[at], dim)
    return at, index.reshape(-1)


def _expect_indices(what: str, index: Value) -> None:
    if index.dtype != int64:
        raise IndexError(f"{what}: index of dtype {index.dtype}: expected int64")


def _expect_inside(what: str, index: Tensor, extent: int, dim: int) -> None:
    message = f"{what}: index {{}} is out of range for dim {dim} of extent {extent}: expected 0 to {extent - 1}"
    index.backend.checked_index(index.memory(), 0, extent, IndexError, message)


def _expect_mask(what: str, mask: Tensor) -> None:
    if not isinstance(mask, Value):
        raise not_a_tensor(f"{what}: mask", mask, "a bool tensor")
    if mask.dtype != bool_:
        raise TypeError(f"{what}: mask of dtype {mask.dtype}: expected bool; compare it to something first")


def _part(x: Tensor, shape: Shape) -> Tensor:
    """The leading part of `x` with this shape."""
    return x if x.shape == shape else x[tuple(slice(extent) for extent in shape)]


def positions(index: Tensor, shape: Shape, dim: int) -> Tensor:
    """The offsets, in C order, of the elements that `gather` reads from a tensor of `shape`."""
    strides = strides_in_order(shape)
    start = np.zeros((1,) * len(shape), np.int64)
    for d, extent in enumerate(index.shape):
        if d != dim:
            offsets = np.arange(extent) * strides[d]
            start = start + offsets.reshape([-1 if i == d else 1 for i in range(len(shape))])
    along = index * strides[dim] if strides[dim] != 1 else index
    return along + index.new(index.backend.from_numpy(start)) if start.any() else along


def gather(x: Tensor, dim: int, index: Tensor) -> Tensor:
    """See Picking.gather. The indices must be checked, and x must have dimensions."""
    at = positions(index, x.shape, dim)
    return reshape(Gather.apply(reshape(x, (x.numel(), 1)), reshape(at, (at.numel(),))), index.shape)


def scatter_sum(g: Tensor, dim: int, index: Tensor, shape: Shape) -> Tensor:
    """The adjoint of `gather` from a tensor of `shape`."""
    at = positions(index, shape, dim)
    total = ScatterAdd.apply(reshape(g, (at.numel(), 1)), reshape(at, (at.numel(),)), math.prod(shape))
    return reshape(total, shape)
