"""map, zip and reduce of a user's own function: the kernels of `_elementwise` and `_reduce`, made with that one."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any

import numpy as np

from . import _elementwise, _reduce
from ._array import DeviceArray, Shape
from ._driver import inlined

DType = np.dtype[Any]


class _Kernels:
    """Those that call `scalar`, for some dtypes."""

    def __init__(self, name: str, scalar: Any, dtypes: str) -> None:
        self.maps = _elementwise.ElementwiseKernels(name, scalar, lambda T: (T,) * 4, dtypes, registered=False)
        self.fold = _reduce.FoldKernels(name, scalar, dtypes, registered=False)


class CustomKernels:
    """The kernels of `fn`, a function of one number, or of two of one dtype. They are compiled in each process.

    A function that raises an exception for some element is not noticed on a GPU.
    """

    def __init__(self, name: str, fn: Callable[..., Any], arity: int) -> None:
        function = inlined(fn) if isinstance(fn, FunctionType) else fn  # the latter Numba knows, such as math.exp
        self._numbers = _Kernels(name, _of_numbers(function, arity), "if")
        self._bools = _Kernels(name, _of_bools(function, arity), "b")

    def _for(self, dtype: DType) -> _Kernels:
        return self._bools if dtype == np.dtype("bool") else self._numbers

    def compile(self, dtype: DType) -> None:
        """Compile it for `dtype`. Raises NumbaError with the reason why it cannot."""
        self._for(dtype).maps.flat[dtype]

    def elementwise(self, *operands: DeviceArray) -> DeviceArray:
        """`fn` of the elements of operands of one dtype, which broadcast."""
        dtype = operands[0].dtype
        return _elementwise.run(self._for(dtype).maps, dtype, dtype, *operands)

    def reduce(self, x: DeviceArray, dims: Shape) -> DeviceArray:
        """x, of at least one element along `dims`, folded by `fn` over them."""
        return _reduce.run(self._for(x.dtype).fold, None, x, dims)


def _of_numbers(function: Any, arity: int) -> Any:
    """`function` as kernels call it."""
    return inlined((lambda x, y, z: function(x)) if arity == 1 else (lambda x, y, z: function(x, y)))


def _of_bools(function: Any, arity: int) -> Any:
    """`function` of the bools that bytes stand for, its result such a byte again."""
    if arity == 1:
        return inlined(lambda x, y, z: type(x)(bool(function(bool(x)))))
    return inlined(lambda x, y, z: type(x)(bool(function(bool(x), bool(y)))))
