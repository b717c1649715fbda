"""Work that is recorded, to be done again without the Python around it (see _capture).

While a captured function is recorded there is a tape. A backend that can be captured puts a function on it for all
that it does to the memory of tensors, which does the same again.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._autograd import Value

Work = Callable[[], Any]


class Launches(ABC):
    """Kernels that a backend launched in a row and launches again as one: the fewer rows on a tape, the better."""

    @abstractmethod
    def __call__(self) -> None:
        """Launch them."""


class Tape(list[Work]):
    """What was done, in order.

    `kept` is what must live as long; `gradients` are those that leaves got meanwhile, by the ids of their arrays.
    """

    def __init__(self) -> None:
        self.kept: list[Any] = []
        self.gradients: set[int] = set()

    def put_ahead(self, work: Work) -> None:
        """Put `work` ahead of the row of launches at the end, so that more can join the row.

        For work of which these launches see nothing. It stays behind all other work.
        """
        self.insert(len(self) - bool(self and isinstance(self[-1], Launches)), work)


class _Recording(threading.local):
    tape: Tape | None = None


recording = _Recording()


def each_time(work: Work, in_replays: bool = True, ahead: bool = False) -> None:
    """Do `work` now and, in a captured function, at this place of each replay, unless `in_replays` is false.

    For what is no work on tensors' memory: counting steps, drawing numbers, checking values. It may read tensors, and
    what it does with them is done when it is called, not recorded.

    Work that reads no tensor, and writes nothing that was used before it, may be `ahead`: a replay may do it before the
    kernels that were launched just before it, but in order with all other such work. On a GPU it then does not part
    the kernels into two graphs.
    """
    tape, recording.tape = recording.tape, None
    try:
        work()
    finally:
        recording.tape = tape
    if tape is not None and in_replays:
        (tape.put_ahead if ahead else tape.append)(work)


def expect_readable(what: str) -> None:
    """Raise RuntimeError in a captured function, where a value that is read would be that of the recording for ever."""
    if recording.tape is not None:
        raise RuntimeError(
            f"{what} in a captured function, where it would stay as it is now: return the tensor, and read it outside"
        )


def expect_captured(inputs: Sequence[Value]) -> None:
    """Raise RuntimeError in a captured function for tensors of a backend that puts nothing on the tape."""
    if recording.tape is not None:
        for x in inputs:
            if not x.backend.captures:
                raise RuntimeError(
                    f"a tensor on backend {x.backend.name!r} in a captured function: its work would not be done again; "
                    "bring it over before, outside the function"
                )


def expect_made_here(gradient: Value) -> None:
    """Raise RuntimeError in a captured function for a gradient from before it."""
    if recording.tape is not None and id(gradient.data) not in recording.tape.gradients:
        raise RuntimeError(
            f"backward in a captured function to a leaf of shape {gradient.shape} that has a gradient: replays would "
            "add to that one, not to each other's; drop it first, by zero_grad() or .grad = None"
        )
