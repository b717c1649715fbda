"""The supported functions of the Python array API standard (2024.12), with the standard's meaning.

`x.__array_namespace__()` returns this module, so libraries written for the standard work on tensors, with gradients.
Names, arguments and defaults are the standard's even where PyTorch's differ: `std` has correction 0, `meshgrid` has
indexing "xy", `squeeze` raises for an extent other than 1. A device is the name of a backend.

Not supported, or different from the standard:
- dtypes other than float32, float64, int64 and bool, so no complex numbers;
- the functions signbit, copysign, hypot, nextafter, acosh, asinh, atanh, searchsorted, diff, cumulative_prod;
- the extension fft, and the functions of linalg that are not listed here;
- a tensor without dimensions does not widen the dtype of one that has some, as in PyTorch;
- sort and argsort treat NaN as the largest value, which the standard leaves open.
"""

# ruff: noqa: D103 - the standard says what each function does

from __future__ import annotations

from collections.abc import Sequence
from math import e, inf, nan, pi  # noqa: F401 - names of the standard, like those below
from typing import Any, NamedTuple

import numpy as np
from numpy import can_cast, finfo, iinfo, isdtype  # noqa: F401

from . import _create, _einsum, _functions, _grids, _like, _overloads
from ._create import maximum, minimum, where  # noqa: F401
from ._dtypes import bool_ as bool
from ._dtypes import float32, float64, int64, promote
from ._installed import available_backends, get_backend
from ._shape import broadcast_shapes, normalize_dim, normalize_dims
from ._tensor import Tensor
from ._types import Device, Dims, Shape
from ._value import Value

__array_api_version__ = "2024.12"

newaxis = None

# Functions with PyTorch's meaning: the standard's name, or "standard:PyTorch" if the names differ.
_SAME = (
    "abs acos add all any argmax argmin asin atan atan2 bitwise_and bitwise_or bitwise_xor ceil clip cos cosh exp "
    "expm1 floor floor_divide isfinite isinf isnan log log10 log1p log2 logaddexp logical_and logical_not logical_or "
    "logical_xor matmul mean moveaxis pow prod reciprocal remainder round sin sinh sqrt square sum tan tanh tile trunc "
    "bitwise_invert:bitwise_not divide:div equal:eq greater:gt greater_equal:ge less:lt less_equal:le multiply:mul "
    "negative:neg not_equal:ne permute_dims:permute subtract:sub"
)
for _pair in _SAME.split():
    _name, _, _other = _pair.partition(":")
    globals()[_name] = getattr(_overloads if _name in ("pow", "remainder") else _functions, _other or _name)

# --- creation


def asarray(obj: Any, /, *, dtype: Any = None, device: Device = None, copy: Any = None) -> Tensor:
    if isinstance(obj, Tensor):
        out = obj if device is None else obj.to(device)
        out = out if dtype is None else out.astype(dtype)
        return out.clone() if copy and out is obj else out
    if copy is False and not isinstance(obj, np.ndarray):
        raise ValueError(f"asarray of {type(obj).__name__} without a copy: expected a tensor or a NumPy array")
    shared = isinstance(obj, np.ndarray) and copy is not True and dtype in (None, obj.dtype)
    return _create.from_numpy(obj, backend=device) if shared else _create.tensor(obj, dtype=dtype, backend=device)


def arange(
    start: float, /, stop: float | None = None, step: float = 1, *, dtype: Any = None, device: Device = None
) -> Tensor:
    return _create.arange(start, stop, step, dtype=dtype, backend=device)


def empty(shape: int | Shape, *, dtype: Any = None, device: Device = None) -> Tensor:
    return _like.empty(shape, dtype=dtype, backend=device)


def zeros(shape: int | Shape, *, dtype: Any = None, device: Device = None) -> Tensor:
    return _create.zeros(shape, dtype=dtype, backend=device)


def ones(shape: int | Shape, *, dtype: Any = None, device: Device = None) -> Tensor:
    return _create.ones(shape, dtype=dtype, backend=device)


def full(shape: int | Shape, fill_value: float, *, dtype: Any = None, device: Device = None) -> Tensor:
    return _create.full(shape, fill_value, dtype=dtype, backend=device)


def empty_like(x: Tensor, /, *, dtype: Any = None, device: Device = None) -> Tensor:
    return empty(x.shape, dtype=x.dtype if dtype is None else dtype, device=device or x.backend)


def zeros_like(x: Tensor, /, *, dtype: Any = None, device: Device = None) -> Tensor:
    return zeros(x.shape, dtype=x.dtype if dtype is None else dtype, device=device or x.backend)


