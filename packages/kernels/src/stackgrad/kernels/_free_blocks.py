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
    Where another holds the lock it is put into `returned`, and filed by who takes the lock next; only `clear` waits for
    the lock. What was taken is counted in the same way, through `lent`.
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
        if self._lock.acquire(False):
            try:
                if self.returned or self.lent:
                    self._catch_up()
                self._count(size)
                blocks = self.free.get(size)
                if blocks:
                    self.free.move_to_end(size)
                    self.kept -= size
                    return blocks.pop()
            finally:
                self._lock.release()
        else:
            self.lent.append(size)
        try:
            return self.allocate(size)
        except MemoryError:
            self.clear()
            return self.allocate(size)

    def give_back(self, block: Block) -> None:
        """Nobody uses `block` any more."""
        if self._lock.acquire(False):
            try:
                if self.returned or self.lent:
                    self._catch_up()
                self._file(block)
            finally:
                self._lock.release()
        else:
            self.returned.append(block)

    def clear(self) -> None:
        """Free all that is kept."""
        with self._lock:
            self._catch_up()
            self.free.clear()
            self.kept = 0

    def _catch_up(self) -> None:
        """Do what was put off while another held the lock."""
        while self.returned:
            self._file(self.returned.popleft())
        while self.lent:
            self._count(self.lent.popleft())

    def _count(self, size: int) -> None:
        self.used += size
        if self.used > self.most_used:
            self.most_used = self.used

    def _file(self, block: Block) -> None:
        """Put a block that came back where it is found, and drop what is beyond the bound."""
        size = block.size
        blocks = self.free.get(size)
        if blocks is None:
            blocks = self.free[size] = []
        blocks.append(block)
        self.kept += size
        self.used -= size
        while self.kept > self.bound:
            oldest, blocks = next(iter(self.free.items()))
            if blocks:
                blocks.pop()
                self.kept -= oldest
            if not blocks:
                del self.free[oldest]
