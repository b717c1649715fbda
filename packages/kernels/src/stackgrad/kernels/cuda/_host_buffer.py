"""Page-locked host memory for frequent transfers: the device copies to and from it directly."""

from __future__ import annotations

import math
from collections.abc import Callable

from stackgrad.tensor._host_buffer import HostBuffer
from stackgrad.tensor._types import DType, Shape

from ._array import DeviceArray
from ._driver import device


class PinnedBuffer(HostBuffer):
    """See HostBuffer. `download` waits, `upload` does not: later launches are ordered after it.

    Args:
        waited: called when all launches are done.
    """

    def __init__(self, shape: Shape, dtype: DType, waited: Callable[[], None]) -> None:
        size = math.prod(shape) * dtype.itemsize
        self.values = device().host_memory(size).view(dtype).reshape(shape)
        self._waited = waited

    def download(self, a: DeviceArray) -> None:
        device().download(a.owner.memory, a.offset * a.dtype.itemsize, self.values)
        self._waited()

    def upload(self, a: DeviceArray) -> None:
        device().fetch(a.owner.memory, a.offset * a.dtype.itemsize, self.values)
