"""Kernels that a captured function launched: those in a row are one CUDA graph, replayed by one launch.

    recorded   launch launch launch|count|upload|launch launch
    tape       |count|upload|launch launch launch launch launch|
    replay     |count|upload|              graph               |

A graph is built when it is first replayed. It holds kernels and their arguments alone, so what changes from replay to
replay lies in device memory. The host writes it there ahead of the kernels, whose stream does all in order: learning
rates, numbers of steps, numbers of draws. Only what the host does by values of tensors parts one graph from the next.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stackgrad.tensor import Launches

from ._driver import Call, device


class Row(Launches):
    """Launches in a row. The arrays come along: what a replay writes to must not become another's."""

    def __init__(self) -> None:
        self._calls: list[Call] = []
        self._kept: list[Any] = []
        self._replay: Callable[[], None] | None = None

    def add(self, call: Call, *kept: Any) -> None:
        self._calls.append(call)
        self._kept.append(kept)

    def __call__(self) -> None:
        if self._replay is None:
            self._replay = device().graph(self._calls)
        self._replay()
