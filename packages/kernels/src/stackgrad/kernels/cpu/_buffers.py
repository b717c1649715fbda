"""Memory that is used again.

A fresh page costs more than the arithmetic that fills it. So the memory of a large array goes back to a pool when the
last array that refers to it, view or not, is gone, and the next array of that size gets it. A `_Lease` stands between
the two: NumPy holds it for as long as any array needs the memory, and its end is the end of the last of them.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

SMALLEST = 32 * 1024  # bytes of an array worth the bookkeeping
LARGEST_POOL = 512 * 1024 * 1024  # bytes kept at most while nobody uses them
SLACK = 1024  # bytes behind a large array that kernels may read, and do not use
_PAGE = 4096


class _Pool:
    """Free blocks by size, the size used last at the end.

    A block may come back at any moment, from any thread, also while the garbage collector interrupts a method here.
    So it is put into `returned` first, and filed by whoever has the lock or takes it next. Nobody waits for the lock.
    What was taken is counted in the same way, through `lent`.
    """

    def __init__(self) -> None:
        self.free: OrderedDict[int, list[NDArray[np.uint8]]] = OrderedDict()
        self.kept = 0
        self.used = self.most_used = 0  # bytes lent out, and the most that ever were: benchmarks read and reset it
        self.lent: deque[int] = deque()
        self.returned: deque[NDArray[np.uint8]] = deque()
        self._lock = Lock()

    def take(self, size: int) -> NDArray[np.uint8]:
        self.lent.append(size)
        if self._lock.acquire(blocking=False):
            try:
                self._file()
                blocks = self.free.get(size)
                if blocks:
                    self.free.move_to_end(size)
                    self.kept -= size
                    return blocks.pop()
            finally:
                self._lock.release()
        return np.empty(size, np.uint8)

    def give_back(self, block: NDArray[np.uint8]) -> None:
        self.returned.append(block)
        if self._lock.acquire(blocking=False):
            try:
                self._file()
            finally:
                self._lock.release()

    def _file(self) -> None:
        """Put the blocks that came back in their places, drop what is beyond the bound, and count what is in use."""
        while self.returned:
            block = self.returned.popleft()
            self.free.setdefault(block.size, []).append(block)
            self.kept += block.size
            self.used -= block.size
        while self.lent:
            self.used += self.lent.popleft()
        self.most_used = max(self.most_used, self.used)
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
        data = (block.ctypes.data, False)
        self.__array_interface__ = {"shape": shape, "typestr": dtype.str, "data": data, "version": 3}

    def __del__(self, give_back: Any = pool.give_back) -> None:
        give_back(self._block)


def empty(shape: int | tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """A new array in C order, its values not set."""
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    if size < SMALLEST:
        return np.empty(shape, dtype)
    return np.asarray(_Lease(pool.take(-(-(size + SLACK) // _PAGE) * _PAGE), shape, dtype))


def has_slack(a: NDArray[Any]) -> bool:
    """Whether SLACK bytes behind `a` can be read."""
    owner = a.base
    while isinstance(owner, np.ndarray):
        owner = owner.base
    return isinstance(owner, _Lease)


def owns_memory(a: NDArray[Any]) -> bool:
    """See Backend.owns_memory."""
    return a.base is None or isinstance(a.base, _Lease)
