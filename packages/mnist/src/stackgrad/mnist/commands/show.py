"""The command `show`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ..labels import class_names, expect_fitting
from ..report import PICTURES, REPORT, write_report
from ..runs import load_run
from ._options import backend_option, data_options, json_option, labels_option, load_data_of, use


@click.command(short_help="Draw pictures of a run.")
@click.argument("run", required=False, type=click.Path(path_type=Path))
@backend_option
@data_options("Use the first N test images only.  [default: as in training]")
@labels_option("those of the run")
@json_option("Print the files and what each picture shows, as JSON.")
def show(
    run: Path | None,
    backend: str,
    data: Path | None,
    emnist: str | None,
    limit: int | None,
    labels: list[str] | None,
    as_json: bool,
) -> None:
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
    if labels:
        expect_fitting(labels, loaded)
    pictures = write_report(found, loaded, class_names(found.summary, labels))
    report = found.folder / REPORT
    files = [found.folder / PICTURES / f"{picture.name}.png" for picture in pictures]
    if as_json:
        shown = [
            {"file": str(file), "title": picture.title, "description": picture.description}
            for file, picture in zip(files, pictures, strict=True)
        ]
        click.echo(json.dumps({"run": str(found.folder), "report": str(report), "pictures": shown}, indent=2))
        return
    click.echo(f"{click.format_filename(found.folder)}: {found.summary['model']} on {loaded.name}, backend {backend}")
    for file, picture in zip(files, pictures, strict=True):
        click.echo(f"{PICTURES}/{file.name}: {picture.title}")
    click.echo(f"pictures in {click.format_filename(report)}")
