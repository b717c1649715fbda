"""map, zip and reduce of a user's function: the kernels of `_elementwise` and `_reduce`, compiled with it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from types import FunctionType
from typing import Any

import numpy as np

from stackgrad.tensor._types import HostArray as Array

from . import _elementwise, _reduce
from ._numba import OPTIONS, Deferred, helper, numba, types


class NotAScalarError(Exception):
    """A function returns something other than a real scalar; the argument is its Numba type."""


def _dispatched(fn: Callable[..., Any]) -> Any:
    """`fn` as Numba compiles users' functions."""
    return Deferred(lambda: numba.njit(fn, no_cpython_wrapper=True, no_cfunc_wrapper=True, forceinline=True, **OPTIONS))


class CustomKernels:
    """The kernels of `fn`, a function of one scalar, or of two of the same dtype. Each process compiles them.

    They raise ChunkError if the function raises an exception for some element.
    """

    def __init__(self, name: str, fn: Callable[..., Any], arity: int) -> None:
        if isinstance(fn, FunctionType):
            function = _dispatched(fn)
        else:  # a function that Numba knows or has compiled already
            function = _dispatched((lambda x: fn(x)) if arity == 1 else (lambda x, y: fn(x, y)))
        self._name, self._function, self._arity = name, function, arity
        self._scalar = helper((lambda x, y, z: function(x)) if arity == 1 else (lambda x, y, z: function(x, y)))

    @cached_property
    def _maps(self) -> _elementwise.ElementwiseKernels:
        return _elementwise.ElementwiseKernels(self._name, self._scalar, lambda T: (T,) * 4, None)

    @cached_property
    def _fold(self) -> _reduce.Fold:
        return _reduce.fold_kernel(self._name, self._scalar, None)

    def compile(self, dtype: np.dtype[Any]) -> None:
        """Compile the function for `dtype` on its own, to learn the type of its result.

        Raises NumbaError or TypeError if it does not compile, and NotAScalarError if its result is not a real scalar.
        """
        arguments = (numba.from_dtype(dtype),) * self._arity
        self._function.made.compile(arguments)
        found = self._function.made.overloads[arguments].signature.return_type
        if not isinstance(found, (types.Boolean, types.Integer, types.Float)):
            raise NotAScalarError(found)

    def elementwise(self, *operands: Array) -> Array:
        """Apply `fn` to the elements of operands of the same dtype, which broadcast."""
        dtype = operands[0].dtype
        return _elementwise.run(self._maps, dtype, dtype, *operands)

    def reduce(self, x: Array, dims: tuple[int, ...]) -> Array:
        """x folded by `fn` over `dims`, along which it must not be empty."""
        return _reduce.run(self._fold, None, x, dims)
