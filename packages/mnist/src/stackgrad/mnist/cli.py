"""The command `stackgrad-mnist`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from stackgrad.tensor import set_default_backend
from tqdm import tqdm

from . import __version__
from .data import EMNIST_NAMES, Dataset, IdxError, Split, load
from .models import MODELS
from .runs import RunError

F = TypeVar("F", bound=Callable[..., Any])
BACKENDS = ("cpu", "numpy")


class _Commands(click.Group):
    """A group whose commands end with one line on a user's mistake (status 2) or a failure (status 1)."""

    def invoke(self, ctx: click.Context) -> Any:
        from .images import ImageError
        from .train import NotFiniteError

        try:
            return super().invoke(ctx)
        except (IdxError, ImageError, RunError) as error:
            raise _failure(str(error), 2) from error
        except (NotFiniteError, MemoryError) as error:
            raise _failure(str(error) or "out of memory", 1) from error
        except OSError as error:
            place = f"{error.filename}: " if error.filename else ""
            raise _failure(f"{place}{error.strerror or error}", 1) from error


def _failure(message: str, status: int) -> click.ClickException:
    error = click.ClickException(message)
    error.exit_code = status
    return error


def _backend_option(command: F) -> F:
    return click.option(
        "--backend",
        type=click.Choice(BACKENDS),
        default="cpu",
        show_default=True,
        help="Where to compute: compiled kernels on all cores, or plain NumPy.",
    )(command)


def _data_options(command: F) -> F:
    command = click.option(
        "--data",
        "directory",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="A folder with the four IDX files, gzipped or not, in place of the MNIST that is built in.",
    )(command)
    command = click.option(
        "--emnist", type=click.Choice(EMNIST_NAMES), help="Which of EMNIST's data sets to read from the folder of --data."
    )(command)
    return click.option(
        "--limit", type=click.IntRange(min=1), metavar="N", help="Use the first N images of each split only."
    )(command)


def _load(directory: Path | None, emnist: str | None, limit: int | None) -> Dataset:
    data = load(directory, emnist)
    if limit is None:
        return data
    first = [Split(split.images[:limit], split.labels[:limit]) for split in (data.train, data.test)]
    return Dataset(first[0], first[1], data.name)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="stackgrad-mnist")
def main() -> None:
    """Train LeNet on MNIST, measure it, and have it read digits.

    \b
    Examples:
      stackgrad-mnist train                     LeNet on all of MNIST, a minute or less
      stackgrad-mnist evaluate                  test accuracy of the newest run
      stackgrad-mnist predict five.png          what digit is in the picture
    """


@main.command()
@click.option("--model", type=click.Choice(list(MODELS)), default="lenet5", show_default=True, help="The network.")
@_backend_option
@click.option("--seed", type=click.IntRange(0, 2**64 - 1), default=0, show_default=True, help="Decides every random number.")
@click.option("--epochs", type=click.IntRange(min=1), help="Passes over the training images.  [default: the model's]")
@click.option("--batch-size", type=click.IntRange(min=1), help="Images in a step.  [default: the model's]")
@click.option(
    "--lr",
    type=click.FloatRange(min=0, min_open=True),
    help="The highest learning rate of the one-cycle schedule.  [default: the model's]",
)
@_data_options
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="DIR", help="The run's folder.  [default: a new one under ./runs]"
)
def train(
    model: str,
    backend: str,
    seed: int,
    epochs: int | None,
    batch_size: int | None,
    lr: float | None,
    directory: Path | None,
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
    from dataclasses import replace

    from .runs import new_run
    from .train import RECIPES, Step
    from .train import train as run_training

    set_default_backend(backend)
    data = _load(directory, emnist, limit)
    given = {"epochs": epochs, "batch_size": batch_size, "lr": lr}
    recipe = replace(RECIPES[model], **{name: value for name, value in given.items() if value is not None})
    folder = new_run(out, model)
    context = click.get_current_context()
    arguments = {name: str(value) if isinstance(value, Path) else value for name, value in context.params.items()}
    click.echo(f"{model} on {data.name}: {len(data.train):,} training images, backend {backend}, seed {seed}")
    images = recipe.epochs * len(data.train)
    # disable=None: no bar where the standard error is no terminal
    with tqdm(total=images, unit=" images", unit_scale=True, desc="compiling", dynamic_ncols=True, disable=None) as bar:

        def show(step: Step) -> None:
            bar.set_description(f"epoch {step.epoch}/{recipe.epochs}", refresh=False)
            bar.set_postfix(loss=f"{step.loss:.4f}", refresh=False)
            bar.update(min(recipe.batch_size, images - bar.n))

        summary = run_training(model, data, recipe, seed, folder, arguments, show)
    click.echo(
        f"trained in {summary['seconds_total']:.1f} s, {summary['images_per_second']:,.0f} images per second; "
        f"written to {folder}"
    )
    click.echo(f"test accuracy {summary['test_accuracy']:.2%} on {len(data.test):,} images")


@main.command()
@click.argument("run", required=False, type=click.Path(path_type=Path))
@_backend_option
@_data_options
def evaluate(run: Path | None, backend: str, directory: Path | None, emnist: str | None, limit: int | None) -> None:
    """Measure a trained model on the test images of the data it was trained on, or of --data.

    RUN is the folder of a run; the newest one under ./runs if none is named.

    \b
    Examples:
      stackgrad-mnist evaluate
      stackgrad-mnist evaluate runs/course --backend numpy
    """
    from .evaluate import count_right
    from .runs import load_run

    set_default_backend(backend)
    found = load_run(run)
    if directory is None and emnist is None:
        arguments = found.summary["arguments"]
        directory, emnist = arguments.get("directory"), arguments.get("emnist")
    data = _load(Path(directory) if directory else None, emnist, limit)
    if data.classes > found.summary["classes"]:
        raise RunError(
            f"{found.folder}: trained for {found.summary['classes']} classes, and {data.name} has {data.classes}: "
            "name the data it was trained on"
        )
    right, count = count_right(found.model, data.test), len(data.test)
    click.echo(f"{found.folder}: {found.summary['model']} on {data.name}, backend {backend}")
    click.echo(f"test accuracy {right / count:.2%} ({right:,} of {count:,} images)")


@main.command()
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...", type=click.Path(path_type=Path))
@click.option(
    "--run", type=click.Path(path_type=Path), metavar="RUN", help="The folder of a run.  [default: the newest under ./runs]"
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
    import numpy as np

    from .evaluate import probabilities
    from .images import read_image
    from .runs import load_run

    set_default_backend(backend)
    found = load_run(run)
    chances = probabilities(found.model, np.stack([read_image(path) for path in images]))
    for path, row in zip(images, chances, strict=True):
        click.echo(f"{path}: {row.argmax()} ({row.max():.1%})")
