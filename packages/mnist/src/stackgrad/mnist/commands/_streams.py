"""Standard streams that never raise, so that the work is done whatever they are connected to.

A closed stream is replaced by the null device. Characters that the encoding lacks are written as escapes. If writing
fails, because the reader is gone or the disk is full, the output is dropped, and the exit status reports it.
"""

from __future__ import annotations

import errno
import io
import logging
import os
import select
import sys
from typing import Any, TextIO

_SIGPIPE = 13  # signal.SIGPIPE does not exist on Windows
_ERRORS = ("backslashreplace", "ignore", "namereplace", "replace", "xmlcharrefreplace")  # handlers that never raise


def prepare() -> None:
    """Prepare standard input, output and error, before anything else is opened or written."""
    while (opened := os.open(os.devnull, os.O_RDWR)) <= 2:  # else the next file would become a standard stream
        os.set_inheritable(opened, True)
    os.close(opened)
    sys.stdin = sys.stdin or os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = _unfailing(sys.stdout, 1)
    sys.stderr = _unfailing(sys.stderr, 2)
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it warns about the folder of its font cache
    os.environ.pop("MPLBACKEND", None)  # no window is opened, and an unknown backend makes matplotlib raise


def say(text: str, err: bool = False) -> None:
    """Write a line to standard output, or to standard error.

    `click.echo` would write UTF-8 even if the stream is ASCII.
    """
    stream = sys.stderr if err else sys.stdout
    stream.write(f"{text}\n")
    stream.flush()


def final_status(status: int) -> int:
    """The exit status: `status`, unless it is 0 and writing to standard output failed. Then it is 141 if the reader was
    gone, as if SIGPIPE had ended the program; else 1, and a line says why."""
    sys.stdout.flush()
    raw = getattr(sys.stdout, "buffer", None)
    error = raw.failure if isinstance(raw, _Unfailing) else None
    if status or error is None:
        return status
    if error.errno == errno.EPIPE:
        return 128 + _SIGPIPE
    say(f"Error: standard output: {error.strerror}", err=True)
    return 1


class _Unfailing(io.FileIO):
    """A file whose writes never fail: after the first error it becomes the null device.

    Attributes:
        failure: that error.
    """

    def __init__(self, stream: io.TextIOWrapper) -> None:
        super().__init__(stream.fileno(), "wb", closefd=False)
        self.stream = stream  # kept alive, since it may close the file when it is freed
        self.failure: OSError | None = None

    def write(self, data: Any, /) -> int:
        """Write all of `data`, or drop it. Returns its size in bytes."""
        left = memoryview(data).cast("B")
        try:
            while left:
                count = super().write(left)
                if count is None:  # a full pipe that another process made non-blocking
                    select.select([], [self], [])
                else:
                    left = left[count:]
        except OSError as error:
            self.failure = error
            null = os.open(os.devnull, os.O_RDWR)
            os.dup2(null, self.fileno())
            os.close(null)
        return memoryview(data).nbytes


def _unfailing(stream: TextIO | None, descriptor: int) -> TextIO:
    """A stream that never raises, for the file of `stream`, or of `descriptor` if there is no stream."""
    if stream is None:
        stream = os.fdopen(descriptor, "w", encoding="utf-8", closefd=False)
    if not isinstance(stream, io.TextIOWrapper):
        return stream  # replaced by a program that calls this one
    encoding, errors = _encodes_all(stream.encoding, stream.errors or "strict")
    raw = getattr(stream.buffer, "raw", stream.buffer)
    if type(raw) is not io.FileIO:  # memory, the console of Windows, or prepared already
        stream.reconfigure(encoding=encoding, errors=errors)
        return stream
    stream.flush()
    return io.TextIOWrapper(_Unfailing(stream), encoding, errors, write_through=True)


def _encodes_all(encoding: str, errors: str) -> tuple[str, str]:
    """An encoding and an error handler that can write any text: the given ones if they can, else with escapes, else
    ASCII with escapes."""
    if errors not in _ERRORS:
        errors = "backslashreplace"
    try:
        "\u3042\udcff".encode(encoding, errors)
    except ValueError:  # for example IDNA
        return "ascii", "backslashreplace"
    return encoding, errors
