"""Memory that the launches of a recording share.

While a function is recorded, its launches keep all arrays that they were given. A call reuses a little memory again and
again, through the pool; a replay would touch all those arrays, which do not fit the caches. So at the end of a
recording, each array that nothing else refers to gets a lifetime, from the first launch that uses it to the last, and
later arrays reuse its memory: the idea of a compiler's register allocation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias
from weakref import ref

import numpy as np
from numpy.typing import NDArray

from stackgrad.tensor._types import HostArray as Array

from ._memory import Block, block_of, bytes_like

# The `entry` of _launch for a kernel: chunks, the team's address or 0, arguments, address of memory for them or 0.
Compiled: TypeAlias = Callable[[int, int, tuple[Any, ...], int], int]


@dataclass
class Call:
    """A recorded launch: the kernel's entry, its arguments, and the memory that holds them for replays."""

    compiled: Compiled
    arguments: Any
    memory: NDArray[np.int64]

    def pack(self) -> int:
        """Store the arguments where replays read them, and return the thunk's address."""
        return self.compiled(1, 0, self.arguments, self.memory.ctypes.data)


class _Part(NamedTuple):
    """An array, described as part of the block that was lent to some array."""

    lent_to: ref[Array]
    block: Block
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: np.dtype[Any]


def share_memory(calls: Sequence[Call], lent: Sequence[ref[Array]]) -> None:
    """Let the launches of a recording, in order, share the memory `lent` during it that nothing else refers to."""
    own = set(map(id, lent))
    for call in calls:
        call.arguments = _mapped(lambda x: _part_of(x, own), call.arguments)
    # Now the arrays that only the calls referred to are freed.
    last = {id(part.lent_to): n for n, call in enumerate(calls) for part in _parts(call.arguments)}
    memory: dict[int, Array] = {}
    free: dict[int, list[Array]] = {}
    for n, call in enumerate(calls):
        parts = {id(part.lent_to): part for part in _parts(call.arguments)}
        for key, part in parts.items():
            if key not in memory:
                kept, unused = part.lent_to(), free.get(part.block.size)
                memory[key] = kept if kept is not None else unused.pop() if unused else bytes_like(part.block)
        call.arguments = _mapped(lambda x: _moved(x, memory), call.arguments)
        call.pack()
        for key, part in parts.items():
            if last[key] == n and part.lent_to() is None:
                free.setdefault(part.block.size, []).append(memory[key])


def _part_of(x: Any, own: set[int]) -> Any:
    block = block_of(x) if isinstance(x, np.ndarray) else None
    if block is None or id(block.end) not in own:
        return x
    return _Part(block.end, block, _address(x) - _address(block), x.shape, x.strides, x.dtype)


def _moved(x: Any, memory: dict[int, Array]) -> Any:
    return np.ndarray(x.shape, x.dtype, memory[id(x.lent_to)], x.offset, x.strides) if isinstance(x, _Part) else x


def _address(x: Array) -> int:
    return int(x.__array_interface__["data"][0])


def _mapped(change: Callable[[Any], Any], x: Any) -> Any:
    """`x` with `change` applied to everything in it but the tuples."""
    if not isinstance(x, tuple) or isinstance(x, _Part):
        return change(x)
    return getattr(x, "_make", tuple)([_mapped(change, part) for part in x])


def _parts(x: Any) -> Iterator[_Part]:
    if isinstance(x, _Part):
        yield x
    elif isinstance(x, tuple):
        for part in x:
            yield from _parts(part)
