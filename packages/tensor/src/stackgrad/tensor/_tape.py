"""The tape of recorded work, which can be repeated without the Python around it (see _capture).

While a captured function is recorded there is a tape. For everything that a backend does to the memory of tensors, it
puts a function on the tape that does the same again.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from weakref import ref

from ._mode import Observer, here
from ._types import Work

if TYPE_CHECKING:
    from ._autograd import Node
    from ._grads import GradientSlot
    from ._recording import Watch
    from ._value import Value, Version


class Launches(ABC):
    """A row of consecutive kernel launches, replayed as one: the fewer rows on a tape, the better."""

    may_fail = False
    """Whether one of these may raise in a replay, so that later work must not be moved ahead of it."""

    @abstractmethod
    def add(self, *launch: Any) -> None:
        """Add a launch, described by the backend."""

    @abstractmethod
    def __call__(self) -> None:
        """Launch them."""

    @classmethod  # noqa: B027 - a backend may keep all
    def settle(cls, rows: Sequence[Any], lent: Sequence[Any]) -> None:
        """Prepare all `rows` of a finished tape for replay.

        `lent` are weak references to the arrays made during recording. An array that nobody else holds is live from
        the first launch that uses it to the last.
        """


class Tape(list[Work]):
    """The recorded work, in order, and the objects it involves.

    `inner`: the tensors, nodes and memory versions that the function made; `outer`: the tensors from outside that it
    used, with the counts of their versions before; `gradients`: what happened to the `grad` of each leaf; `watched`:
    what it depends on, with the values found; `lent`: weak references to the arrays that it allocated. `watch` detects
    changes to Python objects.
    """

    def __init__(self) -> None:
        self.watch: Watch | None = None
        self.forget()

    def forget(self) -> None:
        """Drop what only the recording needs."""
        self.inner: dict[int, Value | Version | Node] = {}
        self.outer: dict[int, tuple[Value, int]] = {}
        self.gradients: dict[int, GradientSlot] = {}
        self.watched: list[tuple[Callable[[], tuple[Any, ...]], tuple[Any, ...]]] = []
        self.lent: list[ref[Any]] = []

    def settle(self) -> None:
        """End the recording: drop what only that needs, and settle the rows of launches."""
        lent = self.lent
        self.forget()
        for launches in {type(work) for work in self if isinstance(work, Launches)}:
            launches.settle([work for work in self if type(work) is launches], lent)

    def launched(self, launches: type[Launches], *launch: Any) -> None:
        """Put a launch on the tape, in the row at its end or, if that has another type, in a new one."""
        row = self[-1] if self else None
        if not isinstance(row, launches):
            row = launches()
            self.append(row)
        row.add(*launch)

    def put_ahead(self, work: Work) -> None:
        """Put `work` ahead of the row of launches at the end, so that the row can grow.

        The launches must not depend on `work`. It stays behind all other work, and behind launches that may fail.
        """
        last = self[-1] if self else None
        self.insert(len(self) - (isinstance(last, Launches) and not last.may_fail), work)

    def made(self, *new: Value | Version | Node) -> None:
        """Record that the function made these."""
        for x in new:
            self.inner[id(x)] = x

    def use(self, x: Value, recorded: bool = False) -> None:
        """Record that the function reads or writes a tensor. `recorded`: whether a gradient will flow to it.

        Raises RuntimeError for a tensor on a backend that cannot be captured, and for one with a history from outside
        that a gradient would flow into.
        """
        if not x.backend.captures:
            raise RuntimeError(
                f"a tensor on backend {x.backend.name!r} in a captured function: replays would not repeat its work; "
                "bring it over before, outside the function"
            )
        if recorded and x.node is not None and id(x.node) not in self.inner:
            raise RuntimeError(
                f"a captured function used a tensor of shape {x.shape} with a history from outside, which a "
                "replay cannot go back through: compute it in the function, or use .detach()"
            )
        if id(x) not in self.inner and id(x) not in self.outer:
            self.outer[id(x)] = (x, x.writes)


class _Capturing(threading.local):
    tape: Tape | None = None

    def __repr__(self) -> str:
        return f"capturing(tape={self.tape!r})"


capturing = _Capturing()
open_tapes: set[int] = set()  # the ids of all threads' tapes: if it is empty, `capturing` need not be read


@contextmanager
def captured_on(tape: Tape | None, observer: Observer | None = None) -> Iterator[None]:
    """Within this context, put the work of this thread on `tape`, or on none, and tell `observer` of Functions."""
    mode = here.mode
    outside = capturing.tape, mode.observer
    capturing.tape, mode.observer = tape, observer
    if tape is not None:
        open_tapes.add(id(tape))
    try:
        yield
    finally:
        if tape is not None:
            open_tapes.discard(id(tape))
        capturing.tape, mode.observer = outside


def each_time(work: Work, ahead: bool = False) -> None:
    """Run `work` now and, in a captured function, at this point of each replay.

    Use it for work other than tensor operations: counting steps, drawing random numbers, checking values. It may read
    tensors; its tensor operations run when it is called and are not recorded. Replays follow its changes to Python
    objects; if the function reads these, too, it is recorded again for each value that a call starts from.

    Work that reads no tensor, and writes nothing that was used before it, may be `ahead`: a replay may run it before
    the kernels launched just before it, but in order with all other such work. On a GPU, it then does not split the
    kernels into two graphs.

    >>> each_time(lambda: print("now"))
    now
    """
    if not callable(work):
        raise TypeError(f"each_time: work must be a function; got {type(work).__name__}")
    tape = capturing.tape if open_tapes else None
    if tape is None:
        work()
        return
    if tape.watch is not None:
        tape.watch.stop()
    with captured_on(None):
        work()
    if tape.watch is not None:
        tape.watch.resume(work)
    (tape.put_ahead if ahead else tape.append)(work)


def depends_on(read: Callable[[], tuple[Any, ...]]) -> None:
    """In a captured function, make replays depend on `read` returning the same objects or values as it does now.

    >>> depends_on(3)
    """
    if open_tapes and capturing.tape is not None:
        capturing.tape.watched.append((read, read()))
