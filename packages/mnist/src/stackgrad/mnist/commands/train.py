"""The command `train`."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource
from tqdm import tqdm

from ..checkpoints import FOLDER, Checkpoint
from ..data import Dataset
from ..graph import operations
from ..labels import class_names, default_labels, expect_fitting
from ..models import MODELS
from ..recipes import OPTIMIZERS, RECIPES, SCHEDULES, SGD_LR, Recipe
from ..report import REPORT, write_report
from ..resume import expect_same_data, last_checkpoint
from ..runs import Run, alone_in, load_run, new_run
from ..tensorboard import TensorBoard, expect_writer
from ..train import CHECKPOINT_EVERY
from ..train import train as run_training
from ..training import Step, steps_per_epoch
from ._options import (
    backend_option,
    data_options,
    json_option,
    labels_option,
    load_data,
    positive_number,
    use,
    whole_number,
)


def _defaults(name: str) -> str:
    """What the models' recipes say of a number, for a help text."""
    values = {model: getattr(recipe, name) for model, recipe in RECIPES.items()}
    if name == "augment":
        values = {model: "yes" if value else "no" for model, value in values.items()}
    if len(set(values.values())) == 1:
        return f"[default: {values.popitem()[1]}]"
    return f"[default: {', '.join(f'{value} for {model}' for model, value in values.items())}]"


def _tensorboard_folder(ctx: click.Context, param: click.Parameter, value: Path | None) -> Path | None:
    if value is not None:
        expect_writer()
    return value


