"""Starting and resuming runs."""

import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from stackgrad.mnist.runs import process
from stackgrad.mnist.runs.checkpoints import Checkpoints
from stackgrad.mnist.runs.metrics import Metrics

Cli = Any


def metrics(run: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl, without images_per_second, which varies."""
    lines = [json.loads(text) for text in (run / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in text.items() if key != "images_per_second"} for text in lines]


class Crash(BaseException):
    """Simulates that the process is killed."""


@pytest.fixture(scope="session")
def arguments(folder: Path) -> tuple[object, ...]:
    """Eight steps on NumPy that use random numbers in every way: shuffling, dropout, augmentation, holding out."""
    common = ("train", "--model", "course", "--backend", "numpy", "--data", folder, "--epochs", 2, "--batch-size", 25)
    return (*common, "--augment", "--patience", 2, "--checkpoint-every", 3)


@pytest.fixture
def whole(arguments: tuple[object, ...], cli: Cli) -> Path:
    """An uninterrupted run."""
    cli(*arguments, "--out", "whole").good()
    return Path("whole")


@pytest.fixture
def stopped(arguments: tuple[object, ...], cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that SIGTERM stopped after step 4."""

    def ask(self: Metrics, step: Any) -> None:
        if step.step == 4:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(Metrics, "log", ask)
        assert cli(*arguments, "--out", "run").returncode == 143
    return Path("run")


def same(run: Path, whole: Path) -> bool:
    """Whether two runs have the same weights and metrics."""
    equal = (run / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    return equal and metrics(run) == metrics(whole)


# Resuming


def test_a_stopped_run_is_resumed(stopped: Path, arguments: tuple[object, ...], cli: Cli) -> None:
    out = cli("train", "--resume", stopped).good()
    assert out.startswith("course on tiny: 100 training images, resumed after step 4, backend numpy, seed 0\n")
    assert re.search(
        r"^kept the weights after epoch [12], which classify \d+\.\d\d% of the held-out images correctly$",
        out,
        re.MULTILINE,
    )
    assert not list(stopped.rglob(".*.partial"))
    steps = [path.stem for path in Checkpoints(stopped).paths()]
    assert steps == ["step-00000008", "step-00000006"]  # every third step, as when it was started


def operations(monkeypatch: pytest.MonkeyPatch, crash_at: int) -> list[str]:
    """Record the operations that change the disk, and crash in place of the one with index `crash_at`."""
    done: list[str] = []

    def watched(module: Any, name: str) -> None:
        plain = getattr(module, name)

        def operation(*args: Any, **kwargs: Any) -> Any:
            if len(done) >= crash_at:
                raise Crash
            done.append(name)
            return plain(*args, **kwargs)

        monkeypatch.setattr(module, name, operation)

    for name in ("fsync", "replace", "mkdir", "unlink"):
        watched(os, name)
    return done


def test_a_run_can_be_resumed_after_a_crash_at_any_write(
    whole: Path, arguments: tuple[object, ...], cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    crashes = 0
    for crash_at in range(1000):
        run = Path(f"crash-{crash_at}")
        with monkeypatch.context() as patch:
            done = operations(patch, crash_at)
            try:
                cli(*arguments, "--out", run).good()
            except Crash:
                crashes += 1
        if len(done) < crash_at:
            break  # it finished
        has_checkpoint = bool(Checkpoints(run).paths()) if run.exists() else False
        again = cli("train", "--resume", run) if has_checkpoint else cli(*arguments, "--out", run)
        if (run / "summary.json").exists() and again.returncode:
            assert again.error() == f"{run}: this run is finished; measure it with `stackgrad-mnist evaluate {run}`"
        else:
            again.good()
        assert same(run, whole), crash_at
        assert not list(run.rglob(".*.partial"))
    assert crashes > 20


def test_killed_at_any_moment(whole: Path, arguments: tuple[object, ...], cli: Cli) -> None:
    code = "import time\nfrom stackgrad.mnist.training import steps as training\nfrom stackgrad.mnist.cli import main\n"
    code += "plain = training.normalise\n"  # made slow, so that the first kill comes before the end
    code += "training.normalise = lambda images: (time.sleep(0.2), plain(images))[1]\nmain()"
    draw = random.Random(0)
    kills = 0
    while not Path("run/summary.json").exists():
        has_checkpoint = bool(Checkpoints(Path("run")).paths())
        given = ["train", "--resume", "run"] if has_checkpoint else [*map(str, arguments), "--out", "run"]
        if kills >= 4:
            cli(*given).good()
            break
        command = [sys.executable, "-W", "error", "-c", code, *given]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            while process.poll() is None and not Path("run/checkpoints").exists():
                time.sleep(0.01)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=draw.uniform(0.1, 1.5))
            process.kill()
            kills += process.wait() == -signal.SIGKILL
    assert kills >= 1
    assert same(Path("run"), whole)
    assert not list(Path("run").rglob(".*.partial"))


def test_the_last_good_checkpoint_is_used(stopped: Path, cli: Cli) -> None:
    last, before = Checkpoints(stopped).paths()
    last.write_bytes(last.read_bytes()[:-100])
    result = cli("train", "--resume", stopped)
    assert result.returncode == 0
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith(f"{last} is damaged or not a safetensors file: ")
    assert result.stderr.endswith(f": resuming from {before.name}\n")
    assert "resumed after step 3," in result.stdout


def test_the_same_command_with_resume_is_accepted(stopped: Path, arguments: tuple[object, ...], cli: Cli) -> None:
    cli(*arguments, "--checkpoint-every", 1, "--resume", stopped).good()


# Refusals


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--seed", 1], "--seed cannot be changed when a run is resumed (it was started with 0): leave it out"),
        (["--epochs", 3], "--epochs cannot be changed when a run is resumed (it was started with 2): leave it out"),
        (["--no-augment"], "--augment cannot be changed when a run is resumed (it was started with True)"),
        (["--data", "."], "--data cannot be changed when a run is resumed (it was started with "),
        (["--out", "run"], "--out cannot be changed when a run is resumed: leave it out"),
    ],
)
def test_other_arguments(options: list[object], message: str, stopped: Path, cli: Cli) -> None:
    assert cli("train", "--resume", stopped, *options).error().startswith(message)


