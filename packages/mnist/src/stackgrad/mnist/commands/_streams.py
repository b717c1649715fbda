"""The standard streams, such that the work is done whatever they lead to.

One that is closed leads nowhere. A character that the encoding lacks is written as an escape. What cannot be written,
since nobody reads on or the disk is full, is dropped, and the exit status says so at the end.
"""

from __future__ import annotations

import errno
import io
import logging
import os
import select
import sys
from typing import Any, TextIO

_SIGPIPE = 13  # Windows does not know the name
_ERRORS = ("backslashreplace", "ignore", "namereplace", "replace", "xmlcharrefreplace")  # by which anything is written


def prepare() -> None:
    """Make standard input, output and error fit for use, before anything else is opened or written."""
    while (opened := os.open(os.devnull, os.O_RDWR)) <= 2:  # or the next file would be taken for a standard stream
        os.set_inheritable(opened, True)
    os.close(opened)
    sys.stdin = sys.stdin or os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = _unfailing(sys.stdout, 1)
    sys.stderr = _unfailing(sys.stderr, 2)
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # its warnings are of where it keeps its list of fonts
    os.environ.pop("MPLBACKEND", None)  # for windows, which we open none of; matplotlib refuses one that it lacks


def say(text: str, err: bool = False) -> None:
    """Write a line to standard output, or to standard error.

    Not by `click.echo`, which writes UTF-8 where ASCII is asked for.
    """
    stream = sys.stderr if err else sys.stdout
    stream.write(f"{text}\n")
    stream.flush()


def final_status(status: int) -> int:
    """`status`, or where it is 0 though standard output was lost: 141 if nobody read on, as for a program that SIGPIPE
    ends, else 1 and a line that says why."""
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
    """A file that takes everything: after the first error it leads nowhere.

    Attributes:
        failure: that error.
    """

    def __init__(self, stream: io.TextIOWrapper) -> None:
        super().__init__(stream.fileno(), "wb", closefd=False)
        self.stream = stream  # which may close the file when it is freed
        self.failure: OSError | None = None

    def write(self, data: Any, /) -> int:
        """Write all of `data`, or drop it; its number of bytes."""
        left = memoryview(data).cast("B")
        try:
            while left:
                count = super().write(left)
                if count is None:  # a full pipe, which another process told not to wait
                    select.select([], [self], [])
                else:
                    left = left[count:]
        except OSError as error:
            self.failure = error
            nowhere = os.open(os.devnull, os.O_RDWR)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
        return memoryview(data).nbytes


def _unfailing(stream: TextIO | None, number: int) -> TextIO:
    """A stream that writes to the same file, the one of that number if there is no stream, and never raises."""
    if stream is None:
        stream = os.fdopen(number, "w", encoding="utf-8", closefd=False)
    if not isinstance(stream, io.TextIOWrapper):
        return stream  # that of another program, which calls this one
    encoding, errors = _encodes_all(stream.encoding, stream.errors or "strict")
    raw = getattr(stream.buffer, "raw", stream.buffer)
    if type(raw) is not io.FileIO:  # memory, the console of Windows, or prepared already
        stream.reconfigure(encoding=encoding, errors=errors)
        return stream
    stream.flush()
    return io.TextIOWrapper(_Unfailing(stream), encoding, errors, write_through=True)


def _encodes_all(encoding: str, errors: str) -> tuple[str, str]:
    """An encoding and what it does with characters that it lacks, such that any text can be written: those given, or
    with escapes, or ASCII with escapes where the encoding knows none."""
    if errors not in _ERRORS:
        errors = "backslashreplace"
    try:
        "\u3042\udcff".encode(encoding, errors)
    except ValueError:  # IDNA, for one
        return "ascii", "backslashreplace"
    return encoding, errors
