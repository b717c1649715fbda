"""Device memory that is used again.

Asking a driver for memory takes longer than most kernels. So memory goes back to a pool when the last array that refers
to it, view or not, is gone, and the next array of that size gets it. It may still be in use by kernels that were
launched before; since all work is done in the order of one stream, those are done when the next owner's begin.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from threading import Lock
from typing import Any

from ._driver import Memory, device

LARGEST_POOL = 2 * 1024**3  # bytes kept at most while nobody uses them
_GRAIN = 512  # bytes: sizes are rounded up, so that more of them are equal; every array begins at such a place


class _Pool:
    """Free memory by size, the size used last at the end.

    Memory may come back at any moment, from any thread, also while the garbage collector interrupts a method here. So
    it is put into `returned` first, and filed by whoever has the lock or takes it next. Nobody waits for the lock.
    """

    def __init__(self) -> None:
        self.free: OrderedDict[int, list[Memory]] = OrderedDict()
        self.kept = 0
        self.returned: deque[tuple[int, Memory]] = deque()
        self._lock = Lock()

    def take(self, size: int) -> Memory:
        """At least `size` bytes. Raises MemoryError where there is no room, even with nothing kept."""
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
        try:
            return device().allocate(size)
        except MemoryError:
            self.clear()
            return device().allocate(size)

    def give_back(self, size: int, memory: Memory) -> None:
        self.returned.append((size, memory))
        if self._lock.acquire(blocking=False):
            try:
                self._file()
            finally:
                self._lock.release()

    def clear(self) -> None:
        """Free all that is kept."""
        with self._lock:
            self._file()
            self.free.clear()
            self.kept = 0

    def _file(self) -> None:
        """Put what came back in its place, and free what is beyond the bound, the size not used for longest first."""
        while self.returned:
            size, memory = self.returned.popleft()
            self.free.setdefault(size, []).append(memory)
            self.kept += size
        while self.kept > LARGEST_POOL:
            oldest, blocks = next(iter(self.free.items()))
            if blocks:
                blocks.pop()
                self.kept -= oldest
            if not blocks:
                del self.free[oldest]


pool = _Pool()


class Lease:
    """Memory for so many elements, of one array and of its views, given back at its end."""

    __slots__ = ("elements", "memory", "size")

    def __init__(self, elements: int, itemsize: int) -> None:
        self.elements = elements
        self.size = max(-(-elements * itemsize // _GRAIN), 1) * _GRAIN
        self.memory = pool.take(self.size)

    def __del__(self, give_back: Any = pool.give_back) -> None:
        if hasattr(self, "memory"):  # it has none where there was no room
            give_back(self.size, self.memory)


class Foreign:
    """Memory of another library's array, which lives as long as this does."""

    __slots__ = ("memory", "owner")

    def __init__(self, memory: Memory, owner: Any) -> None:
        self.memory, self.owner = memory, owner
