"""Memory that is used again.

A fresh page costs more than the arithmetic that fills it. So the memory of a large array goes back to a pool when the
last array that refers to it, view or not, is gone, and the next array of that size gets it. A `_Lease` stands between
the two: NumPy holds it for as long as any array needs the memory, and its end is the end of the last of them.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Any

import numpy as np
from numpy.typing import NDArray

SMALLEST = 32 * 1024  # bytes of an array worth the bookkeeping
LARGEST_POOL = 512 * 1024 * 1024  # bytes kept at most while nobody uses them
_PAGE = 4096


class _Pool:
    """Free blocks by size, the size used last at the end."""

    def __init__(self) -> None:
        self.free: OrderedDict[int, list[NDArray[np.uint8]]] = OrderedDict()
        self.kept = 0

    def take(self, size: int) -> NDArray[np.uint8]:
        blocks = self.free.get(size)
        if not blocks:
            return np.empty(size, np.uint8)
        self.free.move_to_end(size)
        self.kept -= size
        return blocks.pop()

    def give_back(self, block: NDArray[np.uint8]) -> None:
        size = block.size
        self.free.setdefault(size, []).append(block)
        self.kept += size
        while self.kept > LARGEST_POOL:
            oldest, blocks = next(iter(self.free.items()))
            if blocks:
                blocks.pop()
                self.kept -= oldest
            if not blocks:
                del self.free[oldest]


pool = _Pool()


class _Lease:
    """The memory of one array, given back at its end."""

    __slots__ = ("__array_interface__", "_block")

    def __init__(self, block: NDArray[np.uint8], shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._block = block
        self.__array_interface__ = {"shape": shape, "typestr": dtype.str, "data": (block.ctypes.data, False), "version": 3}

    def __del__(self, give_back: Any = pool.give_back) -> None:
        give_back(self._block)


def empty(shape: int | tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """A new array in C order, its values not set."""
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    if size < SMALLEST:
        return np.empty(shape, dtype)
    return np.asarray(_Lease(pool.take(-(-size // _PAGE) * _PAGE), shape, dtype))


def owns_memory(array: NDArray[Any]) -> bool:
    """Whether `array` has its memory to itself: it is no view of another array."""
    return array.base is None or isinstance(array.base, _Lease)
