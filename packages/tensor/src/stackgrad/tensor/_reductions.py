"""The methods of a tensor that reduce dimensions: sums, means, extremes and their indices."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypedDict, TypeVar, Unpack, cast

import numpy as np
from numpy.typing import DTypeLike

from . import _folds, _ops, _views
from ._checks import expect_numbers
from ._dtypes import as_dtype, bool_, int64
from ._shape import normalize_dim, normalize_dims, reduced_shape
from ._types import Dims, Shape
from ._value import Value

if TYPE_CHECKING:
    from ._tensor import Tensor


P = ParamSpec("P")
R = TypeVar("R")


class NumPyNames(TypedDict, total=False):
    """NumPy's names for `dim` and `keepdim`, and the `out=None` that its functions pass: np.sum(x)."""

    axis: Dims
    keepdims: bool
    out: None


class Reductions(Value):
    """Reductions over one, several or all dimensions; `dim=()` means all, too.

    All accept `axis` and `keepdims` for `dim` and `keepdim`. As in PyTorch, a tensor without dimensions counts as
    having one, with dim 0 or -1. All raise IndexError for a dim that does not exist, ValueError for one that occurs
    twice.
    """

    __slots__ = ()

    def sum(
        self, dim: Dims = None, keepdim: bool = False, dtype: DTypeLike | None = None, **names: Unpack[NumPyNames]
    ) -> Tensor:
        """The sum over `dim`, in `dtype` if that is given; otherwise integers and bools are summed in int64.

        The error for n floats is at most 32 log2(n) eps times the sum of their magnitudes, for any dims and layout
        (see "How exact sums are" in the README).

        >>> tensor([[1, 5], [7, 2]]).sum(1)
        tensor([6, 9])
        """
        if names:
            dim, keepdim = numpy_names("sum", dim, keepdim, names)
        return self._widened(dtype)._reduce("sum", dim, keepdim)

    def mean(
        self, dim: Dims = None, keepdim: bool = False, dtype: DTypeLike | None = None, **names: Unpack[NumPyNames]
    ) -> Tensor:
        """The mean over `dim`. Raises TypeError for integers and bools, unless `dtype` is a float dtype.

        >>> tensor([[1.0, 5.0], [7.0, 2.0]]).mean(1)
        tensor([3. , 4.5])
        """
        if names:
            dim, keepdim = numpy_names("mean", dim, keepdim, names)
        x = self._widened(dtype) if dtype is not None else cast("Tensor", self)
        x._expect_float("mean")
        dims = x._dims(dim)
        out = _folds.Mean.apply(x, dims, x._count(dims))
        return _views.reshape(out, reduced_shape(x.shape, dims)) if keepdim else out

    def prod(
        self, dim: Dims = None, keepdim: bool = False, dtype: DTypeLike | None = None, **names: Unpack[NumPyNames]
    ) -> Tensor:
        """The product over `dim`, in `dtype` if that is given; otherwise integers and bools multiply in int64.

        The relative error for floats is at most 2 eps, for any count, if nothing under- or overflows.

        >>> tensor([[1, 5], [7, 2]]).prod(1)
        tensor([ 5, 14])
        """
        if names:
            dim, keepdim = numpy_names("prod", dim, keepdim, names)
        return self._widened(dtype)._reduce("prod", dim, keepdim)

    def max(self, dim: Dims = None, keepdim: bool = False, **names: Unpack[NumPyNames]) -> Tensor:
        """The largest value over `dim`, or NaN if there is one.

        If `dim` is an int, the gradient goes to the first of equal values, else they share it. Raises ValueError for
        no elements.

        >>> tensor([[1, 5], [7, 2]]).max(1)
        tensor([5, 7])
        """
        if names:
            dim, keepdim = numpy_names("max", dim, keepdim, names)
        return self._reduce("max", dim, keepdim)

    def min(self, dim: Dims = None, keepdim: bool = False, **names: Unpack[NumPyNames]) -> Tensor:
        """The smallest value over `dim`; NaN and the gradient as for `max`.

        >>> tensor([[1, 5], [7, 2]]).min(1)
        tensor([1, 2])
        """
        if names:
            dim, keepdim = numpy_names("min", dim, keepdim, names)
        return self._reduce("min", dim, keepdim)

    def var(
        self,
        dim: Dims = None,
        correction: float = 1,
        keepdim: bool = False,
        *,
        unbiased: bool | None = None,
        ddof: float | None = None,
        dtype: DTypeLike | None = None,
        **names: Unpack[NumPyNames],
    ) -> Tensor:
        """The variance over `dim`: the sum of squared deviations from the mean, divided by n - `correction`.

        The relative error is at most 64 log2(n) eps, even if the mean is far larger than the deviation.

        `ddof` is NumPy's name for the correction; `unbiased` True means 1, False 0. Raises TypeError for integers and
        bools, unless `dtype` is a float dtype.

        >>> tensor([1.0, 2.0, 3.0]).var()
        tensor(1.)
        """
        if names:
            dim, keepdim = numpy_names("var", dim, keepdim, names)
        x = self._widened(dtype) if dtype is not None else cast("Tensor", self)
        x._expect_float("var")
        dims, correction = x._dims(dim), correction if ddof is None else ddof
        if unbiased is not None:
            if not isinstance(unbiased, bool | np.bool_ | int):
                raise TypeError(f"var: unbiased must be True, False or None; got {type(unbiased).__name__}")
            correction = int(unbiased)
        if type(correction) is not int:  # the usual case needs no call
            expect_numbers("var", correction=correction)
        centred = _folds.centre(x, dims) if dims else x - x
        return (centred * centred)._reduce("sum", dims, keepdim) / max(x._count(dims) - correction, 0)

    def amax(self, dim: Dims = None, keepdim: bool = False, **names: Unpack[NumPyNames]) -> Tensor:
        """The largest value over `dim`, or NaN if there is one; equal values share the gradient.

        >>> tensor([[1, 5], [7, 2]]).amax(1)
        tensor([5, 7])
        """
        if names:
            dim, keepdim = numpy_names("amax", dim, keepdim, names)
        return self._reduce("max", self._dims(dim), keepdim)

    def amin(self, dim: Dims = None, keepdim: bool = False, **names: Unpack[NumPyNames]) -> Tensor:
        """The smallest value over `dim`, or NaN if there is one; equal values share the gradient.

        >>> tensor([[1, 5], [7, 2]]).amin(1)
        tensor([1, 2])
        """
        if names:
            dim, keepdim = numpy_names("amin", dim, keepdim, names)
        return self._reduce("min", self._dims(dim), keepdim)

    def any(self, dim: Dims = None, keepdim: bool = False, **names: Unpack[NumPyNames]) -> Tensor:
        """Whether any element over `dim` is nonzero; False for no elements. As in PyTorch, dim=() reduces nothing.

        >>> tensor([[False, False], [True, False]]).any(1)
        tensor([False,  True])
        """
        if names:
            dim, keepdim = numpy_names("any", dim, keepdim, names)
        return self._truth("max", False, dim, keepdim)

    def all(self, dim: Dims = None, keepdim: bool = False, **names: Unpack[NumPyNames]) -> Tensor:
        """Whether all elements over `dim` are nonzero; True for no elements. As in PyTorch, dim=() reduces nothing.

        >>> tensor([[True, False], [True, True]]).all(1)
        tensor([False,  True])
        """
        if names:
            dim, keepdim = numpy_names("all", dim, keepdim, names)
        return self._truth("min", True, dim, keepdim)

    def count_nonzero(self, dim: Dims = None, **names: Unpack[NumPyNames]) -> Tensor:
        """The int64 count of nonzero elements over `dim` (or `axis`).

        >>> tensor([[0, 1], [2, 3]]).count_nonzero(1)
        tensor([1, 2])
        """
        if names:
            dim = named_dims("count_nonzero", dim, names)
        return _ops.elementwise("ne", self, 0).sum(dim)

    def nansum(
        self, dim: Dims = None, keepdim: bool = False, dtype: DTypeLike | None = None, **names: Unpack[NumPyNames]
    ) -> Tensor:
        """As `sum`, but NaN counts as 0.

        >>> tensor([1.0, nan, 3.0]).nansum()
        tensor(4.)
        """
        x = self._widened(dtype)
        return (x == x).where(x, 0).sum(dim, keepdim, **names)

    def nanmean(
        self, dim: Dims = None, keepdim: bool = False, dtype: DTypeLike | None = None, **names: Unpack[NumPyNames]
    ) -> Tensor:
        """The mean over `dim` of the elements that are not NaN.

        >>> tensor([1.0, nan, 3.0]).nanmean()
        tensor(2.)
        """
        x = self._widened(dtype) if dtype is not None else cast("Tensor", self)
        x._expect_float("nanmean")
        return x.nansum(dim, keepdim, **names) / (x == x).sum(dim, keepdim, **names)

    def argmax(self, dim: int | None = None, keepdim: bool = False, **names: Unpack[NumPyNames]) -> Tensor:
        """The int64 index of the first largest value along `dim`, or among all elements in C order.

        >>> tensor([[1, 5], [7, 2]]).argmax(1)
        tensor([1, 0])
        """
        if names:
            dim, keepdim = numpy_names("argmax", dim, keepdim, names)  # type: ignore[assignment]
        return self._arg_reduce("max", dim, keepdim)

    def argmin(self, dim: int | None = None, keepdim: bool = False, **names: Unpack[NumPyNames]) -> Tensor:
        """The int64 index of the first smallest value along `dim`, or among all elements in C order.

        >>> tensor([[1, 5], [7, 2]]).argmin(1)
        tensor([0, 1])
        """
        if names:
            dim, keepdim = numpy_names("argmin", dim, keepdim, names)  # type: ignore[assignment]
        return self._arg_reduce("min", dim, keepdim)

    def cumsum(self, dim: int | None = None, dtype: DTypeLike | None = None, **names: Unpack[NumPyNames]) -> Tensor:
        """Running sums along `dim`, in `dtype` if that is given; otherwise integers and bools are summed in int64.

        The error of each float is at most 1 eps of the sum of magnitudes up to it.

        >>> tensor([1, 2, 3]).cumsum(0)
        tensor([1, 3, 6])
        """
        x, at = self._widened(dtype), normalize_dim(one_dim("cumsum", dim, names), self.ndim)
        return _folds.CumSum.apply(x, at) if x.ndim else x.clone()

    def cumprod(self, dim: int | None = None, dtype: DTypeLike | None = None, **names: Unpack[NumPyNames]) -> Tensor:
        """Running products along `dim`, in `dtype` if that is given; otherwise integers and bools multiply in int64.

        >>> tensor([1, 2, 3]).cumprod(0)
        tensor([1, 2, 6])
        """
        x, at = self._widened(dtype), normalize_dim(one_dim("cumprod", dim, names), self.ndim)
        if not x.ndim:
            return x.clone()
        return _folds.running_products(x.transpose(at, -1)).transpose(at, -1)

    def _truth(self, name: str, of_none: bool, dim: Dims, keepdim: bool) -> Tensor:
        """Whether the largest ("max") or smallest ("min") element over `dim` is nonzero; `of_none` for no elements."""
        true = cast("Tensor", self) if self.dtype == bool_ else _ops.elementwise("ne", self, 0)
        dims = () if isinstance(dim, Sequence) and not dim else self._dims(dim)
        if self._count(dims):
            return true.clone() if not dims else true._reduce(name, dims, keepdim)
        kept = reduced_shape(self.shape, dims)
        shape = kept if keepdim else tuple([extent for d, extent in enumerate(kept) if d not in dims])
        return true.new(self.backend.full(shape, of_none, bool_))

    def _widened(self, dtype: DTypeLike | None) -> Tensor:
        """This tensor as `dtype`; without one, integers and bools as int64."""
        if dtype is None and self.data.dtype.kind == "f":
            return cast("Tensor", self)
        return _ops.cast(cast("Tensor", self), int64 if dtype is None else as_dtype(dtype))

    def _dims(self, dim: Dims) -> Shape:
        """The normalised dimensions; () for a tensor without any."""
        ndim = self.data.ndim
        if dim is None:
            return tuple(range(ndim))
        dims = normalize_dims(None if isinstance(dim, Sequence) and not dim else dim, ndim)
        return dims if ndim else ()

    def _count(self, dims: Shape) -> int:
        """The count of elements that a reduction over `dims` combines into one."""
        shape = self.data.shape
        return math.prod([shape[d] for d in dims])

    def _reduce(self, name: str, dim: Dims, keepdim: bool) -> Tensor:
        dims = self._dims(dim)
        to_first = dim is not None and not isinstance(dim, Sequence)
        out = _folds.reduce(name, cast("Tensor", self), dims, to_first)
        return _views.reshape(out, reduced_shape(self.shape, dims)) if keepdim else out

    def _arg_reduce(self, name: str, dim: int | None, keepdim: bool) -> Tensor:
        at = 0 if dim is None else normalize_dim(dim, self.ndim)
        x = cast("Tensor", self)
        if dim is None or not x.ndim:
            x = x.reshape(-1)
        if x.shape[at] == 0:
            raise ValueError(f"arg{name} over dim {dim} of shape {self.shape}: there is nothing to take the {name} of")
        out = x.new(x.backend.arg_reduce(name, x.memory(), at))
        if not keepdim:
            return out
        return out.reshape((1,) * self.ndim) if dim is None or not self.ndim else out.unsqueeze(at)

    def _expect_float(self, what: str) -> None:
        if self.data.dtype.kind != "f":
            raise TypeError(f"{what} of dtype {self.dtype}: expected float32 or float64; use .astype(float32)")


