"""The folder of a run: creating, saving, finding and loading it."""

from __future__ import annotations

import itertools
import json
import math
import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from stackgrad import nn
from stackgrad.nn.distributed import world
from stackgrad.nn.saving import replace_file

from ..data.datasets import EMNIST_NAMES
from ..errors import MistakeError
from ..models import MODELS, Model, make_model
from .checkpoints import FOLDER, Checkpoint, Checkpoints, digest
from .process import versions

RUNS = Path("runs")
MODEL, METRICS, SUMMARY = "model.safetensors", "metrics.jsonl", "summary.json"
_LOCK, _PARTIAL = ".lock", ".*.partial"
_MOST_CLASSES = 256  # labels are bytes


class RunError(MistakeError):
    """A run's folder cannot be made, found or read. The message is one line that says which and why."""


def new_run(out: Path | None, model: str) -> Path:
    """Make the folder of a new run: `out`, which must be new or empty, or a new one under ./runs.

    Raises RunError if it cannot be made or written to.
    """
    folder = RUNS if out is None else out
    try:
        if out is None:
            folder = _unused(f"{datetime.now():%Y%m%d-%H%M%S}-{model}")
        elif out.is_dir() and not _unbegun(out):
            raise RunError(f"{out}: the folder is not empty; name another with --out")
        elif out.exists() and not out.is_dir():
            raise RunError(f"{out}: not a folder; name another with --out")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / METRICS).touch()
    except OSError as error:
        raise RunError(f"{folder}: cannot write a run there ({error.strerror}); name another with --out") from error
    return folder


def _unbegun(folder: Path) -> bool:
    """Whether a folder is empty, or contains only the files of a run that ended before its first checkpoint."""
    if (folder / METRICS).is_file() and (folder / METRICS).stat().st_size:
        return False
    names = {path.name for path in folder.iterdir() if not path.match(_PARTIAL)}
    return names <= {METRICS, FOLDER, _LOCK} and not Checkpoints(folder).paths()