def ones_like(x: Tensor, /, *, dtype: Any = None, device: Device = None) -> Tensor:
    return ones(x.shape, dtype=x.dtype if dtype is None else dtype, device=device or x.backend)


def full_like(x: Tensor, /, fill_value: float, *, dtype: Any = None, device: Device = None) -> Tensor:
    return full(x.shape, fill_value, dtype=x.dtype if dtype is None else dtype, device=device or x.backend)


def eye(n_rows: int, n_cols: int | None = None, /, *, k: int = 0, dtype: Any = None, device: Device = None) -> Tensor:
    shape = n_rows, n_rows if n_cols is None else n_cols
    return _create.tensor(np.eye(*shape, k, dtype=dtype or float32), backend=device)


def linspace(
    start: float, stop: float, /, num: int, *, dtype: Any = None, device: Device = None, endpoint: Any = True
) -> Tensor:
    return _create.tensor(np.linspace(start, stop, num, endpoint=endpoint), dtype=dtype or float32, backend=device)


def meshgrid(*arrays: Tensor, indexing: str = "xy") -> list[Tensor]:
    return list(_grids.meshgrid(arrays, indexing=indexing))


def from_dlpack(x: Any, /, *, device: Device = None, copy: Any = None) -> Tensor:
    shared = _create.from_dlpack(x, backend=device)
    return shared.clone() if copy else shared


def tril(x: Tensor, /, *, k: int = 0) -> Tensor:
    return x.tril(k)


def triu(x: Tensor, /, *, k: int = 0) -> Tensor:
    return x.triu(k)


# --- dtypes


def astype(x: Tensor, dtype: Any, /, *, copy: Any = True, device: Device = None) -> Tensor:
    out = (x if device is None else x.to(device)).astype(dtype)
    return out.clone() if copy and out is x else out


def result_type(*arrays_and_dtypes: Any) -> np.dtype[Any]:
    numbers = [x for x in arrays_and_dtypes if isinstance(x, int | float)]
    others = [x for x in arrays_and_dtypes if not isinstance(x, int | float)]
    return promote([x.dtype if isinstance(x, Value) else np.dtype(x) for x in others], numbers)


# --- element by element


def positive(x: Tensor, /) -> Tensor:
    return x.clone()


def sign(x: Tensor, /) -> Tensor:
    """As `Tensor.sign`, but NaN for NaN."""
    return (x == x).where(x.sign(), x)


# --- shapes


def reshape(x: Tensor, /, shape: Shape, *, copy: Any = None) -> Tensor:
    if copy is False:
        return x.view(*shape)
    out = x.reshape(*shape)
    return out.clone() if copy and out.version is x.version else out


def expand_dims(x: Tensor, /, *, axis: int = 0) -> Tensor:
    return x.unsqueeze(axis)


def squeeze(x: Tensor, /, axis: int | Sequence[int]) -> Tensor:
    """The view without the dimensions `axis`. Raises ValueError for an extent other than 1."""
    dims = normalize_dims(axis, x.ndim)
    if {x.shape[d] for d in dims} - {1}:
        raise ValueError(f"squeeze of axis {axis} of shape {x.shape}: expected extents of 1")
    return x.squeeze(dims)


def broadcast_to(x: Tensor, /, shape: Shape) -> Tensor:
    return x.expand(*shape)


def broadcast_arrays(*arrays: Tensor) -> list[Tensor]:
    shape = broadcast_shapes(*[x.shape for x in arrays])
    return [x.expand(*shape) for x in arrays]


def concat(arrays: Sequence[Tensor], /, *, axis: int | None = 0) -> Tensor:
    if axis is None:
        return _create.concatenate([x.reshape(-1) for x in arrays], 0)
    return _create.concatenate(arrays, axis)


def stack(arrays: Sequence[Tensor], /, *, axis: int = 0) -> Tensor:
    return _create.stack(arrays, axis)


def unstack(x: Tensor, /, *, axis: int = 0) -> tuple[Tensor, ...]:
    return x.unbind(axis)


def flip(x: Tensor, /, *, axis: int | Sequence[int] | None = None) -> Tensor:
    return x.flip(normalize_dims(axis, x.ndim))


def roll(x: Tensor, /, shift: int | Sequence[int], *, axis: int | Sequence[int] | None = None) -> Tensor:
    dims = [axis] * len(shift) if isinstance(shift, Sequence) and isinstance(axis, int) else axis
    return x.roll(shift, dims) if dims is None or x.ndim else x.clone()


def repeat(x: Tensor, repeats: int | Tensor, /, *, axis: int | None = None) -> Tensor:
    return x.repeat_interleave(repeats, axis)


