"""Recorded launches of a captured function: a sequence of launches is one CUDA graph, replayed by one launch.

    recorded   launch launch launch|count|upload|launch launch
    tape       |count|upload|launch launch launch launch launch|
    replay     |count|upload|              graph               |

A graph is built on its first replay. It has only kernels and fixed arguments, so values that change between replays,
such as learning rates, step counts and indices of draws, are in device memory. The host writes them there ahead of the
kernels; the stream keeps that order. A new graph begins only where the host works with values of tensors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stackgrad.tensor import Launches

from ._driver import Call, device


class Row(Launches):
    """A sequence of launches. It keeps the arrays alive, so that no other array gets memory that replays write to."""

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
