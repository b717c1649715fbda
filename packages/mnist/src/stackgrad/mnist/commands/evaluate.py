"""The command `evaluate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import numpy as np

from ..data import Split
from ..evaluate import probabilities
from ..labels import class_names, expect_fitting, name_of
from ..runs import load_run
from ._options import backend_option, data_options, json_option, labels_option, load_data_of, use


@click.command(short_help="Measure a trained model on the test images.")
@click.argument("run", required=False, type=click.Path(path_type=Path))
@backend_option
@data_options("Use the first N test images only.  [default: as in training]")
@labels_option("those of the run")
@json_option("Print the result as JSON.")
def evaluate(
    run: Path | None,
    backend: str,
    data: Path | None,
    emnist: str | None,
    limit: int | None,
    labels: list[str] | None,
    as_json: bool,
) -> None:
    """Measure a trained model on the test images: of the data it was trained on, or of --data.

    RUN is the folder of a run; the newest one under ./runs if none is named.

    \b
    Examples:
      stackgrad-mnist evaluate
      stackgrad-mnist evaluate runs/course --backend numpy
      stackgrad-mnist evaluate --json | jq .test_accuracy
    """
    use(backend)
    found = load_run(run)
    loaded = load_data_of(found, data, emnist, limit)
    if labels:
        expect_fitting(labels, loaded)
    answers = probabilities(found.model, loaded.test.images).argmax(axis=1)
    classes = _by_class(loaded.test, answers, labels or class_names(found.summary))
    right, count = sum(each["right"] for each in classes), len(loaded.test)
    head = {
        "run": str(found.folder),
        "model": found.summary["model"],
        "data": loaded.name,
        "backend": backend,
        "images": count,
        "right": right,
        "test_accuracy": right / count,
    }
    if as_json:
        click.echo(json.dumps({**head, "classes": classes}, indent=2))
        return
    click.echo(f"{click.format_filename(found.folder)}: {head['model']} on {loaded.name}, backend {backend}")
    click.echo(f"test accuracy {right / count:.2%} ({right:,} of {count:,} images)")
    width = max(len(each["name"]) for each in classes)
    for each in classes:
        share = f"{each['right'] / each['images']:7.2%}"
        click.echo(f"  {each['name']:{width}} {share} ({each['right']:,} of {each['images']:,})")


def _by_class(split: Split, answers: np.typing.NDArray[np.int64], labels: list[str] | None) -> list[dict[str, Any]]:
    """For each class that occurs, how many images it has and how many of them are read rightly."""
    images, right = (
        np.bincount(which, minlength=256) for which in (split.labels, split.labels[answers == split.labels])
    )
    return [
        {"name": name_of(label, labels), "images": int(images[label]), "right": int(right[label])}
        for label in map(int, np.flatnonzero(images))
    ]
