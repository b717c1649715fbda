"""Work that is recorded, to be done again without the Python around it (see _capture).

While a captured function is recorded there is a tape. A backend that can be captured puts a function on it for all
that it does to the memory of tensors, which does the same again.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._autograd import Node, Value, Version
    from ._grads import GradientSlot

Work = Callable[[], Any]


def _nothing() -> None:
    pass


class Launches(ABC):
    """Kernels that a backend launched in a row and launches again as one: the fewer rows on a tape, the better."""

    may_fail = False
    """Whether a replay may end with these, so that what comes after them must not be done before."""

    @abstractmethod
    def add(self, *launch: Any) -> None:
        """One more, as the backend tells it."""

    @abstractmethod
    def __call__(self) -> None:
        """Launch them."""


class Tape(list[Work]):
    """What was done, in order, and what it was done to.

    The rest is about the function that is recorded: `inner` is what it made, tensors, nodes and versions of memory;
    `outer` the tensors from outside that it used, with their versions' counts before;
    `gradients` what happened to the `grad` of each leaf; `watched` what replays read, to see whether it is as it was.
    `before_python` and `after_python` are called around what `each_time` does.
    """

    def __init__(self) -> None:
        self.inner: dict[int, Value | Version | Node] = {}
        self.outer: dict[int, tuple[Value, int]] = {}
        self.gradients: dict[int, GradientSlot] = {}
        self.watched: list[Callable[[], tuple[Any, ...]]] = []
        self.before_python: Callable[[], None] = _nothing
        self.after_python: Callable[[], None] = _nothing

    def launched(self, kind: type[Launches], *launch: Any) -> None:
        """Put a launch on the tape, in the row at its end or in a new one of that kind."""
        row = self[-1] if self else None
        if not isinstance(row, kind):
            row = kind()
            self.append(row)
        row.add(*launch)

    def put_ahead(self, work: Work) -> None:
        """Put `work` ahead of the row of launches at the end, so that more can join the row.

        For work of which these launches see nothing. It stays behind all other work, and behind what may fail.
        """
        last = self[-1] if self else None
        self.insert(len(self) - (isinstance(last, Launches) and not last.may_fail), work)

    def use(self, tensors: Iterable[Value], recorded: bool = False) -> None:
        """Note that the function reads or writes these tensors; `recorded` where a gradient will flow to them.

        Raises RuntimeError for one on a backend that puts nothing on the tape, and for one that a gradient would flow
        through to what was computed outside.
        """
        for x in tensors:
            if not x.backend.captures:
                raise RuntimeError(
                    f"a tensor on backend {x.backend.name!r} in a captured function: its work would not be done again; "
                    "bring it over before, outside the function"
                )
            if recorded and x.node is not None and id(x.node) not in self.inner:
                raise RuntimeError(
                    f"a captured function used a tensor of shape {x.shape} with a history from outside, which a "
                    "replay cannot go back through: compute it in the function, or give .detach()"
                )
            if id(x) not in self.inner and id(x) not in self.outer:
                self.outer[id(x)] = (x, x.writes)

    def forget(self) -> None:
        """Let go of what only the recording needed."""
        self.inner, self.outer, self.gradients, self.watched = {}, {}, {}, []
        self.before_python = self.after_python = _nothing

    def made(self, *new: Value | Version | Node) -> None:
        """Note that the function made these."""
        for x in new:
            self.inner[id(x)] = x


class _Capturing(threading.local):
    tape: Tape | None = None


capturing = _Capturing()
open_tapes: set[int] = set()  # of all threads, by id: while there is none, nobody has to ask for that of his own


@contextmanager
def captured_on(tape: Tape) -> Iterator[None]:
    """Within this context, what this thread does goes on `tape`."""
    capturing.tape = tape
    open_tapes.add(id(tape))
    try:
        yield
    finally:
        open_tapes.discard(id(tape))
        capturing.tape = None


def each_time(work: Work, in_replays: bool = True, ahead: bool = False) -> None:
    """Do `work` now and, in a captured function, at this point of each replay, unless `in_replays` is false.

    For what is no work on tensors' memory: counting steps, drawing numbers, checking values. It may read tensors, and
    what it does with them is done when it is called, not recorded. What it changes of Python's objects, replays follow.

    Work that reads no tensor, and writes nothing that was used before it, may be `ahead`: a replay may do it before the
    kernels that were launched just before it, but in order with all other such work. On a GPU it then does not part
    the kernels into two graphs.
    """
    tape = capturing.tape
    if tape is None:
        work()
        return
    tape.before_python()
    capturing.tape = None
    try:
        work()
    finally:
        capturing.tape = tape
    tape.after_python()
    if in_replays:
        (tape.put_ahead if ahead else tape.append)(work)


def depends_on(read: Callable[[], tuple[Any, ...]]) -> None:
    """In a captured function: replays are right as long as `read` gives the objects or values that it gives now."""
    if capturing.tape is not None:
        capturing.tape.watched.append(read)


def expect_readable(what: str) -> None:
    """Raise RuntimeError in a captured function, where a value that is read would be that of the recording for ever."""
    if capturing.tape is not None:
        raise RuntimeError(
            f"{what} in a captured function, where it would stay as it is now: return the tensor, and read it outside"
        )
