"""Kernels that a captured function launched: a replay launches those in a row by one call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from stackgrad.tensor import Launches, Tape

from ._team import Team

# A kernel's entry of _launch: chunks, the team's address or 0, the arguments, memory for them or 0.
Compiled: TypeAlias = Callable[[int, int, tuple[Any, ...], int], int]


class ChunkError(Exception):
    """A kernel's body raised an exception, which one is not known. What it was to write is written in part."""


class _Calls(Launches):
    """A row of launches."""

    @property
    def may_fail(self) -> bool:  # type: ignore[override]
        return bool(self.explanations)

    def __init__(self, team: Team) -> None:
        self._team = team
        self._kept: list[Any] = []  # the memory that the launches refer to
        self._words = np.empty((0, 4), np.int64)  # for each: thunk, arguments, chunks, whether on the team
        self.explanations: list[Callable[[], None]] = []  # which raise for what a launch may fail by

    def add(self, compiled: Compiled, chunks: int, serial: bool, arguments: tuple[Any, ...]) -> None:
        memory = np.empty(2 + 16 * len(arguments), np.int64)  # an array of 4 dimensions takes 13 words
        thunk = compiled(chunks, 0, arguments, memory.ctypes.data)
        self._kept.append((memory, arguments))
        self._words = np.vstack([self._words, [thunk, memory.ctypes.data, chunks, not serial]])
        self._call = self._words.ctypes.data, len(self._words)
        self._alone = not self._words[:, 3].any()

    def __call__(self) -> None:
        if self._launch(0) if self._alone else self._team.run(self._launch):
            for explain in self.explanations:
                explain()
            raise ChunkError(
                "a function of map, zip or reduce raised an exception for some element, in a replay of a captured "
                "function: call it with plain numbers to see it"
            )

    def _launch(self, team: int) -> int:
        return self._team.replay(*self._call, team)


def record(tape: Tape, team: Team, compiled: Compiled, chunks: int, serial: bool, arguments: tuple[Any, ...]) -> None:
    """Put a launch on the tape."""
    if not (tape and isinstance(tape[-1], _Calls)):
        tape.append(_Calls(team))
    calls: _Calls = tape[-1]  # type: ignore[assignment]
    calls.add(compiled, chunks, serial, arguments)


def explain_failure(tape: Tape, explain: Callable[[], None]) -> None:
    """Where a chunk of the launch at the end of the tape fails in a replay, `explain` raises in place of ChunkError."""
    calls: _Calls = tape[-1]  # type: ignore[assignment]
    calls.explanations.append(explain)
