"""Recorded launches of a captured function: a replay makes a sequence of launches by one call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias
from weakref import ref

import numpy as np

from stackgrad.tensor import Launches

from ._lifetimes import Call, Compiled, share_memory
from ._parallel import is_small
from ._team import Team

Explain: TypeAlias = Callable[[], Any]


class ChunkError(Exception):
    """A kernel's body raised an exception, whose type is not known. Its output is partly written."""


class Row(Launches):
    """A sequence of launches with no Python between them."""

    def __init__(self) -> None:
        self._calls: list[Call] = []
        self._words = np.empty((0, 4), np.int64)  # for each launch: thunk, arguments, chunks, whether on the team
        self._explain: list[Explain] = []  # for each launch: raises the error if one of its chunks failed
        self._alone = True  # whether no launch is worth waking the other threads

    def add(
        self,
        team: Team,
        compiled: Compiled,
        chunks: int,
        work: int,
        arguments: tuple[Any, ...],
        explain: Explain | None,
    ) -> None:
        memory = np.empty(1 + _count(arguments), np.int64)
        self._calls.append(Call(compiled, arguments, memory))
        thunk = self._calls[-1].pack()
        on_team = chunks > 1 and not is_small(work, awake=True)
        self._words = np.vstack([self._words, [thunk, memory.ctypes.data, chunks, on_team]])
        self._explain.append(explain or unexplained)
        self.may_fail |= explain is not None
        self._team, self._call = team, (self._words.ctypes.data, len(self._words))
        self._alone &= chunks == 1 or is_small(work)

    @classmethod
    def settle(cls, rows: Sequence[Row], lent: Sequence[ref[Any]]) -> None:
        share_memory([call for row in rows for call in row._calls], lent)

    def __call__(self) -> None:
        if failed := self._team.replay(*self._call, self._alone):
            self._explain[failed - 1]()


def _count(arguments: tuple[Any, ...]) -> int:
    """The number of arguments, counting those in tuples."""
    return sum([_count(x) if isinstance(x, tuple) else 1 for x in arguments])


def unexplained() -> None:
    """Raise ChunkError: the exception of a user's function does not leave its kernel."""
    raise ChunkError(
        "a function of map, zip or reduce raised an exception for some element: call it with Python scalars to see it"
    )
