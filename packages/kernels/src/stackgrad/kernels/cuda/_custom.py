"""map, zip and reduce of a user's function: the kernels of `_elementwise` and `_reduce`, compiled with it."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any

import numpy as np

from stackgrad.tensor._types import DType, Shape

from . import _elementwise, _reduce
from ._array import DeviceArray
from ._driver import inlined


class _Kernels:
    """The kernels that call `scalar`, for some dtypes."""

    def __init__(self, name: str, scalar: Any, dtypes: str) -> None:
        self.maps = _elementwise.ElementwiseKernels(name, scalar, lambda T: (T,) * 4, dtypes, registered=False)
        self.fold = _reduce.FoldKernels(name, scalar, dtypes, registered=False)


class CustomKernels:
    """The kernels of `fn`, a function of one scalar, or of two of the same dtype. Each process compiles them.

    On a GPU, an exception that the function raises for some element goes unnoticed.
    """

    def __init__(self, name: str, fn: Callable[..., Any], arity: int) -> None:
        function = inlined(fn) if isinstance(fn, FunctionType) else fn  # Numba knows the others, such as math.exp
        self._scalars = _Kernels(name, _of_scalars(function, arity), "if")
        self._bools = _Kernels(name, _of_bools(function, arity), "b")

    def _for(self, dtype: DType) -> _Kernels:
        return self._bools if dtype == np.dtype("bool") else self._scalars

    def compile(self, dtype: DType) -> None:
        """Compile it for `dtype`. Raises NumbaError, with the reason, if it does not compile."""
        self._for(dtype).maps.flat[dtype]

    def elementwise(self, *operands: DeviceArray) -> DeviceArray:
        """Apply `fn` to the elements of operands of the same dtype, which broadcast."""
        dtype = operands[0].dtype
        return _elementwise.run(self._for(dtype).maps, dtype, dtype, *operands)

    def reduce(self, x: DeviceArray, dims: Shape) -> DeviceArray:
        """x folded by `fn` over `dims`, along which it must not be empty."""
        return _reduce.run(self._for(x.dtype).fold, None, x, dims)


def _of_scalars(function: Any, arity: int) -> Any:
    """`function` with the three parameters with which kernels call it."""
    return inlined((lambda x, y, z: function(x)) if arity == 1 else (lambda x, y, z: function(x, y)))


def _of_bools(function: Any, arity: int) -> Any:
    """The same for bools, which kernels read and write as bytes."""
    if arity == 1:
        return inlined(lambda x, y, z: type(x)(bool(function(bool(x)))))
    return inlined(lambda x, y, z: type(x)(bool(function(bool(x), bool(y)))))
