"""Device memory that is used again.

Asking a driver for memory takes longer than most kernels. So memory goes back to a pool when the last array that refers
to it, view or not, is gone, and the next array of that size gets it. It may still be in use by kernels that were
launched before; since all work is done in the order of one stream, those are done when the next owner's begin.
"""

from __future__ import annotations

from typing import Any

from .._free_blocks import FreeBlocks
from ._driver import Memory, device

LARGEST_POOL = 2 * 1024**3  # bytes kept at most while nobody uses them
_GRAIN = 512  # bytes: sizes are rounded up, so that more of them are equal; every array begins at a multiple

pool: FreeBlocks[Memory] = FreeBlocks(lambda size: device().allocate(size), LARGEST_POOL)


class Lease:
    """Memory for so many elements, of one array and of its views, given back at its end."""

    __slots__ = ("elements", "memory")

    def __init__(self, elements: int, itemsize: int) -> None:
        self.elements = elements
        self.memory = pool.take(max(-(-elements * itemsize // _GRAIN), 1) * _GRAIN)

    def __del__(self, give_back: Any = pool.give_back) -> None:
        if hasattr(self, "memory"):  # it has none where there was no room
            give_back(self.memory)


class Foreign:
    """Memory of another library's array, which lives as long as this does, and until nothing launched reads it."""

    __slots__ = ("memory", "owner", "writable")

    def __init__(self, memory: Memory, owner: Any, writable: bool) -> None:
        self.memory, self.owner, self.writable = memory, owner, writable

    def __del__(self) -> None:
        try:  # noqa: SIM105 - at the end of the interpreter names of this file may be gone
            device().synchronize()
        except Exception:
            pass
