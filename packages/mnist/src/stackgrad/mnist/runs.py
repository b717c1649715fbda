"""The folder of a run: what training leaves behind, and finding it again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from stackgrad import nn

from .models import MODELS, Model, make_model

RUNS = Path("runs")
MODEL, METRICS, SUMMARY = "model.safetensors", "metrics.jsonl", "summary.json"


class RunError(ValueError):
    """A run's folder cannot be made, found or read; the message is one line that says which and why."""


def new_run(out: Path | None, model: str) -> Path:
    """Make the folder of a new run: `out`, which must not hold anything, or a new one under ./runs."""
    try:
        if out is None:
            stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
            names = [f"{stamp}-{model}", *(f"{stamp}-{model}-{i}" for i in range(2, 100))]
            out = next(RUNS / name for name in names if not (RUNS / name).exists())
        elif out.is_dir() and any(out.iterdir()):
            raise RunError(f"{out}: the folder is not empty; name another with --out")
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{out}: cannot make the folder of the run ({error.strerror}); name another with --out") from error
    return out


def newest_run() -> Path:
    """The run under ./runs that was finished last."""
    finished = sorted(RUNS.glob(f"*/{SUMMARY}"), key=lambda path: path.stat().st_mtime)
    if not finished:
        raise RunError(f"no finished run under {RUNS.resolve()}: name one, or make one with `stackgrad-mnist train`")
    return finished[-1].parent


@dataclass(frozen=True)
class Run:
    """A finished run: its folder, its trained model in evaluation mode, and its summary."""

    folder: Path
    model: Model
    summary: dict[str, Any]


def load_run(folder: Path | None) -> Run:
    """The run in `folder`, or the newest one. Raises RunError for one that is missing or damaged."""
    folder = newest_run() if folder is None else folder
    if not folder.is_dir():
        raise RunError(f"{folder}: no such folder; expected one that `stackgrad-mnist train` made")
    try:
        summary = json.loads((folder / SUMMARY).read_text())
        state = nn.load(folder / MODEL)
        if summary["model"] not in MODELS:
            raise RunError(f"{folder}: {SUMMARY} names the model {summary['model']!r}: expected one of {', '.join(MODELS)}")
        model = make_model(summary["model"], int(summary["classes"]))
        model.load_state_dict(state)
    except FileNotFoundError as error:
        missing = Path(error.filename).name if error.filename else MODEL
        raise RunError(f"{folder}: no {missing} there; expected the folder of a finished run") from error
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise RunError(f"{folder}: {SUMMARY} is damaged ({error})") from error
    except OSError as error:
        raise RunError(f"{folder}: cannot be read ({error.strerror})") from error
    except RunError:
        raise
    except ValueError as error:
        raise RunError(f"{folder}: {error}") from error
    model.eval()
    return Run(folder, model, summary)