def remove_partial(folder: Path) -> None:
    """Remove the temporary files that a killed process left."""
    for path in folder.rglob(_PARTIAL):
        path.unlink()


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep other processes from training in the same folder. Raises RunError if one already does."""
    lock = FileLock(folder / _LOCK, timeout=0)  # the system releases it, however this process ends
    try:
        lock.acquire()
    except Timeout as error:
        raise RunError(f"{folder}: another process is training there") from error
    except OSError as error:
        raise RunError(f"{folder}: cannot write a run there ({error.strerror})") from error
    try:
        yield
    finally:
        lock.release()


def _unused(name: str) -> Path:
    """Make a folder with that name under ./runs, or with a suffix if it exists: two runs may start in one second."""
    RUNS.mkdir(exist_ok=True)
    for i in itertools.count(1):
        folder = RUNS / (name if i == 1 else f"{name}-{i}")
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        break
    return folder


def resume_command(folder: Path) -> str:
    """The command that resumes the run in a folder."""
    size = world().size
    command = "stackgrad-mnist" if size == 1 else f"mpiexec -n {size} python -m mpi4py -m stackgrad.mnist"
    return f"{command} train --resume {shlex.quote(str(folder))}"


def save_run(folder: Path, model: Model, summary: Mapping[str, Any]) -> None:
    """Write the weights, then the summary. So a run is finished if its folder has a summary."""
    # Only one entry: safetensors writes several in random order, and equal weights should give equal files.
    nn.save(folder / MODEL, model, {"sha256": digest(model.state_dict())})
    replace_file(folder / SUMMARY, (json.dumps(summary, indent=2) + "\n").encode())


def newest_run() -> Path:
    """The run under ./runs that finished last."""
    finished = sorted(RUNS.glob(f"*/{SUMMARY}"), key=lambda path: (path.stat().st_mtime_ns, path))
    if not finished:
        raise RunError(f"no finished run in {RUNS.resolve()}: name one, or train one with `stackgrad-mnist train`")
    return finished[-1].parent


@dataclass(frozen=True)
class Run:
    """A finished run: its folder, its trained model in eval mode, and its summary."""

    folder: Path
    model: Model
    summary: dict[str, Any]


def load_run(folder: Path | None = None) -> Run:
    """Load the run in `folder`, by default the newest. Raises RunError if it is missing or damaged."""
    folder = newest_run() if folder is None else folder
    if not folder.is_dir():
        raise RunError(f"{folder}: no such folder; expected one that `stackgrad-mnist train` made")
    try:
        summary = _read_summary(folder / SUMMARY)
        model = _read_model(folder / MODEL, summary["model"], summary["classes"])
    except FileNotFoundError as error:
        if Checkpoints(folder).paths() and not (folder / SUMMARY).exists():
            raise RunError(f"{folder}: this run is not finished; resume it with `{resume_command(folder)}`") from error
        missing = Path(error.filename).name if error.filename else MODEL
        raise RunError(f"{folder}: no {missing} there; expected the folder of a finished run") from error
    except OSError as error:
        raise RunError(f"{folder}: cannot be read ({error.strerror or error})") from error
    model.eval()
    return Run(folder, model, summary)


def last_checkpoint(folder: Path) -> tuple[Checkpoint, list[str]]:
    """The last good checkpoint of an unfinished run, and a line for each later one that is damaged.

    Raises RunError, with one line that says why the run cannot be resumed.
    """
    if not folder.is_dir():
        raise RunError(f"{folder}: no such folder; expected one that `stackgrad-mnist train` made")
    if (folder / SUMMARY).exists():
        command = f"stackgrad-mnist evaluate {shlex.quote(str(folder))}"
        raise RunError(f"{folder}: this run is finished; measure it with `{command}`")
    checkpoint, flaws = Checkpoints(folder).last_good()
    if checkpoint is None:
        why = f"no checkpoint is good: {'; '.join(flaws)}" if flaws else "no checkpoint there; start a new run"
        raise RunError(f"{folder}: {why}")
    if not {"versions", "arguments", "data", "training", "metrics", "seconds"} <= set(checkpoint.state):
        raise RunError(f"{checkpoint.path}: written by another version in another format: start a new run")
    its = checkpoint.state["versions"]
    differ = [
        f"{name} {its.get(name)}, not {version}"
        for name, version in versions().items()
        if name != "python" and its.get(name) != version
    ]
    if differ:
        raise RunError(f"{folder}: started with {'; '.join(differ)}: resume it with that, or start a new run")
    return checkpoint, flaws


def _read_summary(path: Path) -> dict[str, Any]:
    """Read the summary and check the entries that are used."""
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path}: damaged: {error}") from error
    if not isinstance(summary, dict):
        raise RunError(f"{path}: damaged: expected an object, got {type(summary).__name__}")

    def check(valid: bool, key: str, value: object, expected: str) -> None:
        if not valid:
            raise RunError(f"{path}: damaged: {key} is {json.dumps(value)[:80]}, expected {expected}")

    model, classes, accuracy = summary.get("model"), summary.get("classes"), summary.get("test_accuracy")
    check(isinstance(model, str) and model in MODELS, "model", model, f"one of {', '.join(MODELS)}")
    check(is_whole(classes, _MOST_CLASSES), "classes", classes, f"1 to {_MOST_CLASSES}")
    check(isinstance(accuracy, float) and 0 <= accuracy <= 1, "test_accuracy", accuracy, "0.0 to 1.0")
    arguments: Any = summary.get("arguments")
    check(isinstance(arguments, dict), "arguments", arguments, "an object")
    data, emnist, limit = (arguments.get(key) for key in ("data", "emnist", "limit"))
    check(data is None or _is_path(data), "data", data, "the path of a folder, or null")
    check(emnist is None or emnist in EMNIST_NAMES, "emnist", emnist, f"one of {', '.join(EMNIST_NAMES)}, or null")
    labels = arguments.get("labels")
    check(labels is None or _are_names(labels), "labels", labels, "a list of at most 256 names, or null")
    check(limit is None or is_whole(limit), "limit", limit, "a whole number from 1, or null")
    return summary


def is_whole(value: object, most: float = math.inf) -> bool:
    """Whether a value from JSON is a whole number from 1 to `most`."""
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most


def _are_names(value: object) -> bool:
    return isinstance(value, list) and len(value) <= _MOST_CLASSES and all(isinstance(name, str) for name in value)


def _is_path(value: object) -> bool:
    try:
        return isinstance(value, str) and b"\0" not in os.fsencode(value)
    except UnicodeEncodeError:
        return False


def _read_model(path: Path, name: str, classes: int) -> Model:
    """Make the model called `name`, and load the weights in the file."""
    try:
        state, metadata = nn.load(path), nn.load_metadata(path)
    except ValueError as error:
        raise RunError(str(error)) from error
    if metadata.get("sha256") != digest(state):
        raise RunError(f"{path}: damaged: the checksum does not match the weights")
    model = make_model(name, classes)
    try:
        model.load_state_dict(state)
    except (TypeError, ValueError) as error:
        raise RunError(f"{path}: {error}") from error
    return model
