"""Work that is recorded, to be done again without the Python around it (see _capture).

While a captured function is recorded there is a tape. A backend that can be captured puts a function on it for all
that it does to the memory of tensors, which does the same again.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from weakref import ref

from ._mode import Observer, here

if TYPE_CHECKING:
    from ._autograd import Node
    from ._grads import GradientSlot
    from ._recording import Watch
    from ._value import Value, Version

Work = Callable[[], Any]


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

    @classmethod  # noqa: B027 - a backend may keep all
    def settle(cls, rows: Sequence[Any], lent: Sequence[Any]) -> None:
        """Now that all `rows` of a tape are recorded, make of them what replays need.

        `lent` are weak references to the arrays that were made meanwhile: what nobody else holds any more lives from
        the first launch that uses it to the last.
        """


class Tape(list[Work]):
    """What was done, in order, and what it was done to.

    Beside the work it holds what is known of the function that is recorded: `inner` is what it made, tensors, nodes and
    versions of memory; `outer` the tensors from outside that it used, with their versions' counts before; `gradients`
    what happened to the `grad` of each leaf; `watched` what it depends on, with the values that it found there; `lent`
    weak references to arrays that it was lent memory for. `watch` looks at Python's objects.
    """

    def __init__(self) -> None:
        self.watch: Watch | None = None
        self.forget()

    def forget(self) -> None:
        """Let go of what only the recording needs."""
        self.inner: dict[int, Value | Version | Node] = {}
        self.outer: dict[int, tuple[Value, int]] = {}
        self.gradients: dict[int, GradientSlot] = {}
        self.watched: list[tuple[Callable[[], tuple[Any, ...]], tuple[Any, ...]]] = []
        self.lent: list[ref[Any]] = []

    def settle(self) -> None:
        """The recording has ended: let go of what only that needs, and have rows of launches do so, too."""
        lent = self.lent
        self.forget()
        for kind in {type(work) for work in self if isinstance(work, Launches)}:
            kind.settle([work for work in self if type(work) is kind], lent)

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

    def made(self, *new: Value | Version | Node) -> None:
        """Note that the function made these."""
        for x in new:
            self.inner[id(x)] = x

    def use(self, x: Value, recorded: bool = False) -> None:
        """Note that the function reads or writes a tensor; `recorded` where a gradient will flow to it.

        Raises RuntimeError for one on a backend that puts nothing on the tape, and for one that a gradient would flow
        through to what was computed outside.
        """
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


class _Capturing(threading.local):
    tape: Tape | None = None


capturing = _Capturing()
open_tapes: set[int] = set()  # of all threads, by id: while there is none, nobody has to ask for that of his own


@contextmanager
def captured_on(tape: Tape | None, observer: Observer | None = None) -> Iterator[None]:
    """Within this context, what this thread does goes on `tape`, or on none, and `observer` is told of Functions."""
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
    """Do `work` now and, in a captured function, at this point of each replay.

    For what is no work on tensors' memory: counting steps, drawing numbers, checking values. It may read tensors, and
    what it does with them is done when it is called, not recorded. What it changes of Python's objects, replays follow;
    where the function reads these, too, they are recorded again for each value from which a call starts.

    Work that reads no tensor, and writes nothing that was used before it, may be `ahead`: a replay may do it before the
    kernels that were launched just before it, but in order with all other such work. On a GPU it then does not part
    the kernels into two graphs.
    """
    tape = capturing.tape if open_tapes else None
    if tape is None:
        work()
        return
    if tape.watch is not None:
        tape.watch.stop()
    with captured_on(None):
        work()
    if tape.watch is not None:
        tape.watch.go_on(work)
    (tape.put_ahead if ahead else tape.append)(work)


def depends_on(read: Callable[[], tuple[Any, ...]]) -> None:
    """In a captured function: replays are right as long as `read` gives the objects or values that it gives now."""
    if open_tapes and capturing.tape is not None:
        capturing.tape.watched.append((read, read()))
