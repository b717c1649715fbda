import contextlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stackgrad import nn
from stackgrad.mnist import MODELS, Dataset, Split, make_model
from stackgrad.mnist.runs.checkpoints import Checkpoint, Checkpoints
from stackgrad.mnist.training.evaluate import count_correct
from stackgrad.mnist.training.recipes import OPTIONS, Recipe
from stackgrad.mnist.training.run import SaveError, Start, run_training
from stackgrad.mnist.training.steps import NotFiniteError, Step, Training
from stackgrad.tensor import set_default_backend

Cli = Any

KEYS = [
    *("model", "classes", "backend", "seed", "epochs", "batch_size", "steps", "parameters", "test_accuracy"),
    *("images_per_second", "seconds_to_first_step", "seconds_total", "peak_memory_mb", "versions", "arguments"),
]
SHORT = Recipe(epochs=2, batch_size=32, lr=0.003, weight_decay=0.01)


def started(
    data: Dataset, folder: Path, name: str = "lenet5", seed: int = 0, recipe: Recipe = SHORT, **fields: Any
) -> Start:
    """The start of a run, with other `fields` of it."""
    options = {option: getattr(recipe, option) for option in OPTIONS}
    return Start(folder, {"model": name, "seed": seed, **options}, data, **fields)


def run(
    data: Dataset, folder: Path, name: str = "lenet5", seed: int = 0, recipe: Recipe = SHORT, backend: str = "cpu"
) -> dict[str, Any]:
    """Train in a new folder. Returns the contents of its summary.json."""
    set_default_backend(backend)
    folder.mkdir()
    run_training(started(data, folder, name, seed, recipe))
    summary: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return summary


# The files


@pytest.mark.parametrize(("name", "parameters"), [("lenet5", 61_706), ("course", 26_138)])
def test_summary(name: str, parameters: int, tiny: Dataset, tmp_path: Path) -> None:
    summary = run(tiny, tmp_path / "run", name, seed=5)
    assert list(summary) == KEYS
    assert {key: type(value) for key, value in summary.items()} == {
        **dict.fromkeys(("model", "backend"), str),
        **dict.fromkeys(("classes", "seed", "epochs", "batch_size", "steps", "parameters"), int),
        **dict.fromkeys(("test_accuracy", "images_per_second"), float),
        **dict.fromkeys(("seconds_to_first_step", "seconds_total", "peak_memory_mb"), float),
        **dict.fromkeys(("versions", "arguments"), dict),
    }
    assert summary["model"] == name
    assert (summary["backend"], summary["seed"], summary["classes"]) == ("cpu", 5, 10)
    assert (summary["epochs"], summary["batch_size"], summary["parameters"]) == (2, 32, parameters)
    assert summary["arguments"] == started(tiny, tmp_path, name, seed=5).arguments
    assert 0 < summary["test_accuracy"] < 1
    assert summary["images_per_second"] > 0
    assert 0 < summary["seconds_to_first_step"] < summary["seconds_total"]
    assert 30 < summary["peak_memory_mb"] < 10_000


def test_versions(tiny: Dataset, tmp_path: Path) -> None:
    versions = run(tiny, tmp_path / "run", backend="numpy")["versions"]
    packages = ("stackgrad-tensor", "stackgrad-kernels", "stackgrad-nn", "stackgrad-mnist", "numpy", "numba")
    assert list(versions) == ["python", *packages]
    assert versions["numpy"] == np.__version__
    assert all(version[0].isdigit() for version in versions.values())


def test_metrics(mnist: Dataset, tiny: Dataset, tmp_path: Path) -> None:
    data = Dataset(Split(mnist.train.images[:240], mnist.train.labels[:240]), tiny.test, "MNIST")
    recipe = replace(SHORT, batch_size=4)
    summary = run(data, tmp_path / "run", recipe=recipe, backend="numpy")
    *steps, last = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert [step["step"] for step in steps] == [1, 50, 100]
    assert [step["epoch"] for step in steps] == [1, 1, 2]
    for step in steps:
        assert list(step) == ["step", "epoch", "loss", "accuracy", "lr", "images_per_second"]
        assert all(np.isfinite(value) for value in step.values())
        assert 0 < step["lr"] <= recipe.lr
    assert steps[0]["loss"] > steps[-1]["loss"] > 0
    assert last == {"step": 120, "test_accuracy": summary["test_accuracy"]}


