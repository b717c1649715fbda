"""map, zip and reduce of a user's own function: the kernels of `_elementwise` and `_reduce`, made with that one."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from types import FunctionType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _elementwise, _reduce
from ._numba import helper, numba, types

Array = NDArray[Any]


class NoNumberError(Exception):
    """A function gives what is no real number: its Numba type."""


class CustomKernels:
    """The kernels of `fn`, a function of one number, or of two of one dtype. They are compiled in each process.

    They raise ChunkError where the function raises an exception for some element.
    """

    def __init__(self, name: str, fn: Callable[..., Any], arity: int) -> None:
        if isinstance(fn, FunctionType):
            function = helper(fn)
        else:  # what Numba knows, or has compiled already
            function = helper((lambda x: fn(x)) if arity == 1 else (lambda x, y: fn(x, y)))
        self._name, self._function, self._arity = name, function, arity
        self._scalar = helper((lambda x, y, z: function(x)) if arity == 1 else (lambda x, y, z: function(x, y)))

    @cached_property
    def _maps(self) -> _elementwise.ElementwiseKernels:
        return _elementwise.ElementwiseKernels(self._name, self._scalar, lambda T: (T,) * 4, None)

    @cached_property
    def _fold(self) -> _reduce.Fold:
        return _reduce.fold_kernel(self._name, self._scalar, None)

    def compile(self, dtype: np.dtype[Any]) -> None:
        """Compile the function for `dtype`, by itself, where its result's type is to be known.

        Raises NumbaError or TypeError with the reason why it cannot, NoNumberError for what is of no use.
        """
        arguments = (numba.from_dtype(dtype),) * self._arity
        self._function.made.compile(arguments)
        found = self._function.made.overloads[arguments].signature.return_type
        if not isinstance(found, (types.Boolean, types.Integer, types.Float)):
            raise NoNumberError(found)

    def elementwise(self, *operands: Array) -> Array:
        """`fn` of the elements of operands of one dtype, which broadcast."""
        dtype = operands[0].dtype
        return _elementwise.run(self._maps, dtype, dtype, *operands)

    def reduce(self, x: Array, dims: tuple[int, ...]) -> Array:
        """x, of at least one element along `dims`, folded by `fn` over them."""
        return _reduce.run(self._fold, None, x, dims)
