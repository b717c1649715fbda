"""The command `evaluate`."""

from __future__ import annotations

import json
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from stackgrad.tensor import get_backend

from ..data.datasets import Dataset
from ..runs.folder import Run
from ..training.evaluate import count_confusions, probabilities
from ._options import json_option, reads_test_images
from ._streams import say


@click.command(short_help="Measure a trained model on the test images.")
@reads_test_images
@json_option("Print the result as JSON.")
def evaluate(run: Run, data: Dataset, names: list[str], as_json: bool) -> None:
    """Measure a trained model on the test images of the data that it was trained on, or of --data.

    RUN is the folder of a run, by default the newest one under ./runs.

    \b
    Examples:
      stackgrad-mnist evaluate
      stackgrad-mnist evaluate runs/course --backend numpy
      stackgrad-mnist evaluate --json | jq .test_accuracy
    """
    answers = probabilities(run.model, data.test.images).argmax(axis=1)
    classes = _by_class(count_confusions(data.test.labels, answers, len(names)), names)
    correct, count = sum(each["correct"] for each in classes), len(data.test)
    head = {
        "run": str(run.folder),
        "model": run.summary["model"],
        "data": data.name,
        "backend": get_backend().name,
        "images": count,
        "correct": correct,
        "test_accuracy": correct / count,
    }
    if as_json:
        say(json.dumps({**head, "classes": classes}, indent=2))
        return
    say(f"{click.format_filename(run.folder)}: {head['model']} on {data.name}, backend {head['backend']}")
    say(f"test accuracy {correct / count:.2%} ({correct:,} of {count:,} images)")
    width = max(len(each["name"]) for each in classes)
    for each in classes:
        share = f"{each['correct'] / each['images']:7.2%}"
        say(f"  {each['name']:{width}} {share} ({each['correct']:,} of {each['images']:,})")


def _by_class(counts: NDArray[np.int64], names: list[str]) -> list[dict[str, Any]]:
    """For each class that occurs, how many images it has and how many of them are classified correctly."""
    rows = zip(names, counts.sum(axis=1).tolist(), counts.diagonal().tolist(), strict=True)
    return [{"name": name, "images": images, "correct": correct} for name, images, correct in rows if images]
