"""Fill, copy and convert, with the kernels of `_elementwise` and the identity or a conversion as their function.

For few elements NumPy takes a quarter of the time of a launch. A captured function is a sequence of launches, so it
uses kernels for any size; only `_by_numpy` decides between the two.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from stackgrad.tensor import capturing
from stackgrad.tensor._host import LARGE, constant
from stackgrad.tensor._shape import reshaped_strides
from stackgrad.tensor._tape import open_tapes
from stackgrad.tensor._types import DType
from stackgrad.tensor._types import HostArray as Array

from ._elementwise import ElementwiseKernels, fill, write
from ._memory import SLACK, empty, has_slack
from ._numba import helper, types
from ._parallel import is_small


@helper
def _same(x, y, z):
    return x


@helper
def _truth(x, y, z):
    return x != 0


def _conversion(name: str, scalar: Any = _same) -> ElementwiseKernels:
    return ElementwiseKernels(f"to_{name}", scalar, lambda T: (T, T, T, getattr(types, name)), "")


_TO = {
    np.dtype("float32"): _conversion("float32"),
    np.dtype("float64"): _conversion("float64"),
    np.dtype("int64"): _conversion("int64"),
    np.dtype("int32"): _conversion("int32"),  # taps of windows
    np.dtype("bool"): _conversion("boolean", _truth),
}


def _by_numpy(size: int) -> bool:
    return is_small(size) and not (open_tapes and capturing.tape is not None)


def full(shape: tuple[int, ...], value: bool | int | float, dtype: DType) -> Array:
    """See Backend.full."""
    if _by_numpy(math.prod(shape)):
        out = np.empty(shape, dtype)
        out.fill(value if -LARGE < value < LARGE else constant(value, dtype))
    else:
        fill(out := empty(shape, dtype), constant(value, dtype))
    return out


def copy(a: Array, dtype: DType | None = None) -> Array:
    """See Backend.copy."""
    out = empty(a.shape, dtype or a.dtype)
    _put(a, out)
    return out


def _put(a: Array, out: Array) -> None:
    """Copy `a` to `out`, which must not overlap it."""
    if not _by_numpy(out.size):
        write(_TO[out.dtype], a, out)
    elif out.dtype is a.dtype:
        np.copyto(out, a)
    else:
        with np.errstate(all="ignore"):  # NaN converted to an integer
            np.copyto(out, a, casting="unsafe")


def assign(target: Array, source: Array) -> None:
    """See Backend.assign."""
    if _by_numpy(target.size):
        target[...] = source
        return
    if not target.flags.writeable:  # a kernel does not check
        raise ValueError(f"assignment to an array of shape {target.shape} in read-only memory: copy it first")
    _put(copy(source) if np.may_share_memory(target, source) else source, target)


def reshape(a: Array, shape: tuple[int, ...]) -> Array:
    """See Backend.reshape."""
    if not (a.flags.c_contiguous or _by_numpy(a.size)) and reshaped_strides(a.shape, a.strides, shape) is None:
        a = copy(a)
    return a.reshape(shape)


def with_slack(flat: Array) -> Array:
    """`flat`, or a copy of it, such that SLACK bytes after it can be read."""
    if has_slack(flat):
        return flat
    out = empty(flat.size + SLACK // flat.itemsize, flat.dtype)[: flat.size]
    _put(flat, out)
    return out
