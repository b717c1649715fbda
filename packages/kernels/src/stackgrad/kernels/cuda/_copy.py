"""Fill, copy and convert, with the kernels of `_elementwise` and the identity as their function.

fill       out |v v v v v v|
copy       out |0 1 2 3 4 5|    threads write in the order of the memory of `out`,
           a   |0 3 1 4 2 5|    and read each element at its own offset: here `a` is transposed
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from stackgrad.tensor import _host
from stackgrad.tensor._shape import reshaped_strides, strides_in_order
from stackgrad.tensor._types import DType, Shape

from . import _array
from ._array import DeviceArray, empty
from ._driver import cuda, inlined, types
from ._elementwise import ElementwiseKernels, write
from ._kernel import boolean, cover, int64, kernel, pointer, stored


@inlined
def _same(x, y, z):
    return x


def _conversion(name: str, target: Any) -> ElementwiseKernels:
    return ElementwiseKernels(f"to_{name}", _same, lambda T: (T, T, T, target), "bif")


_TO = {
    np.dtype("float32"): _conversion("float32", types.float32),
    np.dtype("float64"): _conversion("float64", types.float64),
    np.dtype("int64"): _conversion("int64", types.int64),
    np.dtype("bool"): _conversion("bool", boolean),
}


@kernel(lambda T: (pointer(T), int64, T), dtypes="bif")
def _fill(out, n, value):
    i = cuda.grid(1)
    while i < n:
        out[i] = value
        i += cuda.gridsize(1)


def full(shape: Shape, value: bool | int | float, dtype: DType) -> DeviceArray:
    """See Backend.full."""
    out = empty(shape, dtype)
    if out.size:
        _fill[dtype](cover(out.size), out, out.size, _host.constant(value, dtype)[()].astype(stored(dtype)))
    return out


def constant(value: bool | int | float, dtype: DType) -> DeviceArray:
    """See Backend.constant. Steps use the same few constants, so they are kept and not written again."""
    return _kept(_host.constant(value, dtype).tobytes(), dtype)


@lru_cache(1024)
def _kept(value: bytes, dtype: DType) -> DeviceArray:
    return _array.constant(np.frombuffer(value, dtype).reshape(()))


def copy(a: DeviceArray, dtype: DType | None = None) -> DeviceArray:
    """See Backend.copy."""
    out = empty(a.shape, dtype or a.dtype)
    write(_TO[out.dtype], a.dtype, (a,), out)
    return out


def contiguous(a: DeviceArray) -> DeviceArray:
    """`a` if it is in C order, else a copy in C order."""
    return a if a.is_contiguous else copy(a)


def reshape(a: DeviceArray, shape: Shape) -> DeviceArray:
    """See Backend.reshape."""
    strides = strides_in_order(shape) if a.is_contiguous else reshaped_strides(a.shape, a.strides, shape)
    if strides is None:
        return reshape(copy(a), shape)
    return a.view(shape, strides)


def assign(target: DeviceArray, source: DeviceArray) -> None:
    """See Backend.assign."""
    same = source.shape == target.shape and source.strides == target.strides and source.offset == target.offset
    if source.owner is target.owner and not same:
        source = copy(source)
    write(_TO[target.dtype], source.dtype, (source,), target)
