"""The command `predict`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import numpy as np

from ..data.images import read_image
from ..training.evaluate import probabilities
from ._options import backend_option, json_option, labels_option, load_named
from ._streams import say


@click.command(short_help="Say which digit each picture shows.")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...", type=click.Path(path_type=Path))
@click.option(
    "--run",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="The folder of a run.  [default: the newest under ./runs]",
)
@backend_option
@labels_option("those of the run")
@json_option("Print the probability of each class, as JSON.")
def predict(images: tuple[Path, ...], run: Path | None, backend: str, labels: list[str] | None, as_json: bool) -> None:
    """Say which digit each IMAGE shows, and how sure the model is.

    An IMAGE is a PNG, JPEG or other picture of any size that shows one digit, dark on light or light on dark.

    \b
    Examples:
      stackgrad-mnist predict five.png
      stackgrad-mnist predict --run runs/course scans/*.jpg
      stackgrad-mnist predict --json five.png | jq '.[0].answer'
    """
    found, names = load_named(run, backend, labels)
    rows = probabilities(found.model, np.stack([read_image(path) for path in images]))
    if as_json:
        say(json.dumps([_answer(path, row, names) for path, row in zip(images, rows, strict=True)], indent=2))
        return
    for path, row in zip(images, rows, strict=True):
        say(f"{click.format_filename(path)}: {names[row.argmax()]} ({row.max():.1%})")


def _answer(path: Path, row: np.typing.NDArray[np.float32], names: list[str]) -> dict[str, Any]:
    by_name = {name: round(float(probability), 7) for name, probability in zip(names, row, strict=True)}
    return {"image": str(path), "answer": names[row.argmax()], "probabilities": by_name}