def matrix_transpose(x: Tensor, /) -> Tensor:
    return x.mT


# --- products


def vecdot(x1: Tensor, x2: Tensor, /, *, axis: int = -1) -> Tensor:
    return (x1 * x2).sum(axis)


def tensordot(x1: Tensor, x2: Tensor, /, *, axes: int | Sequence[Sequence[int]] = 2) -> Tensor:
    return _einsum.tensordot(x1, x2, axes)


# --- reductions


def max(x: Tensor, /, *, axis: Dims = None, keepdims: Any = False) -> Tensor:
    return x.max(axis, keepdims)


def min(x: Tensor, /, *, axis: Dims = None, keepdims: Any = False) -> Tensor:
    return x.min(axis, keepdims)


def std(x: Tensor, /, *, axis: Dims = None, correction: float = 0.0, keepdims: Any = False) -> Tensor:
    return x.std(axis, correction, keepdims)


def var(x: Tensor, /, *, axis: Dims = None, correction: float = 0.0, keepdims: Any = False) -> Tensor:
    return x.var(axis, correction, keepdims)


def count_nonzero(x: Tensor, /, *, axis: Dims = None, keepdims: Any = False) -> Tensor:
    return (x != 0).sum(axis, keepdims)


def cumulative_sum(x: Tensor, /, *, axis: int | None = None, dtype: Any = None, include_initial: Any = False) -> Tensor:
    if axis is None and x.ndim > 1:
        raise ValueError(f"cumulative_sum of shape {x.shape} without axis: expected one")
    at = normalize_dim(0 if axis is None else axis, x.ndim)
    out = x.cumsum(at, dtype=dtype)
    if not include_initial:
        return out
    first = out.new_zeros(*out.shape[:at], 1, *out.shape[at + 1 :])
    return _create.concatenate([first, out], at)


# --- sorting and searching


def sort(x: Tensor, /, *, axis: int = -1, descending: Any = False, stable: Any = True) -> Tensor:
    return x.sort(axis, descending).values


def argsort(x: Tensor, /, *, axis: int = -1, descending: Any = False, stable: Any = True) -> Tensor:
    return x.argsort(axis, descending)


def nonzero(x: Tensor, /) -> tuple[Tensor, ...]:
    if not x.ndim:
        raise ValueError("nonzero of a tensor without dimensions: expected one or more")
    return x.nonzero(as_tuple=True)


def take(x: Tensor, indices: Tensor, /, *, axis: int | None = None) -> Tensor:
    if axis is None and x.ndim != 1:
        raise ValueError(f"take of shape {x.shape} without axis: expected one")
    return x[(*[slice(None)] * normalize_dim(axis or 0, x.ndim), indices)]


def take_along_axis(x: Tensor, indices: Tensor, /, *, axis: int = -1) -> Tensor:
    return x.take_along_dim(indices, axis)


class UniqueAll(NamedTuple):
    values: Tensor
    indices: Tensor
    inverse_indices: Tensor
    counts: Tensor


class UniqueCounts(NamedTuple):
    values: Tensor
    counts: Tensor


class UniqueInverse(NamedTuple):
    values: Tensor
    inverse_indices: Tensor


def unique_all(x: Tensor, /) -> UniqueAll:
    values, inverse, counts = x.unique(return_inverse=True, return_counts=True)
    order = inverse.reshape(-1).argsort(0)  # stable, so the first occurrence of each value comes first
    return UniqueAll(values, order[counts.cumsum(0) - counts], inverse, counts)


def unique_counts(x: Tensor, /) -> UniqueCounts:
    return UniqueCounts(*x.unique(return_counts=True))


def unique_inverse(x: Tensor, /) -> UniqueInverse:
    return UniqueInverse(*x.unique(return_inverse=True))


def unique_values(x: Tensor, /) -> Tensor:
    return x.unique()  # type: ignore[no-any-return]


# --- inspection


class _Info:
    """The result of `__array_namespace_info__`."""

    def capabilities(self) -> dict[str, Any]:
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    def default_device(self) -> str:
        return get_backend().name

    def devices(self) -> list[str]:
        return list(available_backends())

    def default_dtypes(self, *, device: Device = None) -> dict[str, np.dtype[Any]]:
        return {"real floating": float32, "integral": int64, "indexing": int64}

    def dtypes(self, *, device: Device = None, kind: Any = None) -> dict[str, np.dtype[Any]]:
        found = {"bool": bool, "int64": int64, "float32": float32, "float64": float64}
        return {name: dtype for name, dtype in found.items() if kind is None or isdtype(dtype, kind)}


def __array_namespace_info__() -> _Info:
    return _Info()
