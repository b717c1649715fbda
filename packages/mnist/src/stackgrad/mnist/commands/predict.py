"""The command `predict`."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from ..evaluate import probabilities
from ..images import read_image
from ..runs import load_run
from ._options import backend_option, use


@click.command(short_help="Say which digit each picture shows.")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...", type=click.Path(path_type=Path))
@click.option(
    "--run",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="The folder of a run.  [default: the newest under ./runs]",
)
@backend_option
def predict(images: tuple[Path, ...], run: Path | None, backend: str) -> None:
    """Say which digit each IMAGE shows, and how sure the model is.

    PNG, JPEG and other pictures of any size, dark on light or light on dark, each with one digit.

    \b
    Examples:
      stackgrad-mnist predict five.png
      stackgrad-mnist predict --run runs/course scans/*.jpg
    """
    use(backend)
    found = load_run(run)
    chances = probabilities(found.model, np.stack([read_image(path) for path in images]))
    for path, row in zip(images, chances, strict=True):
        click.echo(f"{click.format_filename(path)}: {row.argmax()} ({row.max():.1%})")
