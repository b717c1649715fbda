"""The methods of a tensor that sort along a dimension: sorting is stable, and NaN counts as the largest value."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple, Unpack, cast, overload

import numpy as np

from ._checks import expect_ints
from ._dtypes import bool_, int64
from ._picking import gather
from ._reductions import NumPyNames, named_dims, numpy_names, one_dim
from ._shape import normalize_dim
from ._value import Value

if TYPE_CHECKING:
    from ._tensor import Tensor


class Sorted(NamedTuple):
    """Values, and their int64 indices along the dimension before sorting."""

    values: Tensor
    indices: Tensor


class Sorting(Value):
    """Sorting along `dim` (or `axis`), by default the last. A tensor without dimensions counts as having one."""

    __slots__ = ()

    def sort(
        self, dim: int | None = None, descending: bool = False, stable: bool = True, **names: Unpack[NumPyNames]
    ) -> Sorted:
        """(values, indices) in ascending or descending order; the sort is always stable.

        >>> tensor([3, 1, 2]).sort().values
        tensor([1, 2, 3])
        """
        dim = one_dim("sort", dim, names, -1)
        return _picked(self, dim, _order(self, dim, descending))

    def argsort(
        self, dim: int | None = None, descending: bool = False, stable: bool = True, **names: Unpack[NumPyNames]
    ) -> Tensor:
        """The int64 indices that `sort` returns.

        >>> tensor([3, 1, 2]).argsort()
        tensor([1, 2, 0])
        """
        return _order(self, one_dim("argsort", dim, names, -1), descending)

    def topk(
        self,
        k: int,
        dim: int | None = None,
        largest: bool = True,
        sorted: bool = True,
        **names: Unpack[NumPyNames],
    ) -> Sorted:
        """(values, indices) of the `k` largest or smallest elements, in order; of equal ones, the first comes first.

        Raises ValueError for a k outside 0 .. extent of `dim`.

        >>> tensor([30, 10, 20]).topk(2).values
        tensor([30, 20])
        """
        dim = one_dim("topk", dim, names, -1)
        if type(k) is not int:  # the usual case needs no call
            expect_ints("topk", k=k)
        extent = (self.shape or (1,))[normalize_dim(dim, self.ndim)]
        if not 0 <= k <= extent:
            raise ValueError(f"topk of {k} along dim {dim} of extent {extent}: expected 0 to {extent}")
        order = _order(self, dim, largest)
        return _picked(self, dim, order.narrow(dim, 0, k).clone() if self.ndim else order)

    def kthvalue(self, k: int, dim: int | None = None, keepdim: bool = False, **names: Unpack[NumPyNames]) -> Sorted:
        """(values, indices) of the `k`-th smallest element, counted from 1. Raises ValueError if there is none.

        >>> tensor([30, 10, 20]).kthvalue(2).values
        tensor(20)
        """
        if names:
            found, keepdim = numpy_names("kthvalue", dim, keepdim, names)
            dim = cast("int | None", found)
        dim = one_dim("kthvalue", dim, {}, None if "axis" in names else -1)
        expect_ints("kthvalue", k=k)
        extent = (self.shape or (1,))[normalize_dim(dim, self.ndim)]
        if not 1 <= k <= extent:
            raise ValueError(f"kthvalue of {k} along dim {dim} of extent {extent}: expected 1 to {extent}")
        order = _order(self, dim, False)
        return _one(self, dim, order.narrow(dim, k - 1, 1) if self.ndim else order, keepdim)

    @overload
    def median(self) -> Tensor: ...
    @overload
    def median(self, dim: int, keepdim: bool = False, *, keepdims: bool = False) -> Sorted: ...
    @overload
    def median(self, *, axis: int, keepdim: bool = False, keepdims: bool = False) -> Sorted: ...
    def median(self, dim: int | None = None, keepdim: bool = False, **names: Unpack[NumPyNames]) -> Tensor | Sorted:
        """The median, or NaN if there is one; of an even count, the lower of the two middle values.

        Returns a tensor for all elements, (values, indices) along `dim`. Raises ValueError for no elements.

        >>> tensor([30, 10, 20]).median()
        tensor(20)
        """
        x = cast("Tensor", self)
        if names:
            found, keepdim = numpy_names("median", dim, keepdim, names)
            dim = cast("int | None", found)
        if dim is None:
            return x.reshape(-1).median(0).values
        at = normalize_dim(dim, x.ndim)
        extent = (x.shape or (1,))[at]
        if not extent:
            raise ValueError(f"median over dim {dim} of shape {x.shape}: there is nothing to take the median of")
        order = _order(x, dim, False)
        if not x.ndim:
            return _one(x, dim, order, keepdim)
        wrong = x.isnan().sum(dim, keepdim=True)
        middle = (wrong == 0).where((extent - 1) // 2, extent - wrong)  # or the index of the first NaN
        return _one(x, dim, gather(order, at, middle), keepdim)

    def unique(
        self,
        sorted: bool = True,
        return_inverse: bool = False,
        return_counts: bool = False,
        dim: int | None = None,
        **names: Unpack[NumPyNames],
    ) -> Any:
        """The distinct values in ascending order, or the distinct slices along `dim`; NaNs differ from each other.

        `return_inverse` adds the int64 index in the result of each element, `return_counts` the count of each value.
        It runs on the host. Raises RuntimeError in a captured function, since the shape depends on the values.

        >>> tensor([3, 1, 3]).unique(return_counts=True)
        (tensor([1, 3]), tensor([1, 2]))
        """
        x = cast("Tensor", self)
        if names:
            dim = cast("int | None", named_dims("unique", dim, names))
        at = None if dim is None else normalize_dim(dim, x.ndim)
        array = x.read("unique()")
        found = np.unique(array, return_inverse=True, return_counts=True, axis=at, equal_nan=False)
        shape = x.shape if at is None else (x.shape[at],)
        parts = [
            found[0],
            *([found[1].reshape(shape)] if return_inverse else []),
            *([found[2]] if return_counts else []),
        ]
        tensors = [x.new(x.backend.from_numpy(np.ascontiguousarray(part))) for part in parts]
        return tuple(tensors) if len(tensors) > 1 else tensors[0]


def _order(x: Value, dim: int, descending: bool) -> Tensor:
    """See Sorting.argsort."""
    at, backend = normalize_dim(dim, x.ndim), x.backend
    if not x.ndim:
        return x.new(backend.full((), 0, int64))
    data = x.memory() if x.dtype != bool_ else cast("Tensor", x).astype(int64).memory()
    last = (*range(at), *range(at + 1, x.ndim), at)
    data = backend.permute(data, last)
    rows = backend.reshape(data, (math.prod(data.shape[:-1]), data.shape[-1]))
    order = backend.reshape(backend.argsort(rows, descending), data.shape)
    return x.new(backend.permute(order, tuple(last.index(d) for d in range(x.ndim))))


def _picked(x: Value, dim: int, index: Tensor) -> Sorted:
    """The elements at `index` along `dim`, and `index`."""
    x = cast("Tensor", x)
    return Sorted(gather(x, normalize_dim(dim, x.ndim), index) if x.ndim else x.clone(), index)


def _one(x: Value, dim: int, index: Tensor, keepdim: bool) -> Sorted:
    """As `_picked`, for an index of extent 1 along `dim`, which is dropped unless `keepdim`."""
    values, indices = _picked(x, dim, index)
    return Sorted(values, indices) if keepdim or not x.ndim else Sorted(values.squeeze(dim), indices.squeeze(dim))