def test_a_line_of_metrics_is_the_mean_since_the_previous_one(tiny: Dataset, tmp_path: Path) -> None:
    set_default_backend("numpy")
    steps: list[Step] = []
    run_training(started(tiny, tmp_path, "course", recipe=replace(SHORT, epochs=4, batch_size=4)), steps.append)
    *lines, _ = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    for line, part in zip(lines, (steps[:1], steps[1:50], steps[50:100]), strict=True):
        assert line["step"] == part[-1].step
        assert line["loss"] == pytest.approx(np.mean([step.loss for step in part]))
        assert line["accuracy"] == pytest.approx(np.mean([step.accuracy for step in part]))
    assert len({step.accuracy for step in steps}) > 2


def test_the_test_accuracy_is_that_of_the_saved_weights(tiny: Dataset, tmp_path: Path) -> None:
    summary = run(tiny, tmp_path / "run", backend="numpy")
    model = make_model("lenet5")
    model.load_state_dict(nn.load(tmp_path / "run/model.safetensors"))
    assert summary["test_accuracy"] == count_correct(model, tiny.test) / len(tiny.test)


def test_classes_come_from_the_data(tiny: Dataset, tmp_path: Path) -> None:
    letters = [Split(split.images, split.labels + np.uint8(17)) for split in (tiny.train, tiny.test)]
    summary = run(Dataset(letters[0], letters[1], "letters"), tmp_path / "run", backend="numpy")
    assert summary["classes"] == 27
    assert summary["parameters"] == 61_706 + 17 * 85


def test_on_step_is_called_for_every_step(tiny: Dataset, tmp_path: Path) -> None:
    set_default_backend("numpy")
    steps: list[Step] = []
    run_training(started(tiny, tmp_path, "course"), steps.append)
    assert [step.step for step in steps] == list(range(1, 9))


# The same seed, the same bits


@pytest.mark.parametrize("name", MODELS)
def test_one_thread_and_two_give_the_same_bits(name: str, folder: Path, cli: Cli, cli_process: Cli) -> None:
    arguments = ("train", "--model", name, "--data", folder, "--epochs", 2, "--seed", 9, "--backend", "cpu", "--out")
    outs = ["here", "one", "two"]
    assert cli(*arguments, outs[0]).returncode == 0
    for out, threads in zip(outs[1:], "12", strict=True):
        result = cli_process(*arguments, out, NUMBA_NUM_THREADS=threads)
        assert (result.returncode, result.stderr) == (0, "")
    assert len({Path(out, "model.safetensors").read_bytes() for out in outs}) == 1
    assert len({json.loads(Path(out, "summary.json").read_text())["test_accuracy"] for out in outs}) == 1


# Errors


@pytest.mark.parametrize("backend", ["cpu", "numpy"])
def test_a_non_finite_loss(backend: str, tiny: Dataset, tmp_path: Path) -> None:
    first = tmp_path / "run/checkpoints/step-00000000.safetensors"
    message = (
        rf"the loss is (nan|inf) at step \d+, with learning rate \S+: try a lower --lr; the last good .* is {first}$"
    )
    with pytest.raises(NotFiniteError, match=message):
        run(tiny, tmp_path / "run", recipe=replace(SHORT, lr=1e10), backend=backend)
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["checkpoints", "metrics.jsonl"]
    assert list((tmp_path / "run/checkpoints").iterdir()) == [first]


