"""The command `stackgrad-mnist`."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click
import numpy as np
from tqdm import tqdm

from stackgrad.tensor import set_default_backend

from . import __version__
from .data import EMNIST_NAMES, Dataset, Split, load
from .evaluate import count_right, probabilities
from .failures import BackendError, Commands
from .images import read_image
from .models import MODELS
from .runs import RunError, load_run, new_run
from .train import RECIPES, Step
from .train import train as run_training

F = TypeVar("F", bound=Callable[..., Any])
BACKENDS = ("cpu", "numpy")


def _use(backend: str) -> None:
    try:
        set_default_backend(backend)
    except (RuntimeError, ValueError) as error:
        raise BackendError(str(error)) from error


def _whole(low: int, high: int | None = None) -> Callable[[click.Context, click.Parameter, str | None], int | None]:
    """A callback that reads a whole number in a range (`click.IntRange` shows the range in every help text)."""

    def read(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
        if value is None:
            return None
        number = int(value) if value.isdecimal() and len(value) <= 20 else low - 1  # 2**64 has 20 digits
        if number < low or (high is not None and number > high):
            upwards = "or more" if high is None else f"to {high:,}"
            raise click.BadParameter(f"{value!r} is not a whole number, {low} {upwards}")
        return number

    return read


def _positive(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """A callback that reads a finite number above 0."""
    if value is None:
        return None
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise click.BadParameter(f"{value!r} is not a number above 0")
    return number


def _defaults(name: str) -> str:
    """What the models' recipes say of a number, for a help text."""
    values = {model: getattr(recipe, name) for model, recipe in RECIPES.items()}
    if len(set(values.values())) == 1:
        return f"[default: {values.popitem()[1]}]"
    return f"[default: {', '.join(f'{value} for {model}' for model, value in values.items())}]"


def _backend_option(command: F) -> F:
    return click.option(
        "--backend",
        type=click.Choice(BACKENDS),
        default="cpu",
        show_default=True,
        envvar="STACKGRAD_BACKEND",
        show_envvar=True,
        help="Where to compute: compiled kernels on all cores, or plain NumPy.",
    )(command)


def _data_options(limit: str) -> Callable[[F], F]:
    """The options that say what data to read; `limit` is the help text of --limit."""

    def decorate(command: F) -> F:
        command = click.option("--limit", callback=_whole(1), metavar="N", help=limit)(command)
        command = click.option(
            "--emnist",
            type=click.Choice(EMNIST_NAMES),
            metavar="NAME",
            help=f"Which of EMNIST's data sets to read from the folder of --data: {', '.join(EMNIST_NAMES)}.",
        )(command)
        return click.option(
            "--data",
            type=click.Path(path_type=Path),
            metavar="DIR",
            help="A folder with the four IDX files, gzipped or not, in place of the MNIST that is built in.",
        )(command)

    return decorate


def _load(data: Path | None, emnist: str | None, limit: int | None) -> Dataset:
    if emnist is not None and data is None:
        raise click.UsageError(f"--emnist {emnist} needs --data DIR, the folder that holds EMNIST's files")
    loaded = load(data, emnist)
    if limit is None:
        return loaded
    first = [Split(split.images[:limit], split.labels[:limit]) for split in (loaded.train, loaded.test)]
    return Dataset(first[0], first[1], loaded.name)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="stackgrad-mnist")
def main() -> None:
    """Train LeNet on MNIST, measure it, and have it read digits.

    \b
    Examples:
      stackgrad-mnist train              LeNet on all of MNIST, a minute or less
      stackgrad-mnist evaluate           test accuracy of the newest run
      stackgrad-mnist predict five.png   which digit the picture shows
    """


