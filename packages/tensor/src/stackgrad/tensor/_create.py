"""Functions that create tensors: from values, from NumPy, filled, random, and from other tensors.

`device` is PyTorch's name for `backend`: a backend, or the name of one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import DTypeLike, NDArray

from . import _ops
from ._arithmetic import expect_none
from ._checks import expect_numbers
from ._device import on
from ._dtypes import as_dtype, expect_dtype, float32, float64, int64, is_float, scalar_dtype
from ._errors import not_a_tensor
from ._installed import get_backend
from ._random import Generator, default_generator, next_draw, next_normal
from ._shape import checked, extents, normalize_dim
from ._tape import each_time
from ._tensor import Tensor
from ._types import Device, DType, Operand
from ._value import Value
from ._views import given


def of_values(array: NDArray[Any], dtype: DType, requires_grad: bool, backend: Device) -> Tensor:
    """A tensor with a private copy of `array`; each replay of a capture copies it again."""
    copied = np.empty(array.shape, dtype)

    def copy() -> None:
        with np.errstate(all="ignore"):  # a float64 too large for float32 becomes infinite
            np.copyto(copied, array, casting="unsafe")

    each_time(copy, ahead=True)
    return _make(copied, requires_grad, backend)


def _make(array: NDArray[Any], requires_grad: bool, backend: Device) -> Tensor:
    found = get_backend(backend)
    return Tensor(found.from_numpy(array), found).requires_grad_(requires_grad)


def tensor(
    data: Any,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
    backend: Device = None,
    device: Device = None,
) -> Tensor:
    """A tensor with a copy of `data`: a scalar, nested sequences of scalars, a NumPy array or a tensor.

    Python floats become float32, ints int64 and bools bool. Arrays and NumPy scalars keep their dtype; the widest one
    in a sequence applies to all of it. Without `dtype`, raises TypeError for an array of a dtype other than float32,
    float64, int64 and bool. Raises ValueError for ragged sequences.

    >>> tensor([[1, 2], [3, 4]]), tensor([0.5]).dtype
    (tensor([[1, 2],
            [3, 4]]), dtype('float32'))
    """
    backend = on(backend, device)
    if isinstance(data, Tensor):
        backend = backend or data.backend
        data = data.read("tensor(...) of a tensor")
    try:
        array = np.asarray(data)
    except ValueError as error:
        raise ValueError(f"the data is ragged: expected rows of equal length ({error})") from None
    if array.dtype.kind not in "fiub":
        raise TypeError(f"data of dtype {array.dtype}: expected numbers, or nested sequences of numbers")
    if dtype is None and not isinstance(data, (np.ndarray, np.generic)):
        dtype = _dtype_of_sequence(data, array)
    if dtype is None:
        expect_dtype("data", array.dtype, "pass dtype= to convert")
    return of_values(array, as_dtype(array.dtype if dtype is None else dtype), requires_grad, backend)


def _dtype_of_sequence(data: Any, array: NDArray[Any]) -> DType | None:
    """The dtype of nested sequences; NumPy would make Python floats in them float64."""
    own = list(_dtypes_within(data))
    if array.dtype.kind == "f" or not (own or array.size):
        return float64 if any(dtype.kind == "f" and dtype.itemsize >= 8 for dtype in own) else float32
    return int64 if array.dtype.kind == "i" else None


def _dtypes_within(data: Any) -> Iterator[DType]:
    """The dtypes of the arrays, tensors and NumPy scalars in nested sequences."""
    if isinstance(data, (np.ndarray, np.generic, Value)):
        yield data.dtype
    elif hasattr(data, "__array__"):
        yield np.asarray(data).dtype
    elif isinstance(data, Sequence) and not set(map(type, data)) <= _PYTHON:
        for x in data:
            yield from _dtypes_within(x)


_PYTHON = {float, int, bool}


def from_numpy(
    array: NDArray[Any], requires_grad: bool = False, backend: Device = None, device: Device = None
) -> Tensor:
    """A tensor that shares the memory of `array`, if the backend can.

    Raises TypeError unless the dtype is float32, float64, int64 or bool, and ValueError for elements that are not
    aligned in memory.

    >>> array = np.array([1, 2])
    >>> x = from_numpy(array)
    >>> array[0] = 7
    >>> x
    tensor([7, 2])
    """
    backend = on(backend, device)
    if not isinstance(array, np.ndarray):
        raise TypeError(f"from_numpy of {type(array).__name__}: expected a NumPy array; use tensor(...)")
    expect_dtype("from_numpy of an array", array.dtype, "use array.astype(...) or tensor(array, dtype=...)")
    if not array.flags.aligned:
        raise ValueError("from_numpy of an array whose elements are not aligned in memory: copy it with tensor(...)")
    # asarray drops subclasses such as memmap.
    return given(_make(np.asarray(array), requires_grad, backend))


def from_dlpack(external: Any, requires_grad: bool = False, backend: Device = None, device: Device = None) -> Tensor:
    """A tensor that shares the memory of another library's array, such as a PyTorch or CuPy tensor on the same device.

    Raises TypeError for an object without `__dlpack__` and for other dtypes. The backend raises for another device.

    >>> from_dlpack(np.array([1.0, 2.0]))
    tensor([1., 2.], dtype=float64)
    """
    backend = on(backend, device)
    found = get_backend(backend)
    if not hasattr(external, "__dlpack__") and not hasattr(external, "__cuda_array_interface__"):
        raise TypeError(f"from_dlpack of {type(external).__name__}: expected an array that has __dlpack__")
    data = found.from_dlpack(external)
    expect_dtype("from_dlpack of an array", data.dtype, "convert it in the other library")
    return given(Tensor(data, found)).requires_grad_(requires_grad)


def full(
    size: int | Sequence[int],
    fill_value: Operand,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
    backend: Device = None,
    device: Device = None,
) -> Tensor:
    """`fill_value` in the shape `size`, with the dtype of `tensor(fill_value)` unless one is given.

    >>> full((2,), 7)
    tensor([7, 7])
    """
    backend = on(backend, device)
    value = fill_value.item() if isinstance(fill_value, Value) else fill_value
    alone = fill_value.dtype if isinstance(fill_value, Value) else scalar_dtype(fill_value)
    return _filled(extents((size,)), value, dtype or alone, requires_grad, backend)


def _filled(
    shape: Sequence[int], value: float, dtype: DTypeLike | None, requires_grad: bool, backend: Device
) -> Tensor:
    found = get_backend(backend)
    data = found.full(checked(shape), value, as_dtype(dtype or float32))
    return Tensor(data, found).requires_grad_(requires_grad)


def zeros(
    *shape: Any,
    size: Sequence[int] | None = None,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
    backend: Device = None,
    device: Device = None,
) -> Tensor:
    """Zeros, float32 unless `dtype` is given. Pass the shape as separate ints or one sequence.

    >>> zeros(2, 3)
    tensor([[0., 0., 0.],
            [0., 0., 0.]])
    """
    backend = on(backend, device)
    return _filled(extents(shape, size), 0, dtype, requires_grad, backend)


def ones(
    *shape: Any,
    size: Sequence[int] | None = None,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
    backend: Device = None,
    device: Device = None,
) -> Tensor:
    """Ones, float32 unless `dtype` is given. Pass the shape as separate ints or one sequence.

    >>> ones(2, 3)
    tensor([[1., 1., 1.],
            [1., 1., 1.]])
    """
    backend = on(backend, device)
    return _filled(extents(shape, size), 1, dtype, requires_grad, backend)


def arange(
    start: float,
    end: float | None = None,
    step: float = 1,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
    backend: Device = None,
    device: Device = None,
) -> Tensor:
    """start, start + step, ... below end; arange(n) counts from 0. int64 if all three are ints, else float32.

    For int64, the three are first truncated to integers. Raises ValueError for a step of 0.

    >>> arange(3), arange(1, 2, 0.25)
    (tensor([0, 1, 2]), tensor([1.  , 1.25, 1.5 , 1.75]))
    """
    backend = on(backend, device)
    first, last = (0, start) if end is None else (start, end)
    if first is None or last is None:  # NumPy takes None for 0
        raise TypeError(f"arange from {first} to {last}: expected numbers")
    types = {type(first), type(last), type(step)}
    if not types <= {int, float}:  # the usual case needs no call
        expect_numbers("arange", start=first, end=last, step=step)
    integers = all(issubclass(each, (int, np.integer)) for each in types)
    found = as_dtype(dtype or (int64 if integers else float32))
    if found == int64:
        first, last, step = int(first), int(last), int(step)
    if step == 0:
        raise ValueError("arange with step 0 never ends")
    return of_values(np.arange(first, last, step), found, requires_grad, backend)


def _float(dtype: DTypeLike | None) -> np.dtype[Any]:
    found = as_dtype(dtype or float32)
    if not is_float(found):
        raise TypeError(f"random numbers of dtype {found}: expected float32 or float64")
    return found


def rand(
    *shape: Any,
    size: Sequence[int] | None = None,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
    backend: Device = None,
    device: Device = None,
    generator: Generator | None = None,
) -> Tensor:
    """Uniform in [0, 1), the same on every backend. Pass the shape as separate ints or one sequence.

    Raises TypeError unless `dtype` is float32 (the default) or float64.

    >>> rand(2, 3).shape
    (2, 3)
    """
    backend = on(backend, device)
    generator, found = generator or default_generator(), get_backend(backend)
    data = found.uniform(checked(extents(shape, size)), _float(dtype), next_draw(generator))
    return Tensor(data, found).requires_grad_(requires_grad)


def randn(
    *shape: Any,
    size: Sequence[int] | None = None,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
    backend: Device = None,
    device: Device = None,
    generator: Generator | None = None,
) -> Tensor:
    """Standard normal, drawn on the host, so the same on every backend. Raises as `rand`.

    >>> randn(2, 3).shape
    (2, 3)
    """
    backend = on(backend, device)
    found = get_backend(backend)
    values = next_normal(checked(extents(shape, size)), _float(dtype), generator or default_generator())
    return _make(values, requires_grad, found)


def bernoulli(
    p: float | Tensor,
    *shape: Any,
    dtype: DTypeLike | None = None,
    backend: Device = None,
    device: Device = None,
    generator: Generator | None = None,
) -> Tensor:
    """1 with probability `p`, else 0. For a tensor `p`, the result has its shape, dtype and backend.

    Raises ValueError unless all probabilities are in [0, 1].

    >>> bernoulli(1.0, 3)
    tensor([1., 1., 1.])
    """
    backend = on(backend, device)
    if isinstance(p, Value):
        expect_none(~((p >= 0) & (p <= 1)), ValueError, "bernoulli: a probability is not from 0 to 1")
        draws = rand(*(shape or p.shape), dtype=p.dtype, backend=p.backend, generator=generator)
        return (draws < p).astype(dtype or p.dtype)
    expect_numbers("bernoulli", p=p)
    if not 0 <= p <= 1:
        raise ValueError(f"bernoulli: p {p}: expected 0 to 1")
    return (rand(*shape, backend=backend, generator=generator) < p).astype(dtype or float32)


def concatenate(tensors: Sequence[Tensor], dim: int | None = None, *, axis: int | None = None) -> Tensor:
    """`tensors`, one or more, joined along `dim` (or `axis`), 0 by default. Mixed dtypes are promoted.

    Raises ValueError if they differ in another dimension or have none.

    >>> concatenate([ones(2, 3), ones(2, 4)], 1).shape
    (2, 7)
    """
    expect_several("concatenate", tensors)
    if not tensors[0].ndim:
        raise ValueError("concatenate of tensors without dimensions: expected at least one; use stack")
    return _ops.concatenate(tensors, normalize_dim(dim_or_axis("concatenate", dim, axis), tensors[0].ndim))


def stack(tensors: Sequence[Tensor], dim: int | None = None, *, axis: int | None = None) -> Tensor:
    """`tensors` of one shape, joined along a new dimension at `dim` (or `axis`), 0 by default.

    Raises ValueError for different shapes.

    >>> stack([tensor([1, 2]), tensor([3, 4])])
    tensor([[1, 2],
            [3, 4]])
    """
    expect_several("stack", tensors)
    for x in tensors:
        if x.shape != tensors[0].shape:
            raise ValueError(f"stack of shapes {tensors[0].shape} and {x.shape}: expected equal shapes")
    at = normalize_dim(dim_or_axis("stack", dim, axis), tensors[0].ndim + 1)
    return _ops.concatenate([x.unsqueeze(at) for x in tensors], at)


def expect_several(what: str, tensors: Sequence[Tensor]) -> None:
    """Raise TypeError unless `tensors` is a sequence of tensors, ValueError if it is empty."""
    if type(tensors) is not list and isinstance(tensors, Value):
        raise TypeError(f"{what}: got one tensor, expected a sequence of them, as [x, y]")
    if not hasattr(type(tensors), "__iter__"):
        raise TypeError(f"{what}: got {type(tensors).__name__}, expected a sequence of tensors, as [x, y]")
    if not tensors:
        raise ValueError(f"{what} of no tensors: expected one or more")
    for x in tensors:
        if not isinstance(x, Value):
            raise not_a_tensor(what, x, "tensors")


def dim_or_axis(what: str, dim: int | None, axis: int | None) -> int:
    """Whichever of the two is given, else 0. Raises TypeError if both are."""
    if dim is not None and axis is not None:
        raise TypeError(f"{what}: both dim and axis: they mean the same; pass one")
    return dim or axis or 0


@overload
def where(condition: Tensor, a: Operand, b: Operand) -> Tensor: ...
@overload
def where(condition: Tensor) -> tuple[Tensor, ...]: ...
def where(condition: Tensor, a: Operand | None = None, b: Operand | None = None) -> Tensor | tuple[Tensor, ...]:
    """`a` where `condition` (bool) is true, else `b`. Without both, the indices of true elements, one per dimension.

    >>> where(tensor([True, False]), tensor([1, 2]), 0)
    tensor([1, 0])
    """
    if not isinstance(condition, Tensor):
        raise not_a_tensor("where: condition", condition, "a bool tensor")
    if a is None and b is None:
        return condition.nonzero(as_tuple=True)
    if a is None or b is None:
        raise TypeError("where of one value: expected two, or none")
    return condition.where(a, b)


def maximum(a: Operand, b: Operand) -> Tensor:
    """The larger of two operands, at least one a tensor, element by element. Equal values share the gradient.

    >>> maximum(tensor([1, 5]), 3)
    tensor([3, 5])
    """
    return _ops.elementwise("maximum", a, b)


def minimum(a: Operand, b: Operand) -> Tensor:
    """The smaller of two operands, at least one a tensor, element by element. Equal values share the gradient.

    >>> minimum(tensor([1, 5]), 3)
    tensor([1, 3])
    """
    return _ops.elementwise("minimum", a, b)
