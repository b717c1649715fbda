"""Start a training from its options, or resume a run from its last checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from stackgrad.nn.distributed import agree, by_first, world

from ..data.datasets import Dataset
from ..data.labels import default_labels, expect_fitting
from ..runs.checkpoints import FOLDER, Checkpoint
from ..runs.folder import RunError, alone_in, last_checkpoint, new_run
from ..runs.process import versions
from ..training.recipes import OPTIONS, RECIPES, SGD_LR
from ..training.run import CHECKPOINT_EVERY, Start
from ._options import load_data, use
from ._streams import say

_MAY_CHANGE = ("resume", "checkpoint_every", "pictures", "tensorboard", "as_json")


@contextmanager
def new_run_in(out: Path | None, checkpoint_every: int | None, options: dict[str, Any]) -> Iterator[Start]:
    """Start a run in a new folder, and keep other processes out of it within this context."""
    arguments = _arguments(options)
    use(arguments["backend"])
    data = load_data(options["data"], options["emnist"], options["limit"])
    expect_fitting(arguments["labels"], data)
    _expect_fit_for_ranks(arguments, data)
    folder = by_first(lambda: new_run(out, arguments["model"]))
    arguments |= {"out": str(folder), "checkpoint_every": checkpoint_every or CHECKPOINT_EVERY}
    with alone_in(folder) if world().is_first else nullcontext():
        yield Start(folder, arguments, data, checkpoint_every=arguments["checkpoint_every"])


def _arguments(options: dict[str, Any]) -> dict[str, Any]:
    """The given options, completed by the model's recipe; every value can be written as JSON."""
    usual = RECIPES[options["model"]]
    given = {name: options[name] for name in OPTIONS if options[name] is not None}
    if given.get("optimizer") == "sgd" != usual.optimizer:
        given.setdefault("lr", SGD_LR)
    recipe = replace(usual, **given)
    return {
        **{name: options[name] for name in ("model", "backend", "seed")},
        **{name: getattr(recipe, name) for name in OPTIONS},
        "data": options["data"] and str(options["data"].absolute()),  # valid from any working directory
        **{name: options[name] for name in ("emnist", "limit")},
        "labels": options["labels"] or default_labels(options["data"]),
    }


@contextmanager
def resumed_run(ctx: click.Context, folder: Path, checkpoint_every: int | None) -> Iterator[Start]:
    """Resume the run in `folder`, and keep other processes out of it within this context."""
    lock = world().is_first and (folder / FOLDER).is_dir()  # a folder without a run gets no lock file
    with alone_in(folder) if lock else nullcontext():
        checkpoint = by_first(lambda: _last_checkpoint(ctx, folder))
        arguments = checkpoint.state["arguments"]
        use(arguments["backend"])
        path = arguments["data"]
        data = load_data(path and Path(path), arguments["emnist"], arguments["limit"])
        if data.checksum != checkpoint.state["data"]:
            raise RunError(f"{folder}: {data.name} has changed since the run was started")
        _expect_fit_for_ranks(arguments, data)
        yield Start(folder, arguments, data, checkpoint, checkpoint_every or arguments["checkpoint_every"])


def _expect_fit_for_ranks(arguments: dict[str, Any], data: Dataset) -> None:
    """Raise DisagreementError on all ranks if the arguments, versions or data of one differ from those of rank 0, and
    UsageError if there are more ranks than images in a batch."""
    if world().size == 1:
        return
    facts = {**arguments, **versions(), "the checksum of the data": data.checksum}
    for name, value in facts.items():
        agree(name.replace("_", " "), value)
    if arguments["batch_size"] < world().size:
        what = f"--batch-size {arguments['batch_size']} is too small for {world().size} ranks"
        raise click.UsageError(f"{what}: they share each batch, and each needs an image")


def _last_checkpoint(ctx: click.Context, folder: Path) -> Checkpoint:
    """The checkpoint to resume the run in `folder` from. Raises UsageError if an option differs from the run's."""
    checkpoint, flaws = last_checkpoint(folder)
    for name, value in ctx.params.items():
        given = ctx.get_parameter_source(name) == ParameterSource.COMMANDLINE
        if not given or name in _MAY_CHANGE:
            continue
        its, asked = checkpoint.state["arguments"][name], str(value.absolute()) if name == "data" else value
        if name == "out" or its != asked:
            option = f"--{name.replace('_', '-')}"
            was = "" if name == "out" else f" (it was started with {its})"
            raise click.UsageError(f"{option} cannot be changed when a run is resumed{was}: leave it out")
    for flaw in flaws:
        say(f"{flaw}: resuming from {checkpoint.path.name}", err=True)
    return checkpoint
