"""The command `show`."""

from __future__ import annotations

from pathlib import Path

import click

from ..labels import class_names
from ..report import PICTURES, REPORT, write_report
from ..runs import load_run
from ._options import backend_option, data_options, load_data_of, use


@click.command(short_help="Draw pictures of a run.")
@click.argument("run", required=False, type=click.Path(path_type=Path))
@backend_option
@data_options("Use the first N test images only.  [default: as in training]")
def show(run: Path | None, backend: str, data: Path | None, emnist: str | None, limit: int | None) -> None:
    """Draw pictures of a run: loss and accuracy, what is taken for what, the worst mistakes, what the convolutions
    see and what they have learned.

    They are written into the run's folder, as PNG files under pictures/ and together in report.html, a page for any
    browser that needs nothing else. `train` has done so already, unless it was told not to.

    RUN is the folder of a run; the newest one under ./runs if none is named.

    \b
    Examples:
      stackgrad-mnist show
      stackgrad-mnist show runs/course
    """
    use(backend)
    found = load_run(run)
    loaded = load_data_of(found, data, emnist, limit)
    pictures = write_report(found, loaded, class_names(found.summary))
    folder = click.format_filename(found.folder)
    click.echo(f"{folder}: {found.summary['model']} on {loaded.name}, backend {backend}")
    for picture in pictures:
        click.echo(f"{PICTURES}/{picture.name}.png: {picture.title}")
    click.echo(f"all of them in {click.format_filename(found.folder / REPORT)}")
