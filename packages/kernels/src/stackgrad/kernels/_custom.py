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

import numba
import numpy as np
from numba import types
from numpy.typing import NDArray

from stackgrad.tensor import Tensor, concatenate, full, is_recording
from stackgrad.tensor._ops import common_backend
from stackgrad.tensor._shape import broadcast_shapes, normalize_dim

from .cpu import _elementwise, _reduce
from .cpu._kernel import helper
from .cpu._replay import ChunkError

if TYPE_CHECKING:
    from .cuda._custom import CustomKernels

Number = bool | int | float


def map(fn: Callable[[Number], Number]) -> Callable[[Tensor], Tensor]:
    """The operation that applies `fn` to each element of a tensor, keeping shape and dtype.

    Raises TypeError where Numba cannot compile `fn`; the message holds Numba's reason. RuntimeError where `fn` raises.
    """
    scalar = _Scalar("map", fn, 1)
    function = scalar.compiled
    kernels = _elementwise_kernels(scalar, lambda x, y, z: function(x))

    def operation(x: Tensor) -> Tensor:
        scalar.check(x)
        if not _on_host(x):
            return x.new(scalar.for_gpu.elementwise(x.data))
        return x.new(scalar.run(lambda: _elementwise.run(kernels, x.dtype, x.dtype, x.data)))

    return operation


def zip(fn: Callable[[Number, Number], Number]) -> Callable[[Tensor, Tensor], Tensor]:
    """The operation that applies `fn` to the elements of two tensors of one dtype, which broadcast.

    Raises TypeError where Numba cannot compile `fn`, or dtypes differ, ValueError for shapes that do not broadcast,
    RuntimeError where `fn` raises.
    """
    scalar = _Scalar("zip", fn, 2)
    function = scalar.compiled
    kernels = _elementwise_kernels(scalar, lambda x, y, z: function(x, y))

    def operation(x: Tensor, y: Tensor) -> Tensor:
        scalar.check(x, y)
        if x.dtype != y.dtype:
            raise TypeError(f"zip: tensors of {x.dtype} and {y.dtype}: expected one dtype; use .astype(...)")
        broadcast_shapes(x.shape, y.shape)
        if not _on_host(x):
            return x.new(scalar.for_gpu.elementwise(x.data, y.data))
        return x.new(scalar.run(lambda: _elementwise.run(kernels, x.dtype, x.dtype, x.data, y.data)))

    return operation


def reduce(fn: Callable[[Number, Number], Number], start: Number) -> Callable[..., Tensor]:
    """The operation that folds a tensor by `fn` along a dimension, from `start` on.

    `operation(x, dim, keepdim=False)`. `fn` must be associative and commutative: elements are folded in fixed pieces,
    and the pieces folded together, so that the result does not depend on the number of threads.
    Raises TypeError where Numba cannot compile `fn`, IndexError for a dimension that is not there, RuntimeError where
    `fn` raises.
    """
    scalar = _Scalar("reduce", fn, 2)
    function = scalar.compiled
    fold = _reduce.fold_kernel(scalar.identifier, helper(lambda x, y, z: function(x, y)), None)

    def operation(x: Tensor, dim: int, keepdim: bool = False) -> Tensor:
        scalar.check(x)
        dim = normalize_dim(dim, x.ndim)
        if not x.ndim:
            return operation(x.reshape(1), 0)
        shape = (*x.shape[:dim], 1, *x.shape[dim + 1 :])
        x = concatenate([full(shape, start, dtype=x.dtype, backend=x.backend), x.detach()], dim)
        if _on_host(x):
            out = x.new(scalar.run(lambda: _reduce.run(fold, None, x.data, (dim,))))
        else:
            out = x.new(scalar.for_gpu.reduce(x.data, (dim,)))
        return out.unsqueeze(dim) if keepdim else out

    return operation


def _on_host(x: Tensor) -> bool:
    return isinstance(x.data, np.ndarray)


def _elementwise_kernels(scalar: _Scalar, function: Any) -> _elementwise.ElementwiseKernels:
    """The kernels of a function whose operands and result are of one dtype, kept off the disk."""
    return _elementwise.ElementwiseKernels(scalar.identifier, helper(function), lambda T: (T,) * 4, None)


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
        if isinstance(fn, FunctionType):
            self.compiled = helper(fn)
        else:  # what Numba knows, or has compiled already
            self.compiled = helper((lambda x: fn(x)) if arity == 1 else (lambda x, y: fn(x, y)))
        self._fn = fn
        self._checked: set[tuple[bool, np.dtype[Any]]] = set()

    @cached_property
    def for_gpu(self) -> CustomKernels:
        """Its kernels for tensors on backend `cuda`."""
        from .cuda._custom import CustomKernels

        return CustomKernels(self.identifier, self._fn, self.arity)

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
        if (_on_host(x), x.dtype) not in self._checked:
            self._compile(x)
            self._checked.add((_on_host(x), x.dtype))

    def _compile(self, x: Tensor) -> None:
        """Compile it for the dtype and the place of `x`, by itself where its result's type is to be known."""
        dtype = x.dtype
        arguments = (numba.from_dtype(dtype),) * self.arity
        try:
            if not _on_host(x):
                self.for_gpu.compile(dtype)
                return
            self.compiled.compile(arguments)
        except (numba.core.errors.NumbaError, TypeError) as error:  # a TypeError for another number of parameters
            # From "During" on it names Numba's own steps, and "File" shows this file where the user gave no source.
            reason = _STEP.sub("", str(error).partition(self._end_of_reason)[0]).strip()
            arguments_in_words = f"{_numbers(self.arity)} of {dtype}"
            raise TypeError(
                f"{self.what}: Numba cannot compile {self.name} as a function of {arguments_in_words}\n{reason}"
            ) from None
        found = self.compiled.overloads[arguments].signature.return_type
        if not isinstance(found, (types.Boolean, types.Integer, types.Float)):
            raise TypeError(f"{self.what}: {self.name} gives {found} for {dtype}: expected a real number")

    def run(self, work: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        """What `work` gives."""
        try:
            return work()
        except ChunkError:
            raise RuntimeError(
                f"{self.what}: {self.name} raised an exception for some element: call it with plain numbers to see it"
            ) from None
