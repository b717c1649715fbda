"""Work that is recorded, to be done again without the Python around it (see _capture).

While a captured function is recorded there is a tape. A backend that can be captured puts a function on it for all
that it does to the memory of tensors, which does the same again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

Work = Callable[[], Any]


class Tape(list[Work]):
    """What was done, in order.

    `kept` is what must live as long; `gradients` are those that leaves got meanwhile, by the ids of their arrays.
    """

    def __init__(self) -> None:
        self.kept: list[Any] = []
        self.gradients: set[int] = set()


class _Recording(threading.local):
    tape: Tape | None = None


recording = _Recording()


def each_time(work: Work) -> None:
    """Do `work` now and, in a captured function, at this place of each replay.

    For what is no work on tensors' memory: counting steps, drawing numbers, checking values. It may read tensors, and
    what it does with them is done when it is called, not recorded.
    """
    tape, recording.tape = recording.tape, None
    try:
        work()
    finally:
        recording.tape = tape
    if tape is not None:
        tape.append(work)


def expect_readable(what: str) -> None:
    """Raise RuntimeError in a captured function, where a value that is read would be that of the recording for ever."""
    if recording.tape is not None:
        raise RuntimeError(
            f"{what} in a captured function, where it would stay as it is now: return the tensor, and read it outside"
        )
