"""Locks in a process that forks.

A forked process has the locks of its parent as they were, but only the thread that forked: what another thread held
stays locked for ever. So a fork waits until it holds them all, and lets go of them on both sides.
"""

from __future__ import annotations

import logging  # noqa: F401 - it holds its own lock in a fork, and who is waited for may want that: so it comes after us
import os
from collections.abc import Callable
from typing import Any, Protocol, TypeVar


class Held(Protocol):
    """A lock."""

    @property
    def acquire(self) -> Callable[..., Any]:
        """Wait for it, and hold it."""

    @property
    def release(self) -> Callable[[], None]:
        """Let the next have it."""


Lock = TypeVar("Lock", bound=Held)
_locks: list[Held] = []
_held: list[Held] = []  # by the thread that forks


def free_in_forks(lock: Lock) -> Lock:
    """The lock itself; from now on a fork waits until no other thread holds it.

    Who holds one of these locks waits for none that was given here before it.
    """
    _locks.append(lock)
    return lock


def _hold() -> None:
    for lock in _locks:  # also those that come while we wait: a backend that is being loaded brings some
        lock.acquire()
        _held.append(lock)


def _let_go() -> None:
    while _held:
        _held.pop().release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_hold, after_in_parent=_let_go, after_in_child=_let_go)
