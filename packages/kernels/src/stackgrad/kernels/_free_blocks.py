"""Pools of unused memory blocks, of the host or of a device."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar


class Sized(Protocol):
    """A block of memory."""

    @property
    def size(self) -> int:
        """Bytes."""


Block = TypeVar("Block", bound=Sized)


class FreeBlocks(Generic[Block]):
    """Unused blocks by size, the most recently used size last; at most `bound` bytes of them.

    Blocks may be taken and given back at any moment, in any thread, even when the garbage collector interrupts a method
    of this class. So no method waits or holds a lock: a block changes hands by one list operation, which is atomic.
    The counters are updated afterwards and may be off if two threads collide. `kept` is recounted before a block is
    allocated, which is the only way that memory grows, and before blocks are dropped.
    """

    def __init__(self, allocate: Callable[[int], Block], bound: int) -> None:
        self.allocate, self.bound = allocate, bound
        self.free: OrderedDict[int, list[Block]] = OrderedDict()
        self.kept = 0
        self.owned = 0  # bytes of all blocks, used or not
        self.most_used = 0  # the maximum of `used`: benchmarks read and reset it

    @property
    def used(self) -> int:
        """Bytes lent out."""
        return self.owned - self.kept

    def take(self, size: int) -> Block:
        """A block of `size` bytes. Raises MemoryError if there is no room even with nothing kept."""
        free = self.free
        try:
            free.move_to_end(size)
            block = free[size].pop()
        except (KeyError, IndexError):  # there is none, or its size was dropped just now
            return self._make(size)
        self.kept = kept = self.kept - size
        used = self.owned - kept
        if used > self.most_used:
            self.most_used = used
        return block

    def give_back(self, block: Block) -> None:
        """Return `block` to the pool."""
        size = block.size
        try:
            self.free[size].append(block)
        except KeyError:
            self.free.setdefault(size, []).append(block)
        self.kept = kept = self.kept + size
        if kept > self.bound:
            self._drop_beyond(self.bound)

    def clear(self) -> None:
        """Free all that is kept."""
        self._drop_beyond(0)

    def _make(self, size: int) -> Block:
        self._drop_beyond(self.bound)
        try:
            block = self.allocate(size)
        except MemoryError:
            self.clear()
            block = self.allocate(size)
        self.owned += size
        self.most_used = max(self.most_used, self.used)
        return block

    def _drop_beyond(self, bound: int) -> None:
        """Recount the bytes kept, and drop blocks until at most `bound` are, least recently used sizes first."""
        self.kept = sum([size * len(self.free.get(size, ())) for size in list(self.free)])
        for size in list(self.free):
            while self.kept > bound:
                try:
                    self.free[size].pop()
                except (KeyError, IndexError):
                    break
                self.kept -= size
                self.owned -= size
            if not self.free.get(size):
                self.free.pop(size, None)
