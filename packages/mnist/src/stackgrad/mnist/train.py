"""Training: data in, a run's folder out, with all that is needed to go on after any end."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from stackgrad.nn.saving import replace_file
from stackgrad.tensor import Generator, get_backend

from .checkpoints import Checkpoint, Checkpoints
from .data import Dataset
from .evaluate import count_right
from .interrupt import requests_to_stop
from .models import make_model
from .process import peak_memory_mb, seconds_since_start, versions
from .recipes import Recipe
from .resume import fingerprint
from .runs import METRICS, remove_partial, resume_command, save_run
from .training import NotFiniteError, Step, Training

LOG_EVERY = 50
CHECKPOINT_EVERY = 1000


class SaveError(RuntimeError):
    """A checkpoint or another file of the run could not be written; one line that says what was kept."""


class StoppedError(RuntimeError):
    """A signal asked to stop, and all is saved; `signum` is its number, the message says how to go on."""

    def __init__(self, message: str, signum: int) -> None:
        super().__init__(message)
        self.signum = signum


class Metrics:
    """The lines of metrics.jsonl. The checkpoints hold them too, so that none is doubled or missing after a crash.

    Attributes:
        lines: those that are written.
        since: of the steps since the last line: how many, the sum of their losses, that of their accuracies.
    """

    def __init__(
        self,
        folder: Path,
        lines: list[dict[str, Any]],
        since: Sequence[float] = (0, 0.0, 0.0),
        on_line: Callable[[dict[str, Any]], None] = lambda line: None,
    ) -> None:
        self.path = folder / METRICS
        self.on_line = on_line
        self.lines = lines
        self.since = since
        replace_file(self.path, "".join(json.dumps(line) + "\n" for line in lines).encode())
        for line in lines:
            on_line(line)

    def add(self, line: dict[str, Any]) -> None:
        """Write one line."""
        self.lines.append(line)
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        self.on_line(line)

    def log(self, step: Step) -> None:
        """Write a line for each 50th step, and one for an epoch after which the images held out were read."""
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


def train(
    name: str,
    data: Dataset,
    recipe: Recipe,
    seed: int,
    folder: Path,
    arguments: dict[str, Any],
    on_step: Callable[[Step], None] = lambda step: None,
    checkpoint_every: int = CHECKPOINT_EVERY,
    checkpoint: Checkpoint | None = None,
    on_line: Callable[[dict[str, Any]], None] = lambda line: None,
) -> dict[str, Any]:
    """Train the model of that name and write its folder; returns what summary.json holds.

    Args:
        name: one of `MODELS`.
        data: what to train on and to measure on.
        recipe: how to train.
        seed: decides every random number, 0 to 2**64 - 1.
        folder: where to write; a folder that exists (`new_run` makes one).
        arguments: go into the summary as they are: whatever says how the run was asked for.
        on_step: called after each step.
        checkpoint_every: steps from one checkpoint to the next; there is one at the start and one at the end too.
        checkpoint: where to go on, made by a run with the same arguments; None to begin.
        on_line: called with each line of metrics.jsonl; at first with those from before the checkpoint.

    Raises:
        NotFiniteError: the loss or a weight became NaN or infinite. The folder then holds no summary.
        SaveError: the disk is full, for instance; the last good checkpoint is kept.
        StoppedError: SIGINT or SIGTERM came; the step was finished and a checkpoint written.
    """
    generator = Generator(seed)
    model = make_model(name, data.classes, generator)
    training = Training(model, data.train, recipe, generator)
    checkpoints = Checkpoints(folder)
    remove_partial(folder)
    lines, since, earlier = [], (0, 0.0, 0.0), 0.0
    if checkpoint:
        training.load_state(checkpoint.tensors, checkpoint.state["training"])
        lines, since, earlier = (checkpoint.state[key] for key in ("metrics", "metrics_since", "seconds"))
        checkpoints.remove_from(training.step + 1)  # damaged ones
    data_checksum = fingerprint(data)

    def save() -> None:
        training.expect_finite_weights()
        tensors, state = training.state()
        state = {
            "training": state,
            "metrics": metrics.lines,
            "metrics_since": metrics.since,
            "seconds": round(earlier + seconds_since_start(), 3),
            "arguments": arguments,
            "data": data_checksum,
            "versions": versions(),
        }
        checkpoints.save(training.step, tensors, state)

    first_step, images_per_second = 0.0, 0.0
    with requests_to_stop() as request, _all_kept(folder, checkpoints):
        metrics = Metrics(folder, lines, since, on_line)
        if checkpoint is None:
            save()
        for step in training.steps():
            first_step = first_step or seconds_since_start()
            images_per_second = step.images_per_second
            on_step(step)
            metrics.log(step)
            if training.done or request.signum or step.step % checkpoint_every == 0:
                save()
            if request.signum and not training.done:
                done = f"stopped after step {training.step:,} of {training.total_steps:,}"
                raise StoppedError(f"{done}; go on with `{resume_command(folder)}`", request.signum)
        training.keep_best()
        accuracy = count_right(model, data.test) / len(data.test)
        metrics.add({"step": training.step, "test_accuracy": accuracy})
        summary = {
            "model": name,
            "classes": data.classes,
            "backend": get_backend().name,
            "seed": seed,
            "epochs": recipe.epochs,
            "batch_size": recipe.batch_size,
            "steps": training.step,
            "parameters": sum(p.size for p in model.parameters()),
            "test_accuracy": accuracy,
            "images_per_second": round(images_per_second, 1),
            "seconds_to_first_step": round(first_step, 3),
            "seconds_total": round(earlier + seconds_since_start(), 3),
            "peak_memory_mb": round(peak_memory_mb(), 1),
            "versions": versions(),
            "arguments": arguments,
        }
        if recipe.patience is not None:
            summary["kept_epoch"] = training.early.best_epoch
            summary["validation_accuracy"] = training.early.best_accuracy
        save_run(folder, model, summary)
    return summary


@contextmanager
def _all_kept(folder: Path, checkpoints: Checkpoints) -> Iterator[None]:
    """Say which checkpoint is the last good one where training cannot go on."""

    def last_good() -> str:
        paths = checkpoints.paths()
        return f"the last good checkpoint is {paths[0]}" if paths else "there is no checkpoint yet"

    try:
        yield
    except NotFiniteError as error:
        checkpoints.remove_from(max(1, error.bad_since))
        raise NotFiniteError(f"{error}; {last_good()}", error.bad_since) from error
    except BrokenPipeError:
        raise
    except OSError as error:
        place = error.filename or folder / METRICS
        then = f"`{resume_command(folder)}`" if checkpoints.paths() else "start anew"
        why = error.strerror or error
        raise SaveError(f"{place}: cannot be written ({why}); {last_good()}: make room, then {then}") from error
