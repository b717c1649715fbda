"""Memory that is used again.

A fresh page costs more than the arithmetic that fills it. So the memory of a large array goes back to a pool when the
last array that refers to it, view or not, is gone, and the next array of that size gets it: views keep the array alive
that was lent the memory, and a weak reference tells of its end.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, cast
from weakref import ref

import numpy as np
from numpy.typing import NDArray

from stackgrad.tensor import capturing
from stackgrad.tensor._tape import open_tapes

from .._free_blocks import FreeBlocks
from ._pointers import LINE

SMALLEST = 16 * 1024  # bytes of an array worth the bookkeeping
LARGEST_POOL = 512 * 1024 * 1024  # bytes kept at most while nobody uses them
SLACK = 1024  # bytes behind a large array that kernels may read, and do not use
_PAGE = 4096
_HUGE_PAGE = 512 * _PAGE


class Block(np.ndarray[Any, Any]):
    """The bytes that one array is lent. `end` is called when that is gone.

    A block, and what it is cut from, is no plain array: so NumPy makes views of the array refer to the array, not to
    the block.
    """

    __slots__ = ("end",)
    end: ref[NDArray[Any]]

    def ended(self, end: Any) -> None:
        """Go back to the pool."""
        pool.give_back(self)


def _new_block(size: int) -> Block:
    """Memory that begins with a line of the cache, so that no vector of it lies on two; from 1 MB on with a huge page.

    For these, of which the processor has to look up far fewer, NumPy asks Linux where it takes 4 MB and more
    (`NUMPY_MADVISE_HUGEPAGE`, https://numpy.org/doc/stable/reference/global_state.html).
    """
    page = _HUGE_PAGE if size >= _HUGE_PAGE // 2 else LINE
    memory = Block(-(-size // page) * page + page, np.uint8)
    start = -memory.ctypes.data % page
    return cast("Block", memory[start : start + size])


pool: FreeBlocks[Block] = FreeBlocks(_new_block, LARGEST_POOL)


def empty(shape: int | tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """A new array in C order, its values not set."""
    return maker((shape,) if isinstance(shape, int) else tuple(shape), np.dtype(dtype))()


def maker(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Callable[[], NDArray[Any]]:
    """What makes new arrays of this shape, in C order, their values not set."""
    if not is_lent(shape, dtype):
        return partial(np.empty, shape, dtype)
    size = math.prod(shape) * dtype.itemsize
    return partial(_lent, -(-(size + SLACK) // _PAGE) * _PAGE, shape, dtype)


def bytes_like(block: Block) -> NDArray[Any]:
    """Other memory of the size of a block."""
    return _lent(block.size, (block.size,), np.dtype(np.uint8))


def is_lent(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
    """Whether such a new array is lent its memory, with SLACK behind it."""
    return math.prod(shape) * dtype.itemsize >= SMALLEST


def _lent(size: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    block = pool.take(size)
    array: NDArray[Any] = np.ndarray(shape, dtype, block)
    block.end = ref(array, block.ended)
    if open_tapes and capturing.tape is not None:
        capturing.tape.lent.append(block.end)
    return array


def block_of(a: NDArray[Any]) -> Block | None:
    """The block that `a` lies in; None where its memory is not the pool's."""
    while not isinstance(a.base, Block):
        if not isinstance(a.base, np.ndarray):
            return None
        a = a.base
    return a.base


def has_slack(a: NDArray[Any]) -> bool:
    """Whether SLACK bytes behind `a` can be read."""
    return block_of(a) is not None


def owns_memory(a: NDArray[Any]) -> bool:
    """See Backend.owns_memory."""
    return a.base is None or isinstance(a.base, Block)
