"""PyTorch's other names: for dtypes, for constants, and for functions that convert data to a tensor."""

from __future__ import annotations

from math import e, inf, nan, pi
from typing import Any

import numpy as np
from numpy import finfo, iinfo
from numpy.typing import DTypeLike

from ._create import concatenate, from_numpy, tensor
from ._device import device, on
from ._dtypes import bool_ as bool
from ._dtypes import float32 as float
from ._dtypes import float64 as double
from ._dtypes import int64 as long
from ._mode import is_recording, no_grad, set_grad_enabled
from ._tensor import Tensor
from ._types import Device

concat = concatenate
inference_mode = no_grad
is_grad_enabled = is_recording


def is_tensor(obj: object) -> Any:
    """Whether `obj` is a tensor.

    >>> is_tensor([1, 2])
    False
    """
    return isinstance(obj, Tensor)


def as_tensor(data: Any, dtype: DTypeLike | None = None, backend: Device = None, device: Device = None) -> Tensor:
    """`data` as a tensor: a tensor itself, a NumPy array without a copy, and anything else by `tensor(data)`.

    >>> as_tensor([1, 2])
    tensor([1, 2])
    """
    backend = on(backend, device)
    if isinstance(data, Tensor):
        moved = data if backend is None else data.to(backend)
    elif isinstance(data, np.ndarray) and data.flags.aligned:
        moved = from_numpy(data, backend=backend)
    else:
        return tensor(data, dtype=dtype, backend=backend)
    return moved if dtype is None else moved.astype(dtype)


asarray = as_tensor


def FloatTensor(data: Any) -> Tensor:
    """`data`, a list or an array, as float32: `tensor(data, dtype=float32)`. Raises TypeError for a size.

    >>> FloatTensor([1, 2])
    tensor([1., 2.])
    """
    return _of(data, float)


def DoubleTensor(data: Any) -> Tensor:
    """`data`, a list or an array, as float64. Raises TypeError for a size.

    >>> DoubleTensor([1, 2])
    tensor([1., 2.], dtype=float64)
    """
    return _of(data, double)


def LongTensor(data: Any) -> Tensor:
    """`data`, a list or an array, as int64. Raises TypeError for a size.

    >>> LongTensor([1.0, 2.0])
    tensor([1, 2])
    """
    return _of(data, long)


def BoolTensor(data: Any) -> Tensor:
    """`data`, a list or an array, as bool. Raises TypeError for a size.

    >>> BoolTensor([0, 1])
    tensor([False,  True])
    """
    return _of(data, bool)


def _of(data: Any, dtype: DTypeLike) -> Tensor:
    if np.ndim(data) == 0:
        raise TypeError(f"expected a list or an array; got {data!r}: a tensor of that size is empty({data!r})")
    return tensor(data, dtype=dtype)


__all__: list[str] = [
    "BoolTensor",
    "DoubleTensor",
    "FloatTensor",
    "LongTensor",
    "as_tensor",
    "asarray",
    "bool",
    "concat",
    "device",
    "double",
    "e",
    "finfo",
    "float",
    "iinfo",
    "inf",
    "inference_mode",
    "is_grad_enabled",
    "is_tensor",
    "long",
    "nan",
    "pi",
    "set_grad_enabled",
]
