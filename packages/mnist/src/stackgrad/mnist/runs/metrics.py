"""The metrics of a training, in the run's metrics.jsonl: written during training, and read for the pictures."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stackgrad.nn.saving import replace_file

from .folder import METRICS, RunError, is_whole

if TYPE_CHECKING:
    from ..training.steps import Step

LOG_EVERY = 50


@dataclass
class Metrics:
    """The lines of metrics.jsonl. Checkpoints contain them too, so that none is duplicated or lost after a crash.

    Attributes:
        path: the file.
        lines: the lines so far; at first those of the checkpoint, which `restore` writes.
        since: the count of steps since the last line, and the sums of their losses and accuracies.
        on_line: called with each line.
    """

    path: Path
    lines: list[dict[str, Any]]
    since: Sequence[float]
    on_line: Callable[[dict[str, Any]], None]

    def restore(self) -> None:
        """Rewrite the file with `lines` only: the steps after the checkpoint will be done again."""
        replace_file(self.path, "".join(json.dumps(line) + "\n" for line in self.lines).encode())
        for line in self.lines:
            self.on_line(line)

    def add(self, line: dict[str, Any]) -> None:
        """Append a line to the file."""
        self.lines.append(line)
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        self.on_line(line)

    def log(self, step: Step) -> None:
        """Add a line for the first and for every 50th step, and one for the validation after an epoch."""
        count, loss, accuracy = self.since
        count, loss, accuracy = self.since = (count + 1, loss + step.loss, accuracy + step.accuracy)
        if step.step % LOG_EVERY == 0 or step.step == 1:
            line = asdict(step) | {"loss": loss / count, "accuracy": accuracy / count}
            del line["validation"]
            self.add(line)
            self.since = (0, 0.0, 0.0)
        if step.validation:
            loss, accuracy = step.validation.loss, step.validation.accuracy
            self.add({"step": step.step, "epoch": step.epoch, "validation_loss": loss, "validation_accuracy": accuracy})


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """Read the lines of a run's metrics.jsonl, in order. Each has a `step`, from 1.

    Raises RunError if the file is missing or damaged.
    """
    path = folder / METRICS
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as error:
        raise RunError(f"{folder}: no {METRICS} there; expected the folder of a finished run") from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise RunError(f"{path}: cannot be read ({reason})") from error
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise RunError(f"{path}: damaged: line {number}: {error}") from error
        if not isinstance(row, dict) or not is_whole(row.get("step"), 2**63 - 1):
            raise RunError(f"{path}: damaged: line {number} is {line[:80]}, expected an object with a step")
        rows.append(row)
    return rows


def series(rows: list[dict[str, Any]], key: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The steps and values of one metric, from the lines that have it."""
    found = [(row["step"], row[key]) for row in rows if _is_number(row.get(key))]
    steps, values = np.array(found, np.float64).reshape(-1, 2).T
    return steps, values


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
