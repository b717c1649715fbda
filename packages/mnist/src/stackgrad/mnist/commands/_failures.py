"""Errors end a command with one line and an exit status, never with a traceback."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import click

from stackgrad.nn import distributed
from stackgrad.nn.distributed import DisagreementError

from ..errors import FailureError, MistakeError
from ..training.interrupt import end_at_once, handling
from ..training.ranks import one_job
from ._streams import final_status, prepare


class Commands(click.Group):
    """A group whose commands report a user's mistake (status 2) or a failure (status 1) in one line."""

    def main(self, *args: Any, **options: Any) -> Any:
        """Run the program with standard streams that never raise."""
        prepare()
        try:
            with one_job(sys.argv[1:] if (given := options.get("args", args[0] if args else None)) is None else given):
                return super().main(*args, **options)
        except SystemExit as end:
            sys.exit(final_status(end.code) if isinstance(end.code, int) else end.code)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args:
            return super().parse_args(ctx, args)  # shows the help
        with _one_line():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        with _one_line(), handling(end_at_once, signal.SIGINT):
            return super().invoke(ctx)


@contextmanager
def _one_line() -> Iterator[None]:
    try:
        yield
    except click.UsageError as error:
        hint = f" (see `{error.ctx.command_path} --help`)" if error.ctx else ""
        raise _End(error.format_message().removesuffix(".") + hint, error.exit_code) from error
    except (MistakeError, FailureError) as error:
        raise _End(str(error), error.status) from error
    except DisagreementError as error:
        raise _End(str(error), MistakeError.status) from error
    except MemoryError as error:
        raise _End(str(error) or "out of memory", FailureError.status) from error
    except OSError as error:
        file = f"{error.filename}: " if error.filename else ""
        raise _End(f"{file}{error.strerror or error}", FailureError.status) from error


class _End(click.ClickException):
    """Ends the program with one line and a status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.exit_code = status  # type: ignore[misc]

    def show(self, file: IO[Any] | None = None) -> None:
        if self.exit_code < 128:
            line = re.sub(r"\s*\n\s*", " ", self.message)
            distributed.end(f"Error: {line}", self.exit_code)
        elif distributed.world().is_first:  # a signal stopped it: not an error, and all ranks know
            sys.stderr.write(f"{self.message}\n")
