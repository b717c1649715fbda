"""Training: data in, a run's folder out, with all that is needed to go on after any end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stackgrad.nn import distributed
from stackgrad.nn.distributed import world
from stackgrad.tensor import Generator, get_backend

from ..data.datasets import Dataset
from ..models import make_model
from ..runs.checkpoints import Checkpoint, Checkpoints
from ..runs.folder import METRICS, remove_partial, resume_command, save_run
from ..runs.metrics import Metrics
from ..runs.process import peak_memory_mb, seconds_since_start, versions
from ..runs.resume import fingerprint
from .evaluate import count_right
from .interrupt import requests_to_stop
from .ranks import gathered
from .recipes import Recipe
from .steps import NotFiniteError, Step, Training

CHECKPOINT_EVERY = 1000


class SaveError(RuntimeError):
    """A checkpoint or another file of the run could not be written; one line that says what was kept."""


class StoppedError(RuntimeError):
    """A signal asked to stop, and all is saved; `signum` is its number, the message says how to go on."""

    def __init__(self, message: str, signum: int) -> None:
        super().__init__(message)
        self.signum = signum


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

    Ranks that a launcher started share the work, and all call this; rank 0 alone writes, and calls `on_line`.

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
    run = _UnfinishedRun(name, data, recipe, seed, folder, arguments, checkpoint, on_line)
    training = run.training
    with requests_to_stop() as request, _all_kept(folder, run.checkpoints):
        if world().is_first:
            run.metrics.restore()
        if checkpoint is None:
            run.save()
        for step in training.steps():
            on_step(step)
            run.count(step)
            signum = int(gathered(request.signum or 0).max())  # the ranks may not all have got it yet
            if training.done or signum or step.step % checkpoint_every == 0:
                run.save()
            if signum and not training.done:
                gathered(0)  # waits until rank 0 has saved
                done = f"stopped after step {training.step:,} of {training.total_steps:,}"
                raise StoppedError(f"{done}; go on with `{resume_command(folder)}`", signum)
        return run.finish()


class _UnfinishedRun:
    """A training, and what it leaves in the folder of its run. The arguments are those of `train`."""

    def __init__(
        self,
        name: str,
        data: Dataset,
        recipe: Recipe,
        seed: int,
        folder: Path,
        arguments: dict[str, Any],
        checkpoint: Checkpoint | None,
        on_line: Callable[[dict[str, Any]], None],
    ) -> None:
        generator = Generator(seed)
        model = make_model(name, data.classes, generator)
        self.training = Training(model, data.train, recipe, generator)
        self.checkpoints = Checkpoints(folder)
        self.folder, self.name, self.data, self.arguments = folder, name, data, arguments
        self.data_checksum = fingerprint(data)
        self.seconds_to_first_step = self.images_per_second = 0.0
        if world().is_first:
            remove_partial(folder)
        lines, since, self.seconds_before = [], (0, 0.0, 0.0), 0.0
        if checkpoint:
            state = checkpoint.state
            self.training.load_state_dict(state["training"])
            lines, since, self.seconds_before = state["metrics"], state["metrics_since"], state["seconds"]
            if world().is_first:
                self.checkpoints.remove_from(self.training.step + 1)  # damaged ones
        self.metrics = Metrics(folder, lines, since, on_line)

    def count(self, step: Step) -> None:
        """Take in a step that was done."""
        self.seconds_to_first_step = self.seconds_to_first_step or seconds_since_start()
        self.images_per_second = step.images_per_second
        if world().is_first:
            self.metrics.log(step)

    def save(self) -> None:
        """Write a checkpoint. Raises NotFiniteError where the weights are not fit to go on with."""
        self.training.expect_finite_weights()
        if world().size > 1:
            distributed.expect_same("the weights", self.training.model)
        if not world().is_first:
            return
        state = {
            "training": self.training.state_dict(),
            "metrics": self.metrics.lines,
            "metrics_since": self.metrics.since,
            "seconds": self._seconds(),
            "arguments": self.arguments,
            "data": self.data_checksum,
            "versions": versions(),
        }
        self.checkpoints.save(self.training.step, state)

    def finish(self) -> dict[str, Any]:
        """Measure the model and write it, with the summary, which is returned."""
        training, recipe = self.training, self.training.recipe
        training.keep_best()
        accuracy = count_right(training.model, self.data.test) / len(self.data.test)
        summary = {
            "model": self.name,
            "classes": self.data.classes,
            "backend": get_backend().name,
            "seed": training.generator.seed,
            "epochs": recipe.epochs,
            "batch_size": recipe.batch_size,
            "steps": training.step,
            "parameters": sum(p.size for p in training.model.parameters()),
            "test_accuracy": accuracy,
            "images_per_second": round(self.images_per_second, 1),
            "seconds_to_first_step": round(self.seconds_to_first_step, 3),
            "seconds_total": self._seconds(),
            "peak_memory_mb": round(peak_memory_mb(), 1),
            "versions": versions(),
            "arguments": self.arguments,
        }
        if recipe.patience is not None:
            summary["kept_epoch"] = training.early.best_epoch
            summary["validation_accuracy"] = training.early.best_accuracy
        if world().size > 1:
            summary["ranks"] = world().size
        if world().is_first:
            self.metrics.add({"step": training.step, "test_accuracy": accuracy})
            save_run(self.folder, training.model, summary)
        return summary

    def _seconds(self) -> float:
        """How long this process has lived, and those that came to the checkpoint."""
        return round(self.seconds_before + seconds_since_start(), 3)


@contextmanager
def _all_kept(folder: Path, checkpoints: Checkpoints) -> Iterator[None]:
    """Say which checkpoint is the last good one where training cannot go on."""

    def last_good() -> str:
        paths = checkpoints.paths()
        return f"the last good checkpoint is {paths[0]}" if paths else "there is no checkpoint yet"

    try:
        yield
    except NotFiniteError as error:
        if world().is_first:
            checkpoints.remove_from(max(1, error.bad_since))
        kept = distributed.by_first(last_good)  # all ranks are here, since their weights are the same
        raise NotFiniteError(f"{error}; {kept}", error.bad_since) from error
    except BrokenPipeError:
        raise
    except OSError as error:
        place = error.filename or folder / METRICS
        then = f"`{resume_command(folder)}`" if checkpoints.paths() else "start anew"
        why = error.strerror or error
        raise SaveError(f"{place}: cannot be written ({why}); {last_good()}: make room, then {then}") from error
