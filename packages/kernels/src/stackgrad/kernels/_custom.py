"""map, zip and reduce of a user's own function of numbers, compiled and run in parallel on the CPU.

The function is plain Python that Numba can compile, or one that Numba knows, such as `math.exp` or `operator.add`.
It is compiled once in each process: what it depends on is not known, so its machine code is not kept on disk. The
operations record no gradient; for one, call them in the forward of a `stackgrad.tensor.Function`.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any

import numba
import numpy as np
from numba import types
from numpy.typing import NDArray

from stackgrad.tensor import Tensor, concatenate, full
from stackgrad.tensor._shape import broadcast_shapes, normalize_dim

from .cpu import _elementwise, _reduce
from .cpu._calls import ChunkError
from .cpu._jit import helper

Number = bool | int | float


def map(fn: Callable[[Number], Number]) -> Callable[[Tensor], Tensor]:
    """The operation that applies `fn` to each element of a tensor on a host backend, keeping shape and dtype.

    Raises TypeError where Numba cannot compile `fn`; the message holds Numba's reason. RuntimeError where `fn` raises.
    """
    scalar = _Scalar("map", fn, 1)
    function = scalar.compiled
    kernels = _elementwise_kernels(scalar, lambda x, y, z: function(x))

    def operation(x: Tensor) -> Tensor:
        scalar.check(x)
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
        shape = (*x.shape[:dim], 1, *x.shape[dim + 1 :])
        x = concatenate([full(shape, start, dtype=x.dtype, backend=x.backend), x.detach()], dim)
        out = x.new(scalar.run(lambda: _reduce.run(fold, None, x.data, (dim,))))
        return out.unsqueeze(dim) if keepdim else out

    return operation


def _elementwise_kernels(scalar: _Scalar, function: Any) -> _elementwise.ElementwiseKernels:
    """The kernels of a function whose operands and result are of one dtype, kept off the disk."""
    return _elementwise.ElementwiseKernels(scalar.identifier, helper(function), lambda T: (T,) * 4, None)


def _numbers(count: int) -> str:
    return "one number" if count == 1 else "two numbers"


_STEP = "Failed in nopython mode pipeline (step: nopython frontend)\n"


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
        self._checked: set[np.dtype[Any]] = set()

    def check(self, *tensors: Tensor) -> None:
        """Raise TypeError unless these are tensors on the host, for whose dtype the function gives a number."""
        for x in tensors:
            if not isinstance(x, Tensor):
                raise TypeError(f"{self.what} of {type(x).__name__}: expected a tensor")
            if not isinstance(x.data, np.ndarray):
                raise TypeError(
                    f"{self.what}: tensor on backend {x.backend.name!r}: expected one on the host; use .to('cpu')"
                )
        dtype = tensors[0].dtype
        if dtype not in self._checked:
            self._compile(dtype)
            self._checked.add(dtype)

    def _compile(self, dtype: np.dtype[Any]) -> None:
        """Compile it by itself, so that what Numba has to say is about the user's function alone."""
        arguments = (numba.from_dtype(dtype),) * self.arity
        try:
            self.compiled.compile(arguments)
        except (numba.core.errors.NumbaError, TypeError) as error:  # a TypeError for another number of parameters
            # From "During" on it names Numba's own steps, and "File" shows this file where the user gave no source.
            reason = str(error).partition(self._end_of_reason)[0].replace(_STEP, "").strip()
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