@main.command()
@click.option("--model", type=click.Choice(list(MODELS)), default="lenet5", show_default=True, help="The network.")
@_backend_option
@click.option(
    "--seed",
    callback=_whole(0, 2**64 - 1),
    default="0",
    show_default=True,
    metavar="N",
    help="Decides every random number.",
)
@click.option(
    "--epochs", callback=_whole(1), metavar="N", help=f"Passes over the training images.  {_defaults('epochs')}"
)
@click.option("--batch-size", callback=_whole(1), metavar="N", help=f"Images in a step.  {_defaults('batch_size')}")
@click.option(
    "--lr",
    callback=_positive,
    metavar="X",
    help=f"The highest learning rate of the one-cycle schedule.  {_defaults('lr')}",
)
@_data_options("Use the first N training images and the first N test images only.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The run's folder, which must be empty or new.  [default: a new one under ./runs]",
)
def train(
    model: str,
    backend: str,
    seed: int,
    epochs: int | None,
    batch_size: int | None,
    lr: float | None,
    data: Path | None,
    emnist: str | None,
    limit: int | None,
    out: Path | None,
) -> None:
    """Train a model and measure it on the test images.

    The run's folder gets the weights (model.safetensors), the course of training (metrics.jsonl) and the result
    (summary.json). The same seed gives the same weights, to the bit.

    \b
    Examples:
      stackgrad-mnist train
      stackgrad-mnist train --model course --seed 1 --out runs/course
      stackgrad-mnist train --data ~/fashion-mnist --epochs 10
      stackgrad-mnist train --backend numpy --limit 2000
    """
    _use(backend)
    loaded = _load(data, emnist, limit)
    recipe = RECIPES[model]
    recipe = replace(
        recipe, epochs=epochs or recipe.epochs, batch_size=batch_size or recipe.batch_size, lr=lr or recipe.lr
    )
    folder = new_run(out, model)
    arguments = {
        "model": model,
        "backend": backend,
        "seed": seed,
        "epochs": recipe.epochs,
        "batch_size": recipe.batch_size,
        "lr": recipe.lr,
        "data": data and str(data.absolute()),  # to be found from any folder
        "emnist": emnist,
        "limit": limit,
        "out": str(folder),
    }
    click.echo(f"{model} on {loaded.name}: {len(loaded.train):,} training images, backend {backend}, seed {seed}")
    images = recipe.epochs * len(loaded.train)
    with tqdm(
        total=images,
        desc="compiling kernels" if backend == "cpu" else "starting",
        bar_format="{desc} {percentage:3.0f}% |{bar}| {remaining} left{postfix}",
        smoothing=0.05,
        dynamic_ncols=True,
        disable=None,  # no bar where the standard error is no terminal
    ) as bar:

        def show(step: Step) -> None:
            if step.step == 1:
                bar.unpause()  # or the time for compiling would count as training's
            rate = f", {step.images_per_second:,.0f} images/s" if step.images_per_second else ""
            bar.set_description_str(f"epoch {step.epoch}/{recipe.epochs}", refresh=False)
            bar.set_postfix_str(f"loss {step.loss:.4f}{rate}", refresh=False)
            bar.update(min(recipe.batch_size, images - bar.n))

        summary = run_training(model, loaded, recipe, seed, folder, arguments, show)
    click.echo(
        f"trained in {summary['seconds_total']:.1f} s, {summary['images_per_second']:,.0f} images per second; "
        f"written to {click.format_filename(folder)}"
    )
    click.echo(f"test accuracy {summary['test_accuracy']:.2%} on {len(loaded.test):,} images")


@main.command(short_help="Measure a trained model on the test images.")
@click.argument("run", required=False, type=click.Path(path_type=Path))
@_backend_option
@_data_options("Use the first N test images only.  [default: as in training]")
def evaluate(run: Path | None, backend: str, data: Path | None, emnist: str | None, limit: int | None) -> None:
    """Measure a trained model on the test images: of the data it was trained on, or of --data.

    RUN is the folder of a run; the newest one under ./runs if none is named.

    \b
    Examples:
      stackgrad-mnist evaluate
      stackgrad-mnist evaluate runs/course --backend numpy
    """
    _use(backend)
    found = load_run(run)
    if data is None and emnist is None:
        arguments = found.summary["arguments"]
        data, emnist = arguments.get("data") and Path(arguments["data"]), arguments.get("emnist")
        limit = limit or arguments.get("limit")
    loaded = _load(data, emnist, limit)
    if loaded.classes > found.summary["classes"]:
        raise RunError(
            f"{found.folder}: trained for {found.summary['classes']} classes, and {loaded.name} has {loaded.classes}: "
            "name the data it was trained on"
        )
    right, count = count_right(found.model, loaded.test), len(loaded.test)
    folder = click.format_filename(found.folder)
    click.echo(f"{folder}: {found.summary['model']} on {loaded.name}, backend {backend}")
    click.echo(f"test accuracy {right / count:.2%} ({right:,} of {count:,} images)")


@main.command(short_help="Say which digit each picture shows.")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...", type=click.Path(path_type=Path))
@click.option(
    "--run",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="The folder of a run.  [default: the newest under ./runs]",
)
@_backend_option
def predict(images: tuple[Path, ...], run: Path | None, backend: str) -> None:
    """Say which digit each IMAGE shows, and how sure the model is.

    PNG, JPEG and other pictures of any size, dark on light or light on dark, each with one digit.

    \b
    Examples:
      stackgrad-mnist predict five.png
      stackgrad-mnist predict --run runs/course scans/*.jpg
    """
    _use(backend)
    found = load_run(run)
    chances = probabilities(found.model, np.stack([read_image(path) for path in images]))
    for path, row in zip(images, chances, strict=True):
        click.echo(f"{click.format_filename(path)}: {row.argmax()} ({row.max():.1%})")
