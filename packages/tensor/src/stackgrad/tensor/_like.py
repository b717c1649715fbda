"""Functions that create a tensor with the shape, dtype (unless one is given) and backend of another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import DTypeLike

from ._checks import expect_tensors
from ._create import rand, randn
from ._device import on
from ._dtypes import as_dtype, float32
from ._installed import get_backend
from ._random import Generator
from ._shape import checked, extents
from ._tensor import Tensor
from ._types import Device, Operand


def zeros_like(input: Tensor, dtype: DTypeLike | None = None, requires_grad: bool = False) -> Tensor:
    """Zeros in the shape of `input`.

    >>> zeros_like(tensor([5, 6]))
    tensor([0, 0])
    """
    expect_tensors("zeros_like", input=input)
    return input.new_zeros(input.shape, dtype=dtype, requires_grad=requires_grad)


def ones_like(input: Tensor, dtype: DTypeLike | None = None, requires_grad: bool = False) -> Tensor:
    """Ones in the shape of `input`.

    >>> ones_like(tensor([5, 6]))
    tensor([1, 1])
    """
    expect_tensors("ones_like", input=input)
    return input.new_ones(input.shape, dtype=dtype, requires_grad=requires_grad)


def full_like(
    input: Tensor, fill_value: Operand, dtype: DTypeLike | None = None, requires_grad: bool = False
) -> Tensor:
    """`fill_value` in the shape of `input`.

    >>> full_like(ones(2), 7)
    tensor([7., 7.])
    """
    expect_tensors("full_like", input=input)
    return input.new_full(input.shape, fill_value, dtype, requires_grad)


def empty_like(input: Tensor, dtype: DTypeLike | None = None, requires_grad: bool = False) -> Tensor:
    """Uninitialised values in the shape of `input`.

    >>> empty_like(ones(2, 3)).shape
    (2, 3)
    """
    expect_tensors("empty_like", input=input)
    return input.new_empty(input.shape, dtype=dtype, requires_grad=requires_grad)


def empty(
    *shape: Any,
    size: Sequence[int] | None = None,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
    backend: Device = None,
    device: Device = None,
) -> Tensor:
    """Uninitialised values, float32 unless `dtype` is given. Pass the shape as separate ints or one sequence.

    >>> empty(2, 3).shape
    (2, 3)
    """
    backend = on(backend, device)
    found = get_backend(backend)
    return Tensor(found.empty(checked(extents(shape, size)), as_dtype(dtype or float32)), found).requires_grad_(
        requires_grad
    )


def rand_like(
    input: Tensor, dtype: DTypeLike | None = None, requires_grad: bool = False, generator: Generator | None = None
) -> Tensor:
    """Uniform in [0, 1), in the shape of `input`: `rand`.

    >>> rand_like(ones(2, 3)).shape
    (2, 3)
    """
    expect_tensors("rand_like", input=input)
    return rand(
        input.shape,
        dtype=input.dtype if dtype is None else dtype,
        requires_grad=requires_grad,
        backend=input.backend,
        generator=generator,
    )


def randn_like(
    input: Tensor, dtype: DTypeLike | None = None, requires_grad: bool = False, generator: Generator | None = None
) -> Tensor:
    """Standard normal, in the shape of `input`: `randn`.

    >>> randn_like(ones(2, 3)).shape
    (2, 3)
    """
    expect_tensors("randn_like", input=input)
    return randn(
        input.shape,
        dtype=input.dtype if dtype is None else dtype,
        requires_grad=requires_grad,
        backend=input.backend,
        generator=generator,
    )


__all__: list[str] = ["empty", "empty_like", "full_like", "ones_like", "rand_like", "randn_like", "zeros_like"]
