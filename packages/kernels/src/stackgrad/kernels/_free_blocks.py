"""Blocks of memory that are used again, of the host or of a device."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from threading import Lock
from typing import Generic, Protocol, TypeVar

from stackgrad.tensor._fork import free_in_forks


class Sized(Protocol):
    """A block of memory."""

    @property
    def size(self) -> int:
        """Bytes."""


Block = TypeVar("Block", bound=Sized)


class FreeBlocks(Generic[Block]):
    """Blocks that nobody uses, by size, the size used last at the end; `bound` bytes of them at most.

    A block may come back at any moment, from any thread, also while the garbage collector interrupts a method here.
    So it is put into `returned` first, and filed by whoever has the lock or takes it next; only `clear` waits for that.
    What was taken is counted in the same way, through `lent`.
    """

    def __init__(self, allocate: Callable[[int], Block], bound: int) -> None:
        self.allocate, self.bound = allocate, bound
        self.free: OrderedDict[int, list[Block]] = OrderedDict()
        self.kept = 0
        self.used = self.most_used = 0  # bytes lent out, and the most that ever were: benchmarks read and reset it
        self.lent: deque[int] = deque()
        self.returned: deque[Block] = deque()
        self._lock = free_in_forks(Lock())

    def take(self, size: int) -> Block:
        """A block of `size` bytes. Raises MemoryError where there is no room, even with nothing kept."""
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
        try:
            return self.allocate(size)
        except MemoryError:
            self.clear()
            return self.allocate(size)

    def give_back(self, block: Block) -> None:
        """Nobody uses `block` any more."""
        self.returned.append(block)
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
        """Put the blocks that came back in their places, drop what is beyond the bound, and count what is in use."""
        while self.returned:
            block = self.returned.popleft()
            self.free.setdefault(block.size, []).append(block)
            self.kept += block.size
            self.used -= block.size
        while self.lent:
            self.used += self.lent.popleft()
        if self.used > self.most_used:
            self.most_used = self.used
        while self.kept > self.bound:
            oldest, blocks = next(iter(self.free.items()))
            if blocks:
                blocks.pop()
                self.kept -= oldest
            if not blocks:
                del self.free[oldest]
