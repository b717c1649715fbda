"""A whole training run: it fills the folder of the run, and its checkpoints allow it to be resumed after any stop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stackgrad.nn import distributed
from stackgrad.nn.distributed import world
from stackgrad.tensor import Generator, get_backend

from ..data.datasets import Dataset
from ..errors import FailureError
from ..models import make_model
from ..runs.checkpoints import Checkpoint, Checkpoints
from ..runs.folder import METRICS, remove_partial, resume_command, save_run
from ..runs.metrics import Metrics
from ..runs.process import peak_memory_mb, seconds_since_start, versions
from .evaluate import count_correct
from .interrupt import requests_to_stop
from .ranks import gathered
from .recipes import OPTIONS, RECIPES, Recipe
from .steps import NotFiniteError, Step, Training

CHECKPOINT_EVERY = 1000


class SaveError(FailureError):
    """A checkpoint or another file of the run could not be written. The message says which checkpoint is kept."""


class StoppedError(FailureError):
    """A signal stopped the run after a checkpoint. The message says how to resume; the status is that of the signal."""

    def __init__(self, message: str, signum: int) -> None:
        super().__init__(message)
        self.status = 128 + signum


@dataclass(frozen=True)
class Start:
    """The inputs of a training run.

    Attributes:
        folder: where to write; it must exist (`new_run` makes one).
        arguments: the arguments of the run, which its summary will contain: the `model`, the `seed` of every random
            number, any of `OPTIONS` that override the recipe, and possibly others.
        data: the training and test images.
        checkpoint: the checkpoint to resume from, from a run with the same arguments.
        checkpoint_every: steps between checkpoints; one is also saved at the start and at the end.
    """

    folder: Path
    arguments: dict[str, Any]
    data: Dataset
    checkpoint: Checkpoint | None = None
    checkpoint_every: int = CHECKPOINT_EVERY

    @property
    def recipe(self) -> Recipe:
        """The recipe of the model, with the arguments that override it."""
        asked = {name: self.arguments[name] for name in OPTIONS if name in self.arguments}
        return replace(RECIPES[self.arguments["model"]], **asked)


def run_training(
    start: Start,
    on_step: Callable[[Step], None] = lambda step: None,
    on_line: Callable[[dict[str, Any]], None] = lambda line: None,
) -> dict[str, Any]:
    """Train a model and write the folder of its run. Returns the contents of summary.json.

    Under an MPI launcher, all ranks call this and share the work; only rank 0 writes and calls `on_line`.

    Args:
        start: the model, the data, the arguments and the checkpoint.
        on_step: called after each step.
        on_line: called with each line of metrics.jsonl, including those from before the checkpoint.

    Raises:
        NotFiniteError: the loss or a weight became NaN or infinite. The folder then has no summary.
        SaveError: a file cannot be written, for example because the disk is full. The last good checkpoint is kept.
        StoppedError: SIGINT or SIGTERM was received. The step was finished and a checkpoint was saved.
    """
    generator = Generator(start.arguments["seed"])
    model = make_model(start.arguments["model"], start.data.classes, generator)
    training = Training(model, start.data.train, start.recipe, generator)
    before: dict[str, Any] = {"metrics": [], "metrics_since": (0, 0.0, 0.0), "seconds": 0.0}
    if start.checkpoint:
        before = start.checkpoint.state
        training.load_state_dict(before["training"])
    metrics = Metrics(start.folder / METRICS, before["metrics"], before["metrics_since"], on_line)
    checkpoints = Checkpoints(start.folder)

    def seconds() -> float:
        """The time that this process and those before it, up to the checkpoint, have taken."""
        return round(float(before["seconds"]) + seconds_since_start(), 3)

    def save() -> None:
        training.expect_finite_weights()
        if world().size > 1:
            distributed.expect_same("the weights", training.model)
        if world().is_first:
            state = {
                "training": training.state_dict(),
                "metrics": metrics.lines,
                "metrics_since": metrics.since,
                "seconds": seconds(),
                "arguments": start.arguments,
                "data": start.data.checksum,
                "versions": versions(),
            }
            checkpoints.save(training.step, state)

    seconds_to_first_step = images_per_second = 0.0
    with requests_to_stop() as request, _all_kept(start.folder, checkpoints):
        if world().is_first:
            remove_partial(start.folder)
            checkpoints.remove_from(training.step + 1)  # later checkpoints are damaged
            metrics.restore()
        if start.checkpoint is None:
            save()
        for step in training.steps():
            on_step(step)
            seconds_to_first_step = seconds_to_first_step or seconds_since_start()
            images_per_second = step.images_per_second
            if world().is_first:
                metrics.log(step)
            signum = int(gathered(request.signum or 0).max())  # some ranks may not have received it yet
            if training.done or signum or step.step % start.checkpoint_every == 0:
                save()
            if signum and not training.done:
                gathered(0)  # waits until rank 0 has saved
                done = f"stopped after step {training.step:,} of {training.total_steps:,}"
                raise StoppedError(f"{done}; resume with `{resume_command(start.folder)}`", signum)
        training.keep_best()
        accuracy = count_correct(training.model, start.data.test) / len(start.data.test)
        summary = {
            "model": start.arguments["model"],
            "classes": start.data.classes,
            "backend": get_backend().name,
            "seed": generator.seed,
            "epochs": start.recipe.epochs,
            "batch_size": start.recipe.batch_size,
            "steps": training.step,
            "parameters": sum(p.size for p in training.model.parameters()),
            "test_accuracy": accuracy,
            "images_per_second": round(images_per_second, 1),
            "seconds_to_first_step": round(seconds_to_first_step, 3),
            "seconds_total": seconds(),
            "peak_memory_mb": round(peak_memory_mb(), 1),
            "versions": versions(),
            "arguments": start.arguments,
        }
        if start.recipe.patience is not None:
            summary["kept_epoch"] = training.early.best_epoch
            summary["validation_accuracy"] = training.early.best_accuracy
        if world().size > 1:
            summary["ranks"] = world().size
        if world().is_first:
            metrics.add({"step": training.step, "test_accuracy": accuracy})
            save_run(start.folder, training.model, summary)
        return summary


@contextmanager
def _all_kept(folder: Path, checkpoints: Checkpoints) -> Iterator[None]:
    """Name the last good checkpoint in the message of an error that ends training."""

    def last_good() -> str:
        paths = checkpoints.paths()
        return f"the last good checkpoint is {paths[0]}" if paths else "there is no checkpoint yet"

    try:
        yield
    except NotFiniteError as error:
        if world().is_first:
            checkpoints.remove_from(max(1, error.bad_since))
        kept = distributed.by_first(last_good)  # all ranks raise this error, since their weights are equal
        raise NotFiniteError(f"{error}; {kept}", error.bad_since) from error
    except BrokenPipeError:
        raise
    except OSError as error:
        file = error.filename or folder / METRICS
        then = f"`{resume_command(folder)}`" if checkpoints.paths() else "start a new run"
        why = error.strerror or error
        raise SaveError(f"{file}: cannot be written ({why}); {last_good()}: free some space, then {then}") from error
