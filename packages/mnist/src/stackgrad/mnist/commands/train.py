"""The command `train`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click
from tqdm import tqdm

from ..models import MODELS
from ..runs import new_run
from ..train import RECIPES, Step
from ..train import train as run_training
from ._options import backend_option, data_options, load_data, positive_number, use, whole_number


def _defaults(name: str) -> str:
    """What the models' recipes say of a number, for a help text."""
    values = {model: getattr(recipe, name) for model, recipe in RECIPES.items()}
    if len(set(values.values())) == 1:
        return f"[default: {values.popitem()[1]}]"
    return f"[default: {', '.join(f'{value} for {model}' for model, value in values.items())}]"


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
    help=f"The highest learning rate of the one-cycle schedule.  {_defaults('lr')}",
)
@data_options("Use the first N training images and the first N test images only.")
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
    use(backend)
    loaded = load_data(data, emnist, limit)
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