def numpy_names(what: str, dim: Dims, keepdim: bool, names: NumPyNames) -> tuple[Dims, bool]:
    """`dim` and `keepdim`, or their values in `names`. Raises TypeError for both, and for other names."""
    other = names.keys() - {"axis", "keepdims", "out"}
    if other:
        raise TypeError(f"{what}: unexpected argument {min(other)!r}: expected dim (or axis) and keepdim (or keepdims)")
    if names.get("out") is not None:
        raise TypeError(f"{what}: out= is not supported: write the result with out[...] = ...")
    axis, keepdims = names.get("axis"), names.get("keepdims")
    if (axis is not None and dim is not None) or (keepdims and keepdim):
        raise TypeError(f"{what}: both dim and axis, or both keepdim and keepdims: they mean the same; pass one")
    return dim if axis is None else axis, bool(keepdim or keepdims)


def takes_axis(method: Callable[P, R]) -> Callable[P, R]:
    """`method`, whose first argument besides the tensor is `dim`, for which it takes `axis`, too."""
    what = method.__name__

    @wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        if "axis" in kwargs:
            if len(args) > 1 or "dim" in kwargs:
                raise TypeError(f"{what}: both dim and axis: they mean the same; pass one")
            kwargs["dim"] = kwargs.pop("axis")
        return method(*args, **kwargs)

    return call


def named_dims(what: str, dim: Dims, names: NumPyNames) -> Dims:
    """`dim`, or its value in `names`, for a method without `keepdim`. Raises TypeError as `numpy_names` does."""
    if "keepdims" in names:
        raise TypeError(f"{what}: unexpected argument 'keepdims': expected dim (or axis)")
    return numpy_names(what, dim, False, names)[0]


def one_dim(what: str, dim: int | None, names: NumPyNames, default: int | None = None) -> int:
    """`dim`, or its value in `names`, or the default. Raises TypeError if there is none."""
    if names:
        dim = named_dims(what, dim, names)  # type: ignore[assignment]
    elif dim is None:
        dim = default
    if dim is None:
        raise TypeError(f"{what} without dim: expected one, such as -1")
    return dim
