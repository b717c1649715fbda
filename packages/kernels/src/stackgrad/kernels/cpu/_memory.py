"""A pool of memory for large arrays.

A fresh page costs more than the arithmetic that fills it. So the memory of a large array returns to a pool when the
last array that refers to it, view or not, is freed, and the next array of that size gets it. Views keep the array that
was lent the memory alive, and a weak reference to this array tells of its end.
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

SMALLEST = 16 * 1024  # bytes of an array from which on the pool pays
LARGEST_POOL = 512 * 1024 * 1024  # most bytes kept while unused
SLACK = 1024  # bytes after a large array that kernels may read, but do not use
_PAGE = 4096
_HUGE_PAGE = 512 * _PAGE


class Block(np.ndarray[Any, Any]):
    """The bytes lent to one array; `end` is a weak reference to it, whose callback returns the block to the pool.

    A block, like the memory it is a slice of, is a subclass of ndarray: so views of the array refer to the array, not
    to the block.
    """

    __slots__ = ("end",)
    end: ref[NDArray[Any]]

    def ended(self, end: Any) -> None:
        """Return to the pool."""
        pool.give_back(self)


def _new_block(size: int) -> Block:
    """Memory aligned to a cache line, so that no vector straddles two, or from 1 MB on to a huge page.

    Huge pages spare the processor most address look-ups; NumPy asks Linux for them for arrays of 4 MB and more
    (`NUMPY_MADVISE_HUGEPAGE`, https://numpy.org/doc/stable/reference/global_state.html).
    """
    page = _HUGE_PAGE if size >= _HUGE_PAGE // 2 else LINE
    memory = Block(-(-size // page) * page + page, np.uint8)
    start = -memory.ctypes.data % page
    return cast("Block", memory[start : start + size])


pool: FreeBlocks[Block] = FreeBlocks(_new_block, LARGEST_POOL)


def empty(shape: int | tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """A new uninitialised array in C order."""
    return maker((shape,) if isinstance(shape, int) else tuple(shape), np.dtype(dtype))()


def maker(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Callable[[], NDArray[Any]]:
    """A function that makes new uninitialised arrays of this shape in C order."""
    if not is_lent(shape, dtype):
        return partial(np.empty, shape, dtype)
    size = math.prod(shape) * dtype.itemsize
    return partial(_lent, -(-(size + SLACK) // _PAGE) * _PAGE, shape, dtype)


def bytes_like(block: Block) -> NDArray[Any]:
    """New memory of the size of a block."""
    return _lent(block.size, (block.size,), np.dtype(np.uint8))


def is_lent(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
    """Whether the pool lends such a new array its memory, with SLACK after it."""
    return math.prod(shape) * dtype.itemsize >= SMALLEST


def _lent(size: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    block = pool.take(size)
    array: NDArray[Any] = np.ndarray(shape, dtype, block)
    block.end = ref(array, block.ended)
    if open_tapes and capturing.tape is not None:
        capturing.tape.lent.append(block.end)
    return array


def block_of(a: NDArray[Any]) -> Block | None:
    """The block that holds `a`; None if its memory is not from the pool."""
    while not isinstance(a.base, Block):
        if not isinstance(a.base, np.ndarray):
            return None
        a = a.base
    return a.base


def has_slack(a: NDArray[Any]) -> bool:
    """Whether SLACK bytes after `a` can be read."""
    return block_of(a) is not None


def owns_memory(a: NDArray[Any]) -> bool:
    """See Backend.owns_memory."""
    return a.base is None or isinstance(a.base, Block)
