"""Arrays on the device, and views of them: other shapes and strides of the same memory."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stackgrad.tensor import each_time
from stackgrad.tensor._shape import strides_in_order
from stackgrad.tensor._types import DType, Shape

from .._index import inverse, spread_strides
from . import _exchange
from ._driver import device
from ._memory import Foreign, Lease


class DeviceArray:
    """Elements of `dtype` in `owner`'s memory, the first at `offset`; offsets and strides count elements.

    `pointer` is what a kernel gets. `__cuda_array_interface__` and DLPack lend the memory to other libraries.
    """

    __slots__ = ("__weakref__", "dtype", "offset", "owner", "shape", "strides")

    def __init__(self, owner: Lease | Foreign, offset: int, shape: Shape, strides: Shape, dtype: DType) -> None:
        self.owner, self.offset = owner, offset
        self.shape, self.strides, self.dtype = shape, strides, dtype

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def pointer(self) -> Any:
        return device().pointer(self.owner.memory, self.offset * self.dtype.itemsize, self.dtype)

    @property
    def is_contiguous(self) -> bool:
        """Whether the elements are in C order without gaps."""
        expected = 1
        for extent, stride in zip(reversed(self.shape), reversed(self.strides), strict=True):
            if extent == 0:
                return True
            if extent != 1 and stride != expected:
                return False
            expected *= extent
        return True

    @property
    def is_gapless(self) -> bool:
        """Whether the elements are contiguous in some order of dimensions, without repetition."""
        if self.is_contiguous:
            return True
        expected = 1
        for stride, extent in sorted(zip(self.strides, self.shape, strict=True)):
            if extent != 1:
                if stride != expected:
                    return False
                expected *= extent
        return True

    @property
    def is_whole(self) -> bool:
        """Whether it has the whole memory of its owner: it is not a view of a part."""
        return isinstance(self.owner, Lease) and self.offset == 0 and self.owner.elements == self.size

    @property
    def is_writable(self) -> bool:
        """Whether the memory is from the pool, or another library lent it as writable."""
        return isinstance(self.owner, Lease) or self.owner.writable

    def view(self, shape: Shape, strides: Shape, offset: int = 0) -> DeviceArray:
        """A view of the same memory, beginning `offset` elements further."""
        return DeviceArray(self.owner, self.offset + offset, shape, strides, self.dtype)

    def __dlpack__(
        self, *, stream: int | None = None, max_version: Any = None, dl_device: Any = None, copy: bool | None = None
    ) -> Any:
        """Lend the memory to another library, see `_exchange`. Raises BufferError if that asks for a copy."""
        if copy or (dl_device is not None and tuple(dl_device) != _exchange.device_of(self)):
            raise BufferError("a tensor on backend 'cuda' is lent without a copy: copy it with .clone() or .to('cpu')")
        return _exchange.to_dlpack(self, stream)

    def __dlpack_device__(self) -> tuple[int, int]:
        return _exchange.device_of(self)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return _exchange.to_cuda_array_interface(self)

    def __repr__(self) -> str:
        return f"<{self.dtype} of shape {self.shape} on {device().name}>"


def empty(shape: Shape, dtype: DType) -> DeviceArray:
    """A new uninitialised array in C order. Raises MemoryError if there is no room."""
    return _new(math.prod(shape), shape, strides_in_order(shape), np.dtype(dtype))


def maker(shape: Shape, dtype: DType, order: Shape) -> Callable[[], DeviceArray]:
    """A function that makes new uninitialised arrays of this shape, with this order of dimensions in memory."""
    steps = strides_in_order(tuple([shape[d] for d in order]))
    strides = tuple([steps[i] for i in inverse(order)])
    return partial(_new, math.prod(shape), shape, strides, dtype)


def _new(size: int, shape: Shape, strides: Shape, dtype: DType) -> DeviceArray:
    return DeviceArray(Lease(size, dtype.itemsize), 0, shape, strides, dtype)


def empty_like(a: DeviceArray) -> DeviceArray:
    """See Backend.empty_like."""
    steps = [stride * (extent - 1) for stride, extent in zip(a.strides, a.shape, strict=True) if a.size]
    before = -sum(min(step, 0) for step in steps)
    memory = empty((before + sum(max(step, 0) for step in steps) + 1 if a.size else 0,), a.dtype)
    return memory.view(a.shape, a.strides, before)


def from_numpy(array: NDArray[Any], dtype: DType | None = None) -> DeviceArray:
    """A copy on the device, in C order, as `dtype`. Each replay of a captured function copies `array` again."""
    out = empty(array.shape, dtype or array.dtype)

    def upload() -> None:
        device().upload(out.owner.memory, 0, np.ascontiguousarray(array, out.dtype))

    if array.size:
        each_time(upload, ahead=True)
    return out


def constant(array: NDArray[Any]) -> DeviceArray:
    """A copy on the device, in C order, that replays do not change."""
    out = empty(array.shape, array.dtype)
    device().upload(out.owner.memory, 0, np.ascontiguousarray(array))
    return out


def from_dlpack(external: Any) -> DeviceArray:
    """See Backend.from_dlpack."""
    return DeviceArray(*_exchange.borrow(external))


def to_numpy(a: DeviceArray) -> NDArray[Any]:
    """A copy on the host. `a` must be in C order."""
    out = np.empty(a.shape, a.dtype)
    if a.size:
        device().download(a.owner.memory, a.offset * a.dtype.itemsize, out)
    return out


# --- views


def permute(a: DeviceArray, dims: Shape) -> DeviceArray:
    """See Backend.permute."""
    return a.view(tuple([a.shape[d] for d in dims]), tuple([a.strides[d] for d in dims]))


def expand(a: DeviceArray, shape: Shape) -> DeviceArray:
    """See Backend.expand."""
    return a.view(shape, spread_strides(a.shape, a.strides, shape))


def slice_(a: DeviceArray, key: tuple[int | slice | None, ...]) -> DeviceArray:
    """See Backend.slice."""
    shape, strides, offset, d = [], [], 0, 0
    for k in key:
        if k is None:
            shape.append(1)
            strides.append(0)
            continue
        extent, stride = a.shape[d], a.strides[d]
        d += 1
        if isinstance(k, slice):
            start, stop, step = k.indices(extent)
            count = len(range(start, stop, step))
            offset += start * stride if count else 0
            shape.append(count)
            strides.append(step * stride)
        else:
            offset += (k + extent if k < 0 else k) * stride
    return a.view((*shape, *a.shape[d:]), (*strides, *a.strides[d:]), offset)
