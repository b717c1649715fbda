"""The command `show`."""

from __future__ import annotations

import json

import click

from stackgrad.tensor import get_backend

from ..data.datasets import Dataset
from ..pictures.report import FOLDER, REPORT, write_report
from ..runs.folder import Run
from ._options import json_option, reads_test_images
from ._streams import say


@click.command(short_help="Draw pictures of a run.")
@reads_test_images
@json_option("Print the files and descriptions of the pictures as JSON.")
def show(run: Run, data: Dataset, names: list[str], as_json: bool) -> None:
    """Draw pictures of a run: loss and accuracy, which classes are confused, the worst mistakes, the channels and the
    filters of the convolutions.

    They are written to the run's folder: as PNG files under pictures/, and all on one page, report.html, which needs
    no other file. `train` draws them too, unless told not to.

    RUN is the folder of a run, by default the newest one under ./runs.

    \b
    Examples:
      stackgrad-mnist show
      stackgrad-mnist show runs/course
    """
    pictures = write_report(run, data, names)
    report = run.folder / REPORT
    files = [run.folder / FOLDER / f"{picture.name}.png" for picture in pictures]
    if as_json:
        shown = [
            {"file": str(file), "title": picture.title, "description": picture.description}
            for file, picture in zip(files, pictures, strict=True)
        ]
        say(json.dumps({"run": str(run.folder), "report": str(report), "pictures": shown}, indent=2))
        return
    where = f"{click.format_filename(run.folder)}: {run.summary['model']} on {data.name}"
    say(f"{where}, backend {get_backend().name}")
    for file, picture in zip(files, pictures, strict=True):
        say(f"{FOLDER}/{file.name}: {picture.title}")
    say(f"pictures in {click.format_filename(report)}")