def test_a_non_finite_loss_that_is_read_late(tiny: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the first non-finite loss, and no weights after it are kept."""
    messages = []
    for every in (1, 50):
        monkeypatch.setattr("stackgrad.mnist.training.losses.READ_EVERY", {"cpu": every})
        with pytest.raises(NotFiniteError) as caught:
            run(tiny, tmp_path / f"{every}", recipe=replace(SHORT, lr=1e10), backend="cpu")
        messages.append(str(caught.value).split(";")[0])
        assert [checkpoint.step for checkpoint in kept(tmp_path / f"{every}")] == [0]
    assert messages[0] == messages[1]


@pytest.mark.parametrize("spoiled", [3, 8])
def test_non_finite_weights(spoiled: int, tiny: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The loss is computed before the step, so it does not show bad weights in time for the checkpoint after the step.
    set_default_backend("numpy")
    steps = Training.steps

    def spoil(self: Training) -> Iterator[Step]:
        for step in steps(self):
            if step.step == spoiled:
                next(self.model.parameters()).detach()[0] = np.nan
            yield step

    monkeypatch.setattr(Training, "steps", spoil)
    message = rf"step {spoiled}, with learning rate \S+, made some weights infinite or NaN: try a lower --lr; the last"
    with pytest.raises(NotFiniteError, match=message):
        run_training(started(tiny, tmp_path, checkpoint_every=1))
    assert [checkpoint.step for checkpoint in kept(tmp_path)] == [spoiled - 1, spoiled - 2]


def test_weights_that_give_a_non_finite_loss_are_not_kept(
    tiny: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_default_backend("numpy")
    steps = Training.steps

    def spoil(self: Training) -> Iterator[Step]:
        for step in steps(self):
            if step.step == 5:
                next(self.model.parameters()).detach()[0] = 3e38
            yield step

    monkeypatch.setattr(Training, "steps", spoil)
    with pytest.raises(NotFiniteError, match=r"at step 6, .*; the last good .*/step-00000004.safetensors$"):
        run_training(started(tiny, tmp_path, checkpoint_every=1))
    assert [checkpoint.step for checkpoint in kept(tmp_path)] == [4]


# Resuming


def kept(folder: Path) -> list[Checkpoint]:
    """The checkpoints of a run, newest first; fails unless all are good."""
    checkpoints = Checkpoints(folder)
    found = []
    for path in checkpoints.paths():
        checkpoint, flaws = checkpoints.last_good()
        assert checkpoint is not None
        assert (checkpoint.path, flaws) == (path, [])
        found.append(checkpoint)
        path.rename(path.with_suffix(".seen"))
    for path in (folder / "checkpoints").glob("*.seen"):
        path.rename(path.with_suffix(".safetensors"))
    return found


class Crash(Exception):
    """Simulates the end of the process."""


def crash_after(step: int) -> Callable[[Step], None]:
    def on_step(done: Step) -> None:
        if done.step == step:
            raise Crash

    return on_step


def lines(folder: Path) -> list[dict[str, Any]]:
    """The metrics, without images_per_second, which varies."""
    found = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "images_per_second"} for line in found]


@pytest.mark.parametrize("crash", [1, 3, 4, 6, 8])
@pytest.mark.parametrize("patience", [None, 1])
def test_a_crashed_run_resumes_with_the_same_result(
    patience: int | None, crash: int, tiny: Dataset, tmp_path: Path
) -> None:
    recipe = replace(SHORT, patience=patience, batch_size=30)
    whole, folder = tmp_path / "whole", tmp_path / "crashed"
    expected = run(tiny, whole, "course", recipe=recipe)
    folder.mkdir()
    start = started(tiny, folder, "course", recipe=recipe, checkpoint_every=2)
    with contextlib.suppress(Crash):
        run_training(start, crash_after(crash))
        assert crash > expected["steps"]
    (last, *_) = kept(folder)
    summary = run_training(replace(start, checkpoint=last))
    assert (whole / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
    assert lines(whole) == lines(folder)
    for key in ("steps", "test_accuracy", "kept_epoch", "validation_accuracy"):
        assert summary.get(key) == expected.get(key)


def test_checkpoints_at_an_interval_and_at_the_end(tiny: Dataset, tmp_path: Path) -> None:
    run(tiny, tmp_path / "run", backend="numpy")
    assert [checkpoint.step for checkpoint in kept(tmp_path / "run")] == [8, 0]
    run_training(started(tiny, tmp_path, checkpoint_every=3))
    assert [checkpoint.step for checkpoint in kept(tmp_path)] == [8, 6]


def test_a_full_disk(tiny: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_default_backend("numpy")
    save = Checkpoints.save

    def full(self: Checkpoints, step: int, *arguments: Any) -> None:
        if step == 6:
            raise OSError(28, "No space left on device", "there")
        save(self, step, *arguments)

    monkeypatch.setattr(Checkpoints, "save", full)
    with pytest.raises(SaveError) as caught:
        run_training(started(tiny, tmp_path, checkpoint_every=2))
    last = tmp_path / "checkpoints/step-00000004.safetensors"
    assert str(caught.value) == (
        f"there: cannot be written (No space left on device); the last good checkpoint is {last}: "
        f"free some space, then `stackgrad-mnist train --resume {tmp_path}`"
    )
    assert [checkpoint.step for checkpoint in kept(tmp_path)] == [4, 2]


# Time


def test_time_counts_from_the_start_of_the_process(folder: Path, cli_process: Cli) -> None:
    arguments = ("train", "--data", folder, "--limit", 20, "--epochs", 1, "--backend", "numpy", "--out", "run")
    before = time.perf_counter()
    result = cli_process(*arguments, STARTUP_SECONDS="1.5")
    whole = time.perf_counter() - before
    assert (result.returncode, result.stderr) == (0, "")
    summary = json.loads(Path("run/summary.json").read_text())
    assert 1.5 < summary["seconds_to_first_step"] < summary["seconds_total"] < whole + 0.02
