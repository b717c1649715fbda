"""SIGINT (Ctrl-C) and SIGTERM while training: the step is finished first.

A handler that only takes note works where KeyboardInterrupt does not: while Numba compiles, an exception out of a
handler is lost, or comes out as an error of another kind.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from stackgrad.nn.distributed import world


class Request:
    """Whether one of the two signals has come, and which."""

    def __init__(self) -> None:
        self.signum: int | None = None


@contextmanager
def requests_to_stop() -> Iterator[Request]:
    """Within this context the first signal is noted, and a second one ends the process at once."""
    request = Request()

    def note(signum: int, frame: FrameType | None) -> None:
        if request.signum is not None:
            end_at_once(signum, frame)
        request.signum = signum
        _say("stopping after this step; once more to stop at once")

    if threading.current_thread() is not threading.main_thread():
        yield request  # signals are the main thread's
        return
    previous = {signum: signal.signal(signum, note) for signum in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for signum, handler in previous.items():
            signal.signal(signum, handler)


def end_at_once(signum: int, frame: FrameType | None) -> None:
    """A handler that ends the process with the status that shells give it."""
    _say("Error: interrupted")
    os._exit(128 + signum)


def _say(message: str) -> None:
    """Write a line, below a progress bar where one may be. Not by print: the signal may have come within one."""
    if sys.stderr is None or not world().is_first:  # number 2 may be any file where there is no stream
        return
    with suppress(OSError):
        os.write(2, f"{os.linesep if os.isatty(2) else ''}{message}{os.linesep}".encode())
