"""map, zip and reduce of a user's own function of numbers, compiled and run in parallel on the CPU.

The function is plain Python that Numba can compile. It is compiled once in each process: what it depends on is not
known, so its machine code is not kept on disk. The operations record no gradient; for one, call them in the forward
of a `stackgrad.tensor.Function`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray
from stackgrad.tensor import Tensor, concatenate, full

from .cpu import _elementwise, _reduce
from .cpu._jit import helper

Number = bool | int | float


def map(fn: Callable[[Number], Number]) -> Callable[[Tensor], Tensor]:
    """The operation that applies `fn` to each element of a tensor on a host backend, keeping shape and dtype.

    Raises TypeError where Numba cannot compile `fn`; the message holds Numba's reason.
    """
    scalar = helper(fn)
    kernels = _elementwise.ElementwiseKernels(
        _name(fn), helper(lambda x, y, z: scalar(x)), lambda T: (T, T, T), lambda T: T, None
    )

    def operation(x: Tensor) -> Tensor:
        _expect_host("map", x)
        return x.new(_compiled(fn, lambda: _elementwise.run(kernels, x.dtype, x.dtype, x.data)))

    return operation


def zip(fn: Callable[[Number, Number], Number]) -> Callable[[Tensor, Tensor], Tensor]:
    """The operation that applies `fn` to the elements of two tensors of one dtype, which broadcast.

    Raises TypeError where Numba cannot compile `fn`, or dtypes differ, ValueError for shapes that do not broadcast.
    """
    scalar = helper(fn)
    kernels = _elementwise.ElementwiseKernels(
        _name(fn), helper(lambda x, y, z: scalar(x, y)), lambda T: (T, T, T), lambda T: T, None
    )

    def operation(x: Tensor, y: Tensor) -> Tensor:
        _expect_host("zip", x, y)
        if x.dtype != y.dtype:
            raise TypeError(f"zip: tensors of {x.dtype} and {y.dtype}: expected one dtype; use .astype(...)")
        return x.new(_compiled(fn, lambda: _elementwise.run(kernels, x.dtype, x.dtype, x.data, y.data)))

    return operation


def reduce(fn: Callable[[Number, Number], Number], start: Number) -> Callable[..., Tensor]:
    """The operation that folds a tensor by `fn` along a dimension, from `start` on.

    `operation(x, dim, keepdim=False)`. `fn` must be associative: elements are folded in fixed pieces, and the pieces
    folded together, so that the result does not depend on the number of threads.
    Raises TypeError where Numba cannot compile `fn`, IndexError for a dimension that is not there.
    """
    scalar = helper(fn)
    fold = _reduce.fold_kernel(_name(fn), helper(lambda x, y, z: scalar(x, y)), None)

    def operation(x: Tensor, dim: int, keepdim: bool = False) -> Tensor:
        _expect_host("reduce", x)
        if not -x.ndim <= dim < x.ndim:
            raise IndexError(f"dim {dim} is out of range for {x.ndim} dimensions: expected {-x.ndim} to {x.ndim - 1}")
        dim %= x.ndim
        shape = (*x.shape[:dim], 1, *x.shape[dim + 1 :])
        x = concatenate([full(shape, start, dtype=x.dtype, backend=x.backend), x.detach()], dim)
        out = x.new(_compiled(fn, lambda: _reduce.run(fold, None, x.data, (dim,))))
        return out.unsqueeze(dim) if keepdim else out

    return operation


def _name(fn: Callable[..., Number]) -> str:
    name = getattr(fn, "__name__", "custom")
    return name if name.isidentifier() else "custom"


def _expect_host(what: str, *tensors: Tensor) -> None:
    for x in tensors:
        if not isinstance(x.data, np.ndarray):
            raise TypeError(f"{what}: tensor on backend {x.backend.name!r}: expected one on the host; use .to('cpu')")


def _compiled(fn: Callable[..., Number], run: Callable[[], NDArray[Any]]) -> NDArray[Any]:
    try:
        return run()
    except numba.core.errors.NumbaError as error:
        raise TypeError(f"Numba cannot compile {_name(fn)}: {error}") from error
