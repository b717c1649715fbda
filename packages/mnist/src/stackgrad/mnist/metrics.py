"""The course of a training, from a run's metrics.jsonl."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .runs import METRICS, RunError


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """The lines of a run's metrics.jsonl, in order; each holds `step`, from 1.

    Raises RunError for a file that is missing or damaged.
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
        if not isinstance(row, dict) or not _is_step(row.get("step")):
            raise RunError(f"{path}: damaged: line {number} is {line[:80]}, expected an object with a step")
        rows.append(row)
    return rows


def series(rows: list[dict[str, Any]], key: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The steps and the values of one number, of the lines that have it."""
    found = [(row["step"], row[key]) for row in rows if _is_number(row.get(key))]
    steps, values = np.array(found, np.float64).reshape(-1, 2).T
    return steps, values


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_step(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value < 2**63
