"""Where a training starts: with what its options ask for, or at the last checkpoint of a run."""

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
    """Begin a run in a new folder, which is no other process's in this context."""
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
    """What was asked for, with the defaults of the model's recipe; can be JSON."""
    usual = RECIPES[options["model"]]
    given = {name: options[name] for name in OPTIONS if options[name] is not None}
    if given.get("optimizer") == "sgd" != usual.optimizer:
        given.setdefault("lr", SGD_LR)
    recipe = replace(usual, **given)
    return {
        **{name: options[name] for name in ("model", "backend", "seed")},
        **{name: getattr(recipe, name) for name in OPTIONS},
        "data": options["data"] and str(options["data"].absolute()),  # to be found from any folder
        **{name: options[name] for name in ("emnist", "limit")},
        "labels": options["labels"] or default_labels(options["data"]),
    }


@contextmanager
def resumed_run(ctx: click.Context, folder: Path, checkpoint_every: int | None) -> Iterator[Start]:
    """Go on with the run in `folder`, which is no other process's in this context."""
    lock = world().is_first and (folder / FOLDER).is_dir()  # none where there is no run
    with alone_in(folder) if lock else nullcontext():
        checkpoint = by_first(lambda: _last_checkpoint(ctx, folder))
        arguments = checkpoint.state["arguments"]
        use(arguments["backend"])
        path = arguments["data"]
        data = load_data(path and Path(path), arguments["emnist"], arguments["limit"])
        if data.checksum != checkpoint.state["data"]:
            raise RunError(f"{folder}: {data.name} is no longer the data that it was trained on")
        _expect_fit_for_ranks(arguments, data)
        yield Start(folder, arguments, data, checkpoint, checkpoint_every or arguments["checkpoint_every"])


def _expect_fit_for_ranks(arguments: dict[str, Any], data: Dataset) -> None:
    """Raise DisagreementError, on all ranks, where one has other arguments, another version or other data than rank 0,
    and UsageError where there are more ranks than images in a batch."""
    if world().size == 1:
        return
    facts = {**arguments, **versions(), "the checksum of the data": data.checksum}
    for name, value in facts.items():
        agree(name.replace("_", " "), value)
    if arguments["batch_size"] < world().size:
        what = f"--batch-size {arguments['batch_size']}, which is that of all ranks together"
        raise click.UsageError(f"{what}, is too small for {world().size} of them")


def _last_checkpoint(ctx: click.Context, folder: Path) -> Checkpoint:
    """Where the run in `folder` is to go on, if the options that were given besides are those it was started with."""
    checkpoint, flaws = last_checkpoint(folder)
    for name, value in ctx.params.items():
        given = ctx.get_parameter_source(name) == ParameterSource.COMMANDLINE
        if not given or name in _MAY_CHANGE:
            continue
        its, asked = checkpoint.state["arguments"][name], str(value.absolute()) if name == "data" else value
        if name == "out" or its != asked:
            option = f"--{name.replace('_', '-')}"
            was = "" if name == "out" else f" (it was started with {its})"
            raise click.UsageError(f"{option} cannot be changed in a run that is resumed{was}: leave it out")
    for flaw in flaws:
        say(f"{flaw}: going on from {checkpoint.path.name}", err=True)
    return checkpoint
