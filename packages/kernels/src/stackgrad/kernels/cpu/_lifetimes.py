"""Memory that the launches of a recording share.

While a function is recorded, its launches keep each array that they were given. Replays would go through all that
memory, which the caches do not hold, where a call goes again and again through what the pool lends again. So when the
recording has ended, an array that nobody else refers to lives from the first launch that uses it to the last, as in a
compiler's allocation of registers, and those that come after it lie in its memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias
from weakref import ref

import numpy as np
from numpy.typing import NDArray

from ._memory import Block, block_of, bytes_like

Array = NDArray[Any]

# A kernel's entry of _launch: chunks, the team's address or 0, the arguments, memory for them or 0.
Compiled: TypeAlias = Callable[[int, int, tuple[Any, ...], int], int]


@dataclass
class Call:
    """A recorded launch: the kernel's entry, what it is given, and the memory in which that lies for replays."""

    compiled: Compiled
    arguments: Any
    memory: NDArray[np.int64]

    def pack(self) -> int:
        """Put the arguments where replays find them; the thunk's address."""
        return self.compiled(1, 0, self.arguments, self.memory.ctypes.data)


class _Part(NamedTuple):
    """An array as a part of the block that was lent to an array."""

    lent_to: ref[Array]
    block: Block
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: np.dtype[Any]


def share_memory(calls: Sequence[Call], lent: Sequence[ref[Array]]) -> None:
    """Let calls, the launches of a recording in order, share what was `lent` meanwhile and nobody else refers to."""
    own = set(map(id, lent))
    for call in calls:
        call.arguments = _mapped(lambda x: _part_of(x, own), call.arguments)
    # The arrays to which only the calls referred are gone.
    last = {id(part.lent_to): n for n, call in enumerate(calls) for part in _parts(call.arguments)}
    lies: dict[int, Array] = {}
    free: dict[int, list[Array]] = {}
    for n, call in enumerate(calls):
        parts = {id(part.lent_to): part for part in _parts(call.arguments)}
        for key, part in parts.items():
            if key not in lies:
                kept, unused = part.lent_to(), free.get(part.block.size)
                lies[key] = kept if kept is not None else unused.pop() if unused else bytes_like(part.block)
        call.arguments = _mapped(lambda x: _moved(x, lies), call.arguments)
        call.pack()
        for key, part in parts.items():
            if last[key] == n and part.lent_to() is None:
                free.setdefault(part.block.size, []).append(lies[key])


def _part_of(x: Any, own: set[int]) -> Any:
    block = block_of(x) if isinstance(x, np.ndarray) else None
    if block is None or id(block.end) not in own:
        return x
    return _Part(block.end, block, _address(x) - _address(block), x.shape, x.strides, x.dtype)


def _moved(x: Any, lies: dict[int, Array]) -> Any:
    return np.ndarray(x.shape, x.dtype, lies[id(x.lent_to)], x.offset, x.strides) if isinstance(x, _Part) else x


def _address(x: Array) -> int:
    return int(x.__array_interface__["data"][0])


def _mapped(change: Callable[[Any], Any], x: Any) -> Any:
    """`x` with all in it changed that is no tuple."""
    if not isinstance(x, tuple) or isinstance(x, _Part):
        return change(x)
    return getattr(x, "_make", tuple)([_mapped(change, part) for part in x])


def _parts(x: Any) -> Iterator[_Part]:
    if isinstance(x, _Part):
        yield x
    elif isinstance(x, tuple):
        for part in x:
            yield from _parts(part)
