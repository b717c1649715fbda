"""Memory that is used again.

A fresh page costs more than the arithmetic that fills it. So the memory of a large array goes back to a pool when the
last array that refers to it, view or not, is gone, and the next array of that size gets it. A `_Lease` stands between
the two: NumPy holds it for as long as any array needs the memory, and its end is the end of the last of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._free_blocks import FreeBlocks

SMALLEST = 16 * 1024  # bytes of an array worth the bookkeeping
LARGEST_POOL = 512 * 1024 * 1024  # bytes kept at most while nobody uses them
SLACK = 1024  # bytes behind a large array that kernels may read, and do not use
_PAGE = 4096
_HUGE_PAGE = 512 * _PAGE
_CACHE_LINE = 64


class _Block:
    """Memory, the address at which it begins, and its bytes."""

    __slots__ = ("address", "memory", "size")

    def __init__(self, memory: NDArray[np.uint8]) -> None:
        self.memory, self.address, self.size = memory, memory.ctypes.data, memory.size


def _new_block(size: int) -> _Block:
    """Memory that begins with a line of the cache, so that no vector of it lies on two; from 1 MB on with a huge page.

    For these, of which the processor has to look up far fewer, NumPy asks Linux where it takes 4 MB and more
    (`NUMPY_MADVISE_HUGEPAGE`, https://numpy.org/doc/stable/reference/global_state.html).
    """
    page = _HUGE_PAGE if size >= _HUGE_PAGE // 2 else _CACHE_LINE
    memory = np.empty(-(-size // page) * page + page, np.uint8)
    start = -memory.ctypes.data % page
    return _Block(memory[start : start + size])


pool: FreeBlocks[_Block] = FreeBlocks(_new_block, LARGEST_POOL)


class _Lease:
    """The memory of one array, given back at its end."""

    __slots__ = ("__array_interface__", "_block", "note")

    def __init__(self, block: _Block, shape: tuple[int, ...], typestr: str) -> None:
        self._block = block
        self.note: Any = None  # what is known of the values
        data = (block.address, False)
        self.__array_interface__ = {"shape": shape, "typestr": typestr, "data": data, "version": 3}

    def __del__(self, give_back: Any = pool.give_back) -> None:
        give_back(self._block)


def empty(shape: int | tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """A new array in C order, its values not set."""
    return maker((shape,) if isinstance(shape, int) else tuple(shape), np.dtype(dtype))()


def maker(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Callable[[], NDArray[Any]]:
    """What makes new arrays of this shape, in C order, their values not set."""
    size = math.prod(shape) * dtype.itemsize
    if size < SMALLEST:
        return partial(np.empty, shape, dtype)
    return partial(_lent, -(-(size + SLACK) // _PAGE) * _PAGE, shape, dtype.str)


def _lent(size: int, shape: tuple[int, ...], typestr: str) -> NDArray[Any]:
    return np.asarray(_Lease(pool.take(size), shape, typestr))


def lease_of(a: NDArray[Any]) -> _Lease | None:
    """What lends the memory that `a` is a view of; None for other memory."""
    owner = a.base
    while isinstance(owner, np.ndarray):
        owner = owner.base
    return owner if isinstance(owner, _Lease) else None


def has_slack(a: NDArray[Any]) -> bool:
    """Whether SLACK bytes behind `a` can be read."""
    return lease_of(a) is not None


def owns_memory(a: NDArray[Any]) -> bool:
    """See Backend.owns_memory."""
    return a.base is None or isinstance(a.base, _Lease)
