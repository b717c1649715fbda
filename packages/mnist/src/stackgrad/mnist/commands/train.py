"""The command `train`."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from stackgrad.nn.distributed import world

from ..data.datasets import Dataset
from ..data.labels import class_names
from ..models import MODELS
from ..pictures.report import REPORT, write_report
from ..runs.folder import Run, load_run
from ..runs.tensorboard import TensorBoard, expect_writer
from ..runs.trace import operations
from ..training.recipes import OPTIMIZERS, RECIPES, SCHEDULES, SGD_LR
from ..training.run import CHECKPOINT_EVERY, Start, run_training
from ..training.steps import Step, steps_per_epoch
from ._options import backend_option, data_options, json_option, labels_option, positive_number, whole_number
from ._progress import Bar
from ._start import new_run_in, resumed_run
from ._streams import say


def _defaults(name: str) -> str:
    """The default of an option in each model's recipe, for a help text."""
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
    help="The seed of every random number.",
)
@click.option(
    "--epochs", callback=whole_number(1), metavar="N", help=f"Passes over the training images.  {_defaults('epochs')}"
)
@click.option(
    "--batch-size", callback=whole_number(1), metavar="N", help=f"Images per step.  {_defaults('batch_size')}"
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
    help="How the learning rate changes: up and then down, down along a cosine, or not at all.  "
    f"{_defaults('schedule')}",
)
@click.option(
    "--augment/--no-augment",
    default=None,
    help=f"Rotate, stretch, shear and shift each image a little, differently in each epoch.  {_defaults('augment')}",
)
@click.option(
    "--patience",
    callback=whole_number(1),
    metavar="N",
    help="Early stopping: hold out a tenth of the training images, stop once their loss has not improved for N epochs, "
    "and keep the weights with the lowest loss.  [default: train on all images, for all epochs]",
)
@data_options("Use only the first N training images and the first N test images.")
@labels_option("those of the fetched data set, or 0, 1, 2, ...")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The run's folder, which must be new or empty.  [default: a new one under ./runs]",
)
@click.option(
    "--checkpoint-every",
    callback=whole_number(1),
    metavar="N",
    help=f"Steps between checkpoints.  [default: {CHECKPOINT_EVERY}]",
)
@click.option(
    "--resume",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="Resume a stopped run from its last checkpoint. The result is the same as without the stop.",
)
@click.option(
    "--pictures/--no-pictures",
    default=True,
    help="Draw pictures of the finished run, as `show` does.  [default: yes]",
)
@click.option(
    "--tensorboard",
    type=click.Path(path_type=Path),
    callback=_tensorboard_folder,
    metavar="DIR",
    help="Also write metrics, pictures and the model's graph for TensorBoard, to a folder in DIR named after the run.",
)
@json_option("Print the folder and the contents of summary.json as JSON.")
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

    The run's folder gets the weights (model.safetensors), the metrics of training (metrics.jsonl), the result
    (summary.json), pictures, and report.html, which shows them all. The same seed gives bitwise the same weights, even
    if the run is stopped and resumed. Ctrl-C finishes the step and saves; a crash or a kill loses the steps since the
    last checkpoint.

    \b
    Examples:
      stackgrad-mnist train
      stackgrad-mnist train --model convnet
      stackgrad-mnist train --model course --seed 1 --out runs/course
      stackgrad-mnist train --resume runs/course
      stackgrad-mnist train --data ~/fashion-mnist --epochs 30 --patience 3
      stackgrad-mnist train --backend numpy --limit 2000
      mpiexec -n 2 python -m mpi4py -m stackgrad.mnist train
    """
    begun = new_run_in(out, checkpoint_every, options) if resume is None else resumed_run(ctx, resume, checkpoint_every)
    with begun as start:
        if not as_json:
            _say_what(start)
        board_folder = tensorboard and tensorboard / start.folder.absolute().name
        writes = world().is_first
        with TensorBoard(board_folder) if board_folder and writes else contextlib.nullcontext() as board:
            with _progress(start) as show:
                summary = run_training(start, show, board.line if board else lambda line: None)
            if not writes:
                return
            if as_json:
                say(json.dumps({"folder": str(start.folder), **summary}, indent=2))
            else:
                _say_result(summary, start)
            if pictures or board:
                _show(load_run(start.folder), start.data, pictures, board, as_json)


@contextlib.contextmanager
def _progress(start: Start) -> Iterator[Callable[[Step], None]]:
    """Show a progress bar; the function that this yields advances it by a step."""
    recipe = start.recipe
    if not world().is_first:
        yield lambda step: None
        return
    with Bar(
        total=recipe.epochs * steps_per_epoch(recipe, len(start.data.train)),
        initial=start.checkpoint.step if start.checkpoint else 0,
        desc="starting" if start.arguments["backend"] == "numpy" else "compiling kernels",
        bar_format="{desc} {percentage:3.0f}% |{bar}| {remaining} left{postfix}",
        smoothing=0.05,
    ) as bar:
        started = False

        def show(step: Step) -> None:
            nonlocal started
            if not started:
                bar.unpause()  # else the estimate would include the time of compiling
                started = True
            rate = f", {step.images_per_second:,.0f} images/s" if step.images_per_second else ""
            bar.set_description_str(f"epoch {step.epoch}/{recipe.epochs}", refresh=False)
            bar.set_postfix_str(f"loss {step.loss:.4f}{rate}", refresh=False)
            bar.update()

        yield show


def _say_what(start: Start) -> None:
    what = f"{start.arguments['model']} on {start.data.name}: {len(start.data.train):,} training images"
    if start.checkpoint:
        what += f", resumed after step {start.checkpoint.step:,}"
    say(f"{what}, backend {start.arguments['backend']}, seed {start.arguments['seed']}")


def _say_result(summary: dict[str, Any], start: Start) -> None:
    say(
        f"trained in {summary['seconds_total']:.1f} s, {summary['images_per_second']:,.0f} images per second; "
        f"written to {click.format_filename(start.folder)}"
    )
    if start.recipe.patience is not None:
        say(
            f"kept the weights after epoch {summary['kept_epoch']}, which classify "
            f"{summary['validation_accuracy']:.2%} of the held-out images correctly"
        )
    say(f"test accuracy {summary['test_accuracy']:.2%} on {len(start.data.test):,} images")


def _show(run: Run, data: Dataset, pictures: bool, board: TensorBoard | None, as_json: bool) -> None:
    if board:
        board.graph(operations(run.model))
    if not pictures:
        return
    drawn = write_report(run, data, class_names(run.summary))
    if board:
        board.pictures(drawn, run.summary["steps"])
    if not as_json:
        say(f"pictures in {click.format_filename(run.folder / REPORT)}")
