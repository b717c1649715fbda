"""The command `evaluate`."""

from __future__ import annotations

from pathlib import Path

import click

from ..evaluate import count_right
from ..runs import RunError, load_run
from ._options import backend_option, data_options, load_data, use


@click.command(short_help="Measure a trained model on the test images.")
@click.argument("run", required=False, type=click.Path(path_type=Path))
@backend_option
@data_options("Use the first N test images only.  [default: as in training]")
def evaluate(run: Path | None, backend: str, data: Path | None, emnist: str | None, limit: int | None) -> None:
    """Measure a trained model on the test images: of the data it was trained on, or of --data.

    RUN is the folder of a run; the newest one under ./runs if none is named.

    \b
    Examples:
      stackgrad-mnist evaluate
      stackgrad-mnist evaluate runs/course --backend numpy
    """
    use(backend)
    found = load_run(run)
    if data is None and emnist is None:
        arguments = found.summary["arguments"]
        data, emnist = arguments.get("data") and Path(arguments["data"]), arguments.get("emnist")
        limit = limit or arguments.get("limit")
    loaded = load_data(data, emnist, limit)
    if loaded.classes > found.summary["classes"]:
        raise RunError(
            f"{found.folder}: trained for {found.summary['classes']} classes, and {loaded.name} has {loaded.classes}: "
            "name the data it was trained on"
        )
    right, count = count_right(found.model, loaded.test), len(loaded.test)
    folder = click.format_filename(found.folder)
    click.echo(f"{folder}: {found.summary['model']} on {loaded.name}, backend {backend}")
    click.echo(f"test accuracy {right / count:.2%} ({right:,} of {count:,} images)")
