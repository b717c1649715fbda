"""How a command ends that cannot go on: with one line, never with a traceback."""

from __future__ import annotations

import re
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import click

from stackgrad.nn import distributed
from stackgrad.nn.distributed import DisagreementError

from ..data.fetch import FetchError
from ..data.idx import IdxError
from ..data.images import ImageError
from ..data.labels import LabelError
from ..runs.export import ExportError
from ..runs.folder import RunError
from ..runs.tensorboard import TensorBoardError
from ..training.interrupt import end_at_once
from ..training.ranks import one_job
from ..training.run import SaveError, StoppedError
from ..training.steps import NotFiniteError
from ._streams import final_status, prepare


class Commands(click.Group):
    """A group whose commands end with one line on a user's mistake (status 2) or a failure (status 1)."""

    def main(self, *args: Any, **options: Any) -> Any:
        """Run the program, on standard streams that do not fail."""
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
        with _one_line(), _ctrl_c_ends_at_once():
            return super().invoke(ctx)


@contextmanager
def _one_line() -> Iterator[None]:
    try:
        yield
    except click.UsageError as error:
        hint = f" (see `{error.ctx.command_path} --help`)" if error.ctx else ""
        raise _Mistake(error.format_message().removesuffix(".") + hint) from error
    except (DisagreementError, IdxError, ImageError, LabelError, RunError, TensorBoardError) as error:
        raise _Mistake(str(error)) from error
    except (BackendError, ExportError, FetchError, NotFiniteError, SaveError, MemoryError) as error:
        raise _Failure(str(error) or "out of memory") from error
    except StoppedError as error:
        raise _Stopped(str(error), error.signum) from error
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        raise _Failure(f"{place}{error.strerror or error}") from error


@contextmanager
def _ctrl_c_ends_at_once() -> Iterator[None]:
    """KeyboardInterrupt will not do, see `interrupt`."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's
        return
    previous = signal.signal(signal.SIGINT, end_at_once)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


class _Failure(click.ClickException):
    """Ends the program with status 1 and one line."""

    def __init__(self, message: str) -> None:
        super().__init__(re.sub(r"\s*\n\s*", " ", message))

    def show(self, file: IO[Any] | None = None) -> None:
        distributed.end(f"Error: {self.format_message()}", self.exit_code)


class _Mistake(_Failure):
    """The user's: status 2."""

    exit_code = 2


class _Stopped(click.ClickException):
    """Ends the program with one line, which is no error, and the status that shells give a signal."""

    def __init__(self, message: str, signum: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signum  # type: ignore[misc]

    def show(self, file: IO[Any] | None = None) -> None:
        if distributed.world().is_first:  # all ranks have agreed to stop
            sys.stderr.write(f"{self.message}\n")


class BackendError(RuntimeError):
    """A backend does not load."""
