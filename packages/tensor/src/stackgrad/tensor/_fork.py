"""Locks in a process that forks.

A forked process inherits its parent's locks, but only the thread that forked: a lock that another thread held would
stay locked forever. So a fork first acquires all of them, and releases them on both sides.
"""

from __future__ import annotations

import logging  # noqa: F401 - first, so that a fork takes its lock after ours: a holder of ours may wait for it
import os
from collections.abc import Callable
from typing import Any, Protocol, TypeVar


class Held(Protocol):
    """A lock."""

    @property
    def acquire(self) -> Callable[..., Any]:
        """Wait for it, and acquire it."""

    @property
    def release(self) -> Callable[[], None]:
        """Release it."""


Lock = TypeVar("Lock", bound=Held)
_locks: list[Held] = []
_held: list[Held] = []  # by the thread that forks


def free_in_forks(lock: Lock) -> Lock:
    """Register `lock`, and return it: from now on a fork waits until no other thread holds it.

    A thread that holds one of these locks must not wait for one registered earlier.
    """
    _locks.append(lock)
    return lock


def _hold() -> None:
    for lock in _locks:  # includes locks registered while we wait, by a backend being loaded
        lock.acquire()
        _held.append(lock)


def _let_go() -> None:
    while _held:
        _held.pop().release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_hold, after_in_parent=_let_go, after_in_child=_let_go)
