"""map, zip and reduce of a user's own function of numbers, compiled and run in parallel on the CPU or a GPU.

The function is plain Python that Numba can compile, or one that Numba knows, such as `math.exp` or `operator.add`.
It is compiled once in each process: what it depends on is not known, so its machine code is not kept on disk. It has no
gradient: what would need one raises RuntimeError; call it in the forward of a `stackgrad.tensor.Function`, or detach.
On a GPU, `v ** w` of two integers is exact up to 2^53 unless `w` is a constant: numba-cuda goes through float64.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cached_property
from types import FunctionType
from typing import TYPE_CHECKING, Any

import numpy as np
from numba.core.errors import NumbaError

from stackgrad.tensor import Tensor, concatenate, full, is_recording
from stackgrad.tensor._ops import common_backend
from stackgrad.tensor._shape import broadcast_shapes, normalize_dim

from .cpu._custom import CustomKernels, NoNumberError
from .cpu._replay import ChunkError

if TYPE_CHECKING:
    from .cuda._custom import CustomKernels as KernelsOnGpu

Number = bool | int | float


def map(fn: Callable[[Number], Number]) -> Callable[[Tensor], Tensor]:
    """The operation that applies `fn` to each element of a tensor, keeping shape and dtype.

    Raises TypeError where Numba cannot compile `fn`; the message holds Numba's reason. RuntimeError where `fn` raises.
    """
    scalar = _Scalar("map", fn, 1)
    return lambda x: scalar.elementwise(x)


def zip(fn: Callable[[Number, Number], Number]) -> Callable[[Tensor, Tensor], Tensor]:
    """The operation that applies `fn` to the elements of two tensors of one dtype, which broadcast.

    Raises TypeError where Numba cannot compile `fn`, or dtypes differ, ValueError for shapes that do not broadcast,
    RuntimeError where `fn` raises.
    """
    scalar = _Scalar("zip", fn, 2)
    return lambda x, y: scalar.elementwise(x, y)


def reduce(fn: Callable[[Number, Number], Number], start: Number) -> Callable[..., Tensor]:
    """The operation that folds a tensor by `fn` along a dimension, from `start` on.

    `operation(x, dim, keepdim=False)`. `fn` must be associative and commutative: elements are folded in fixed pieces,
    and the pieces folded together, so that the result does not depend on the number of threads.
    Raises TypeError where Numba cannot compile `fn`, IndexError for a dimension that is not there, RuntimeError where
    `fn` raises.
    """
    scalar = _Scalar("reduce", fn, 2)

    def operation(x: Tensor, dim: int, keepdim: bool = False) -> Tensor:
        scalar.check(x)
        dim = normalize_dim(dim, x.ndim)
        if not x.ndim:
            return operation(x.reshape(1), 0)
        shape = (*x.shape[:dim], 1, *x.shape[dim + 1 :])
        x = concatenate([full(shape, start, dtype=x.dtype, backend=x.backend), x.detach()], dim)
        out = scalar.run(lambda kernels, data: kernels.reduce(data, (dim,)), x)
        return out.unsqueeze(dim) if keepdim else out

    return operation


def _on_host(x: Tensor) -> bool:
    return isinstance(x.data, np.ndarray)


def _numbers(count: int) -> str:
    return "one number" if count == 1 else "two numbers"


_STEP = re.compile(r"Failed in \w+ mode pipeline \(step: nopython frontend\)\n")


class _Scalar:
    """A user's function of `arity` numbers, for the operation `what`."""

    def __init__(self, what: str, fn: Callable[..., Number], arity: int) -> None:
        if not callable(fn):
            raise TypeError(f"{what} of {fn!r}: expected a function of {_numbers(arity)}")
        self.what, self.arity = what, arity
        self.name = getattr(fn, "__name__", repr(fn))
        self.identifier = self.name if self.name.isidentifier() else "custom"
        self._end_of_reason = "\nDuring:" if isinstance(fn, FunctionType) else "\nFile"
        self._fn = fn
        self._checked: set[tuple[bool, np.dtype[Any]]] = set()

    @cached_property
    def _on_cpu(self) -> CustomKernels:
        return CustomKernels(self.identifier, self._fn, self.arity)

    @cached_property
    def _on_gpu(self) -> KernelsOnGpu:
        from .cuda._custom import CustomKernels  # which needs numba-cuda

        return CustomKernels(self.identifier, self._fn, self.arity)

    def _kernels_for(self, x: Tensor) -> CustomKernels | KernelsOnGpu:
        return self._on_cpu if _on_host(x) else self._on_gpu

    def elementwise(self, *tensors: Tensor) -> Tensor:
        """The function of the elements of tensors."""
        self.check(*tensors)
        return self.run(lambda kernels, *data: kernels.elementwise(*data), *tensors)

    def run(self, work: Callable[..., Any], *tensors: Tensor) -> Tensor:
        """What `work` makes by the kernels of the data of these tensors."""
        try:
            return tensors[0].new(work(self._kernels_for(tensors[0]), *[x.data for x in tensors]))
        except ChunkError:
            raise RuntimeError(
                f"{self.what}: {self.name} raised an exception for some element: call it with plain numbers to see it"
            ) from None

    def check(self, *tensors: Tensor) -> None:
        """Raise TypeError unless these are tensors on the host or a GPU, for whose dtype the function gives numbers.

        Raise RuntimeError where a gradient would be lost.
        """
        for x in tensors:
            if not isinstance(x, Tensor):
                raise TypeError(f"{self.what} of {type(x).__name__}: expected a tensor")
            if not _on_host(x) and x.backend.name != "cuda":
                raise TypeError(
                    f"{self.what}: tensor on backend {x.backend.name!r}: expected one on the host or 'cuda'; "
                    "use .to('cpu')"
                )
            if x.requires_grad and is_recording():
                raise RuntimeError(
                    f"{self.what} of {self.name}: a tensor of shape {x.shape} requires a gradient, which the function "
                    "has not: pass .detach(), or call it in the forward of a stackgrad.tensor.Function"
                )
        x = tensors[0]
        if not all(_on_host(x) for x in tensors):
            common_backend(self.what, *tensors)
        if len(tensors) == 2:
            if x.dtype != tensors[1].dtype:
                raise TypeError(
                    f"{self.what}: tensors of {x.dtype} and {tensors[1].dtype}: expected one dtype; use .astype(...)"
                )
            broadcast_shapes(*[x.shape for x in tensors])
        if (_on_host(x), x.dtype) not in self._checked:
            self._compile(x)
            self._checked.add((_on_host(x), x.dtype))

    def _compile(self, x: Tensor) -> None:
        """Compile it for the dtype of `x`, where that lies."""
        try:
            self._kernels_for(x).compile(x.dtype)
        except (NumbaError, TypeError) as error:  # a TypeError for another number of parameters
            # From "During" on it names Numba's own steps, and "File" shows this file where the user gave no source.
            reason = _STEP.sub("", str(error).partition(self._end_of_reason)[0]).strip()
            arguments_in_words = f"{_numbers(self.arity)} of {x.dtype}"
            raise TypeError(
                f"{self.what}: Numba cannot compile {self.name} as a function of {arguments_in_words}\n{reason}"
            ) from None
        except NoNumberError as error:
            raise TypeError(f"{self.what}: {self.name} gives {error} for {x.dtype}: expected a real number") from None
