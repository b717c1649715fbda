"""Options that commands share, and the objects that they name."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from stackgrad.tensor import set_default_backend

from ..data.datasets import EMNIST_NAMES, Dataset, Split, load
from ..data.labels import LabelError, class_names, expect_fitting, read_labels
from ..data.published import PUBLISHED, folder_of, missing
from ..errors import FailureError
from ..runs.folder import Run, RunError, load_run

F = TypeVar("F", bound=Callable[..., Any])
BACKENDS = ("cpu", "cuda", "numpy")


def use(backend: str) -> None:
    """Make `backend` the default. Raises FailureError if it cannot be loaded."""
    try:
        set_default_backend(backend)
    except (RuntimeError, ValueError) as error:
        raise FailureError(str(error)) from error


def whole_number(
    low: int, high: int | None = None
) -> Callable[[click.Context, click.Parameter, str | None], int | None]:
    """A callback that parses an integer in a range. (`click.IntRange` would show the range in every help text.)"""

    def read(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
        if value is None:
            return None
        number = int(value) if value.isdecimal() and len(value) <= 20 else low - 1  # 2**64 has 20 digits
        if number < low or (high is not None and number > high):
            limits = f"{low} or more" if high is None else f"from {low} to {high:,}"
            raise click.BadParameter(f"{value!r} is not a whole number, {limits}")
        return number

    return read


def positive_number(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """A callback that parses a finite number above 0."""
    if value is None:
        return None
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise click.BadParameter(f"{value!r} is not a number above 0")
    return number


run_argument = click.argument("run", required=False, type=click.Path(path_type=Path))
"""The argument RUN, for `load_run`."""

backend_option = click.option(
    "--backend",
    type=click.Choice(BACKENDS),
    default="cpu",
    show_default=True,
    envvar="STACKGRAD_BACKEND",
    show_envvar=True,
    help="Where to compute: compiled kernels on all cores or on a GPU, or plain NumPy.",
)
"""The option --backend, for `use`."""


def _data_folder(ctx: click.Context, param: click.Parameter, value: str | None) -> Path | None:
    """The folder that --data names: an existing folder, or the folder of a fetched data set of that name."""
    if value is None:
        return None
    if Path(value).exists() or value not in PUBLISHED:
        return Path(value)
    folder = folder_of(value)
    if value == "mnist" and missing(value, folder):
        return None  # it is built in
    if missing(value, folder):
        raise click.BadParameter(f"{value} is not fetched yet: run `stackgrad-mnist data fetch {value}`")
    return folder


def labels_option(what: str) -> Callable[[F], F]:
    """Add --labels; `what` describes the default."""
    return click.option(
        "--labels",
        callback=lambda ctx, param, value: value and read_labels(value),
        metavar="NAMES",
        help=f"Names of the classes: a file with one name per line, or names separated by commas.  [default: {what}]",
    )


def data_options(limit: str) -> Callable[[F], F]:
    """Add the options that choose the data; `limit` is the help text of --limit."""

    def decorate(command: F) -> F:
        command = click.option("--limit", callback=whole_number(1), metavar="N", help=limit)(command)
        command = click.option(
            "--emnist",
            type=click.Choice(EMNIST_NAMES),
            metavar="NAME",
            help=f"Which of EMNIST's data sets to read from the folder of --data: {', '.join(EMNIST_NAMES)}.",
        )(command)
        return click.option(
            "--data",
            callback=_data_folder,
            metavar="DIR",
            help="A folder with the four IDX files, gzipped or not, or the name of a fetched data set (see "
            "`stackgrad-mnist data`), instead of the built-in MNIST.",
        )(command)

    return decorate


def json_option(what: str) -> Callable[[F], F]:
    """Add --json; `what` is its help text."""
    return click.option("--json", "as_json", is_flag=True, help=what)


def load_data(data: Path | None, emnist: str | None, limit: int | None) -> Dataset:
    """Load the data that the options of `data_options` ask for."""
    if emnist is not None and data is None:
        raise click.UsageError(f"--emnist {emnist} needs --data DIR, the folder with EMNIST's files")
    loaded = load(data, emnist)
    first = [Split(split.images[:limit], split.labels[:limit]) for split in (loaded.train, loaded.test)]
    return Dataset(first[0], first[1], loaded.name)


def load_named(run: Path | None, backend: str, labels: list[str] | None) -> tuple[Run, list[str]]:
    """Load a run with its model on `backend`, and the names of its classes."""
    use(backend)
    found = load_run(run)
    if labels and len(labels) > found.summary["classes"]:
        raise LabelError(f"got {len(labels)} names of classes, but the model has {found.summary['classes']} classes")
    return found, class_names(found.summary, labels)


def reads_test_images(command: Callable[..., None]) -> Callable[..., None]:
    """Add the argument RUN, --backend, --labels and the data options.

    Instead of them, the command is passed the run, the data, and the names of the run's classes.
    """

    @run_argument
    @backend_option
    @data_options("Use only the first N test images.  [default: as in training]")
    @labels_option("those of the run")
    @functools.wraps(command)
    def run_it(
        run: Path | None,
        backend: str,
        data: Path | None,
        emnist: str | None,
        limit: int | None,
        labels: list[str] | None,
        **others: Any,
    ) -> None:
        use(backend)
        found = load_run(run)
        loaded = _load_data_of(found, data, emnist, limit)
        expect_fitting(labels, loaded)
        command(found, loaded, class_names(found.summary, labels), **others)

    return run_it


def _load_data_of(run: Run, data: Path | None, emnist: str | None, limit: int | None) -> Dataset:
    """Load the data that the options ask for, by default the data that the run was trained on.

    Raises RunError for data with more classes than the run.
    """
    if data is None and emnist is None:
        arguments = run.summary["arguments"]
        data, emnist = arguments.get("data") and Path(arguments["data"]), arguments.get("emnist")
        limit = limit or arguments.get("limit")
    loaded = load_data(data, emnist, limit)
    if loaded.classes > run.summary["classes"]:
        raise RunError(
            f"{run.folder}: the model has {run.summary['classes']} classes, but {loaded.name} has {loaded.classes}: "
            "name the data that it was trained on"
        )
    return loaded