@click.command()
@click.option("--model", type=click.Choice(list(MODELS)), default="lenet5", show_default=True, help="The network.")
@backend_option
@click.option(
    "--seed",
    callback=whole_number(0, 2**64 - 1),
    default="0",
    show_default=True,
    metavar="N",
    help="Decides every random number.",
)
@click.option(
    "--epochs", callback=whole_number(1), metavar="N", help=f"Passes over the training images.  {_defaults('epochs')}"
)
@click.option(
    "--batch-size", callback=whole_number(1), metavar="N", help=f"Images in a step.  {_defaults('batch_size')}"
)
@click.option(
    "--lr",
    callback=positive_number,
    metavar="X",
    help=f"The highest learning rate.  {_defaults('lr')[:-1]}; {SGD_LR} with sgd]",
)
@click.option("--optimizer", type=click.Choice(list(OPTIMIZERS)), help=f"The optimizer.  {_defaults('optimizer')}")
@click.option(
    "--schedule",
    type=click.Choice(list(SCHEDULES)),
    help=f"How the learning rate changes: up and down again, down along a cosine, not at all.  {_defaults('schedule')}",
)
@click.option(
    "--augment/--no-augment",
    default=None,
    help=f"Turn, stretch and shift each image a little, anew in each epoch.  {_defaults('augment')}",
)
@click.option(
    "--patience",
    callback=whole_number(1),
    metavar="N",
    help="Hold a tenth of the training images out, stop when they are not read better for N epochs, and keep the "
    "weights that read them best.  [default: train on all of them, for all epochs]",
)
@data_options("Use the first N training images and the first N test images only.")
@labels_option("those of a data set that was fetched, or the numbers")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The run's folder, which must be empty or new.  [default: a new one under ./runs]",
)
@click.option(
    "--checkpoint-every",
    callback=whole_number(1),
    metavar="N",
    help=f"Steps from one checkpoint to the next.  [default: {CHECKPOINT_EVERY}]",
)
@click.option(
    "--resume",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="Go on with a run that was stopped, from its last checkpoint, as if it had not been.",
)
@click.option(
    "--pictures/--no-pictures",
    default=True,
    help="Draw pictures of the run at its end, as `show` does.  [default: yes]",
)
@click.option(
    "--tensorboard",
    type=click.Path(path_type=Path),
    callback=_tensorboard_folder,
    metavar="DIR",
    help="Write the numbers, the pictures and the model's graph for TensorBoard too, into a folder of DIR with the "
    "name of the run's.",
)
@json_option("Print the folder and what is in summary.json, as JSON.")
@click.pass_context
def train(
    ctx: click.Context,
    /,
    resume: Path | None,
    out: Path | None,
    checkpoint_every: int | None,
    pictures: bool,
    tensorboard: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Train a model and measure it on the test images.

    The run's folder gets the weights (model.safetensors), the course of training (metrics.jsonl), the result
    (summary.json), pictures of both, and report.html, which shows them all. The same seed gives the same weights, to
    the bit, also when the run is stopped (Ctrl-C finishes the step and saves; a crash or a kill loses what came after
    the last checkpoint) and resumed.

    \b
    Examples:
      stackgrad-mnist train
      stackgrad-mnist train --model convnet
      stackgrad-mnist train --model course --seed 1 --out runs/course
      stackgrad-mnist train --resume runs/course
      stackgrad-mnist train --data ~/fashion-mnist --epochs 30 --patience 3
      stackgrad-mnist train --backend numpy --limit 2000
    """
    with contextlib.ExitStack() as stack:
        if resume is None:
            checkpoint, arguments = None, _arguments(**options)
            use(arguments["backend"])
            data = load_data(options["data"], options["emnist"], options["limit"])
            if arguments["labels"]:
                expect_fitting(arguments["labels"], data)
            folder = new_run(out, arguments["model"])
            arguments["out"] = str(folder)
            arguments["checkpoint_every"] = checkpoint_every or CHECKPOINT_EVERY
            stack.enter_context(alone_in(folder))
        else:
            folder = resume
            if (folder / FOLDER).is_dir():
                stack.enter_context(alone_in(folder))
            checkpoint = _last_checkpoint(ctx, folder)
            arguments = checkpoint.state["arguments"]
            use(arguments["backend"])
            path = arguments["data"]
            data = load_data(path and Path(path), arguments["emnist"], arguments["limit"])
            expect_same_data(data, checkpoint)
        recipe = _recipe(arguments)
        if not as_json:
            _say_what(arguments, data, checkpoint)
        board = stack.enter_context(TensorBoard(tensorboard / folder.absolute().name)) if tensorboard else None
        steps = recipe.epochs * steps_per_epoch(recipe, len(data.train))
        with _progress(recipe, steps, arguments["backend"], checkpoint) as show:
            summary = run_training(
                arguments["model"],
                data,
                recipe,
                arguments["seed"],
                folder,
                arguments,
                show,
                checkpoint_every or arguments["checkpoint_every"],
                checkpoint,
                board.line if board else lambda line: None,
            )
        if as_json:
            click.echo(json.dumps({"folder": str(folder), **summary}, indent=2))
        else:
            _say_result(summary, folder, recipe, len(data.test))
        if pictures or board:
            _show(load_run(folder), data, pictures, board, as_json)


def _arguments(
    model: str,
    backend: str,
    seed: int,
    epochs: int | None,
    batch_size: int | None,
    lr: float | None,
    optimizer: str | None,
    schedule: str | None,
    augment: bool | None,
    patience: int | None,
    data: Path | None,
    emnist: str | None,
    limit: int | None,
    labels: list[str] | None,
) -> dict[str, Any]:
    """What was asked for, with the defaults of the model's recipe; can be JSON."""
    recipe = RECIPES[model]
    optimizer = optimizer or recipe.optimizer
    usual_lr = SGD_LR if optimizer == "sgd" != recipe.optimizer else recipe.lr
    return {
        "model": model,
        "backend": backend,
        "seed": seed,
        "epochs": epochs or recipe.epochs,
        "batch_size": batch_size or recipe.batch_size,
        "lr": lr or usual_lr,
        "optimizer": optimizer,
        "schedule": schedule or recipe.schedule,
        "augment": recipe.augment if augment is None else augment,
        "patience": patience or recipe.patience,
        "data": data and str(data.absolute()),  # to be found from any folder
        "emnist": emnist,
        "limit": limit,
        "labels": labels or default_labels(data),
    }


def _recipe(arguments: dict[str, Any]) -> Recipe:
    names = ("epochs", "batch_size", "lr", "optimizer", "schedule", "augment", "patience")
    return replace(RECIPES[arguments["model"]], **{name: arguments[name] for name in names})


def _last_checkpoint(ctx: click.Context, folder: Path) -> Checkpoint:
    """Where the run in `folder` is to go on, if the options that were given besides are those it was started with."""
    checkpoint, flaws = last_checkpoint(folder)
    for name, value in ctx.params.items():
        given = ctx.get_parameter_source(name) == ParameterSource.COMMANDLINE
        if not given or name in ("resume", "checkpoint_every", "pictures", "tensorboard", "as_json"):
            continue
        its, asked = checkpoint.state["arguments"][name], str(value.absolute()) if name == "data" else value
        if name == "out" or its != asked:
            option = f"--{name.replace('_', '-')}"
            was = "" if name == "out" else f" (it was started with {its})"
            raise click.UsageError(f"{option} cannot be changed in a run that is resumed{was}: leave it out")
    for flaw in flaws:
        click.echo(f"{flaw}: going on from {checkpoint.path.name}", err=True)
    return checkpoint


@contextlib.contextmanager
def _progress(
    recipe: Recipe, steps: int, backend: str, checkpoint: Checkpoint | None
) -> Iterator[Callable[[Step], None]]:
    """A bar that the function which it gives moves on."""
    with tqdm(
        total=steps,
        initial=checkpoint.step if checkpoint else 0,
        desc="starting" if backend == "numpy" else "compiling kernels",
        bar_format="{desc} {percentage:3.0f}% |{bar}| {remaining} left{postfix}",
        smoothing=0.05,
        dynamic_ncols=True,
        disable=None,  # no bar where the standard error is no terminal
    ) as bar:
        started = False

        def show(step: Step) -> None:
            nonlocal started
            if not started:
                bar.unpause()  # or the time for compiling would count as training's
                started = True
            rate = f", {step.images_per_second:,.0f} images/s" if step.images_per_second else ""
            bar.set_description_str(f"epoch {step.epoch}/{recipe.epochs}", refresh=False)
            bar.set_postfix_str(f"loss {step.loss:.4f}{rate}", refresh=False)
            bar.update()

        yield show


def _say_what(arguments: dict[str, Any], data: Dataset, checkpoint: Checkpoint | None) -> None:
    start = f"{arguments['model']} on {data.name}: {len(data.train):,} training images"
    if checkpoint:
        start += f", going on after step {checkpoint.step:,}"
    click.echo(f"{start}, backend {arguments['backend']}, seed {arguments['seed']}")


def _say_result(summary: dict[str, Any], folder: Path, recipe: Recipe, test_images: int) -> None:
    click.echo(
        f"trained in {summary['seconds_total']:.1f} s, {summary['images_per_second']:,.0f} images per second; "
        f"written to {click.format_filename(folder)}"
    )
    if recipe.patience is not None:
        click.echo(
            f"kept the weights after epoch {summary['kept_epoch']}, which read "
            f"{summary['validation_accuracy']:.2%} of the images held out"
        )
    click.echo(f"test accuracy {summary['test_accuracy']:.2%} on {test_images:,} images")


def _show(run: Run, data: Dataset, pictures: bool, board: TensorBoard | None, as_json: bool) -> None:
    if board:
        board.graph(operations(run.model))
    if not pictures:
        return
    drawn = write_report(run, data, class_names(run.summary))
    if board:
        board.pictures(drawn, run.summary["steps"])
    if not as_json:
        click.echo(f"pictures in {click.format_filename(run.folder / REPORT)}")
