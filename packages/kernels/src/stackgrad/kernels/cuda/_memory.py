"""A pool of device memory.

Allocating memory from the driver takes longer than most kernels. So memory returns to a pool when the last array that
refers to it, view or not, is freed, and the next array of that size gets it. Kernels launched before may still use it;
since all work is done in the order of one stream, they end before the kernels of the next owner begin.
"""

from __future__ import annotations

from typing import Any

from .._free_blocks import FreeBlocks
from ._driver import Memory, device

LARGEST_POOL = 2 * 1024**3  # most bytes kept while unused
_GRAIN = 512  # bytes: sizes are rounded up to multiples, so that more are equal; arrays begin at multiples

pool: FreeBlocks[Memory] = FreeBlocks(lambda size: device().allocate(size), LARGEST_POOL)


class Lease:
    """Memory for the elements of one array and its views, returned to the pool when this object is freed."""

    __slots__ = ("elements", "memory")

    def __init__(self, elements: int, itemsize: int) -> None:
        self.elements = elements
        self.memory = pool.take(max(-(-elements * itemsize // _GRAIN), 1) * _GRAIN)

    def __del__(self, give_back: Any = pool.give_back) -> None:
        if hasattr(self, "memory"):  # it has none if the allocation failed
            give_back(self.memory)


class Foreign:
    """Memory of another library's array, kept alive until this object is freed and no launched work uses it."""

    __slots__ = ("memory", "owner", "writable")

    def __init__(self, memory: Memory, owner: Any, writable: bool) -> None:
        self.memory, self.owner, self.writable = memory, owner, writable

    def __del__(self) -> None:
        try:  # noqa: SIM105 - at interpreter shutdown, globals of this file may be gone
            device().synchronize()
        except Exception:
            pass