def test_the_environment_does_not_change_the_backend(stopped: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STACKGRAD_BACKEND", "cpu")
    assert "backend numpy" in cli("train", "--resume", stopped).good()


def test_a_finished_run(whole: Path, cli: Cli) -> None:
    message = "whole: this run is finished; measure it with `stackgrad-mnist evaluate whole`"
    assert cli("train", "--resume", whole).error() == message


def test_no_run_to_resume(cli: Cli) -> None:
    message = "away: no such folder; expected one that `stackgrad-mnist train` made"
    assert cli("train", "--resume", "away").error() == message
    Path("empty").mkdir()
    assert cli("train", "--resume", "empty").error() == "empty: no checkpoint there; start a new run"
    assert not list(Path("empty").iterdir())


def test_a_checkpoint_in_another_format(stopped: Path, cli: Cli) -> None:
    checkpoint, _ = Checkpoints(stopped).last_good()
    assert checkpoint is not None
    del checkpoint.state["metrics"]
    Checkpoints(stopped).save(checkpoint.step, checkpoint.state)
    message = f"{checkpoint.path}: written by another version in another format: start a new run"
    assert cli("train", "--resume", stopped).error() == message


def test_no_good_checkpoint(stopped: Path, cli: Cli) -> None:
    for path in Checkpoints(stopped).paths():
        path.write_bytes(b"")
    assert cli("train", "--resume", stopped).error().startswith("run: no checkpoint is good: run/checkpoints/step-0000")


def test_another_version(stopped: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    other = process.versions() | {"stackgrad-nn": "9.9", "python": "3.0"}
    monkeypatch.setattr("stackgrad.mnist.runs.folder.versions", lambda: other)
    its = process.versions()["stackgrad-nn"]
    assert cli("train", "--resume", stopped).error() == (
        f"run: started with stackgrad-nn {its}, not 9.9: resume it with that, or start a new run"
    )


def test_data_that_has_changed(arguments: tuple[object, ...], folder: Path, cli: Cli) -> None:
    shutil.copytree(folder, "data")
    changed = [Path("data") if argument == folder else argument for argument in arguments]
    (folder_of_images,) = Path("data").glob("train-images*")

    def run_until_first_checkpoint() -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("stackgrad.mnist.training.steps.Training.steps", crash)
            with pytest.raises(Crash):
                cli(*changed, "--out", "run")

    run_until_first_checkpoint()
    content = folder_of_images.read_bytes()
    folder_of_images.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert cli("train", "--resume", "run").error() == "run: data has changed since the run was started"


def crash(*_: object) -> Iterator[Any]:
    raise Crash


def test_a_run_in_use(stopped: Path, arguments: tuple[object, ...], cli: Cli) -> None:
    with FileLock(stopped / ".lock"):
        assert cli("train", "--resume", stopped).error() == "run: another process is training there"
    Path("new").mkdir()
    with FileLock("new/.lock"):
        assert cli(*arguments, "--out", "new").error() == "new: another process is training there"


def test_a_folder_without_a_checkpoint_can_be_reused(arguments: tuple[object, ...], cli: Cli) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stackgrad.mnist.training.run.Checkpoints.save", crash_now)
        with pytest.raises(Crash):
            cli(*arguments, "--out", "run")
    cli(*arguments, "--out", "run").good()
    assert "not empty" in cli(*arguments, "--out", "run").error()


def crash_now(*_: object) -> None:
    raise Crash


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder(stopped: Path, cli: Cli) -> None:
    (stopped / ".lock").unlink(missing_ok=True)
    stopped.chmod(0o500)
    assert cli("train", "--resume", stopped).error() == "run: cannot write a run there (Permission denied)"
