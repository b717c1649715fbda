"""SIGINT (Ctrl-C) and SIGTERM during training: the current step is finished first.

The handler only sets a flag. KeyboardInterrupt would not work: while Numba compiles, an exception raised in a handler
is lost, or becomes a different error.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType

from stackgrad.nn.distributed import world


@dataclass
class Request:
    """The signal that was received, if any."""

    signum: int | None = None


@contextmanager
def handling(handler: Callable[[int, FrameType | None], None], *signums: int) -> Iterator[None]:
    """Within this context, `handler` handles the signals. Only the main thread may set handlers; others do nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {signum: signal.signal(signum, handler) for signum in signums}
    try:
        yield
    finally:
        for signum, earlier in previous.items():
            signal.signal(signum, earlier)


@contextmanager
def requests_to_stop() -> Iterator[Request]:
    """Within this context, the first signal is recorded, and the second one ends the process at once."""
    request = Request()

    def note(signum: int, frame: FrameType | None) -> None:
        if request.signum is not None:
            end_at_once(signum, frame)
        request.signum = signum
        _say("stopping after this step; interrupt again to stop at once")

    with handling(note, signal.SIGINT, signal.SIGTERM):
        yield request


def end_at_once(signum: int, frame: FrameType | None) -> None:
    """A handler that ends the process with the exit status that shells use for a signal."""
    _say("Error: interrupted")
    os._exit(128 + signum)


def _say(message: str) -> None:
    """Write a line, below the progress bar if there may be one. `print` may be what the signal interrupted."""
    if sys.stderr is None or not world().is_first:  # without a stream, descriptor 2 may be any file
        return
    with suppress(OSError):
        os.write(2, f"{os.linesep if os.isatty(2) else ''}{message}{os.linesep}".encode())
