"""`stackgrad-mnist train` with several ranks, and the end of the job if one of them fails: `nox -s tests-mpi`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stackgrad import nn

FAULTY = Path(__file__).with_name("faulty.py")
BESIDE = Path(sys.executable).with_name("mpiexec")  # the launcher from a wheel
SMALL = ("train", "--limit", "120", "--epochs", "3", "--batch-size", "20", "--backend", "numpy", "--no-pictures")
ENDS = 10.0  # seconds from a fault to the end of the job


class Job:
    """A job that has ended.

    Attributes:
        errors: the lines on standard error that start with "Error: ".
    """

    def __init__(self, ranks: int, *arguments: object, fault: str = "", victim: int = 0, **environment: str) -> None:
        variables = {"OPENBLAS_NUM_THREADS": "1", "FAULT": fault, "VICTIM": str(victim), **environment}
        command = [BESIDE if BESIDE.exists() else "mpiexec", "-n", str(ranks), sys.executable, "-m", "mpi4py", FAULTY]
        done = subprocess.run(
            [*map(str, command), *map(str, arguments)],
            env=os.environ | variables,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        self.took = time.time() - float(Path("struck").read_text()) if Path("struck").exists() else 0.0
        self.status, self.out, self.err = done.returncode, done.stdout, done.stderr
        self.errors = [line for line in self.err.splitlines() if line.startswith("Error: ")]
        self.left = [path.name for path in Path().glob("pid*") if Path("/proc", path.read_text()).exists()]

    def good(self) -> str:
        """Its output; fails unless the job succeeded."""
        assert (self.status, self.err) == (0, "")
        return self.out

    def error(self) -> str:
        """Its one-line error; fails unless all processes ended in time, and the status is not 0."""
        assert self.status != 0
        assert self.took < ENDS
        assert not self.left
        assert len(self.errors) == 1, self.err
        return self.errors[0].removeprefix("Error: ")


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STACKGRAD_BACKEND", raising=False)


def weights(run: str) -> dict[str, Any]:
    return {name: tensor.numpy() for name, tensor in nn.load(Path(run, "model.safetensors")).items()}


def metrics(run: str) -> list[dict[str, float]]:
    lines = Path(run, "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [{name: value for name, value in json.loads(line).items() if name != "images_per_second"} for line in lines]


def train_alone(*arguments: str) -> None:
    """Train with one process, without a launcher."""
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-m", "stackgrad.mnist", *arguments], env=environment, check=True)


@pytest.mark.parametrize(("model", "ranks"), [("lenet5", 3), ("convnet", 2), ("course", 2)])
def test_ranks_train_like_one_process(model: str, ranks: int) -> None:
    # A tenth is held out. The last batch has 1 image, so some ranks have none. With batch normalisation it has 8, since
    # the variance of a single image is almost zero, which magnifies rounding errors.
    limit = "142" if model == "convnet" else "134"
    arguments = [*SMALL, "--model", model, "--limit", limit, "--epochs", "1", "--patience", "2", "--optimizer", "sgd"]
    train_alone(*arguments, "--out", "one")
    assert Job(ranks, *arguments, "--out", "run").good().count("written to") == 1  # only rank 0 prints
    for name, value in weights("one").items():
        np.testing.assert_allclose(weights("run")[name], value, rtol=1e-3, atol=1e-4, err_msg=name)
    for line, expected in zip(metrics("run"), metrics("one"), strict=True):
        assert line == pytest.approx(expected, rel=1e-3)


def test_the_same_bits_each_time_and_after_a_stop() -> None:
    Job(2, *SMALL, "--out", "whole").good()
    job = Job(2, *SMALL, "--checkpoint-every", 5, "--out", "run", fault="is killed", victim=1)
    assert job.error().startswith("rank 1 ")
    assert sorted(path.name for path in Path("run/checkpoints").iterdir())[-1] == "step-00000005.safetensors"
    Job(2, "train", "--resume", "run", "--no-pictures").good()
    assert Path("run/model.safetensors").read_bytes() == Path("whole/model.safetensors").read_bytes()
    assert metrics("run") == metrics("whole")


def test_resuming_with_another_count_of_ranks() -> None:
    train_alone(*SMALL, "--out", "one")
    for ranks, arguments in (2, ("--checkpoint-every", 5, "--out", "run")), (3, ("--resume", "run")):
        started = SMALL if "--out" in arguments else ("train", "--checkpoint-every", 5)
        assert Job(ranks, *started, *arguments, fault="is killed").error().startswith("rank 0 ")
    train_alone("train", "--resume", "run", "--no-pictures")
    for name, value in weights("one").items():
        np.testing.assert_allclose(weights("run")[name], value, rtol=1e-3, atol=1e-4, err_msg=name)


@pytest.mark.parametrize(
    ("fault", "victim", "reason"),
    [
        ("raises", 1, "ZeroDivisionError: a mistake of ours"),
        ("is stopped", 0, "was stopped 2 s ago"),
        ("is stopped at once", 1, "was stopped 2 s ago"),
        ("crashes", 1, "crashed: Segmentation fault, in "),
        ("exits", 0, "was killed, perhaps for lack of memory, or ended without a message"),
        ("sleeps", 1, "made no progress for 2 s, in faulty.py:"),
        ("is blocked by a disk", 0, "made no progress for 2 s, in faulty.py:"),
        ("finds a full disk", 0, "checkpoints/step: cannot be written (No space left on device)"),
        ("finds no data", 1, "no train-images there"),
    ],
)
def test_a_failing_rank_ends_the_job_and_is_named(fault: str, victim: int, reason: str) -> None:
    environment = {"STACKGRAD_WATCH_SECONDS": "2"}
    job = Job(2, *SMALL, "--checkpoint-every", 5, "--out", "run", fault=fault, victim=victim, **environment)
    assert job.took > 0
    error = job.error()
    assert error.startswith(f"rank {victim} (process {Path(f'pid{victim}').read_text()} on ")
    assert reason in error
    assert ("Traceback" in job.err) == (fault == "raises")


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("finds other data", "the checksum of the data: rank 0 has "),
        ("has another version", "numpy: rank 0 has "),
    ],
)
def test_ranks_that_differ_do_not_start(fault: str, error: str) -> None:
    job = Job(3, *SMALL, "--out", "run", fault=fault, victim=1)
    assert job.error().startswith(error)
    assert "other than rank 0: 1 of 3" in job.errors[0]
    assert job.status == 2
    assert "Traceback" not in job.err
    assert not Path("run").exists()


def test_other_arguments_are_named() -> None:
    more = ("--seed", "1", ":", "-n", "1", sys.executable, "-m", "mpi4py", FAULTY, *SMALL)
    error = Job(1, *SMALL, *more).error()
    assert error.startswith("the command line: rank 0 has ['train', ")
    assert "rank 1 has [" in error


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["train", "--epochs", "x"], "Invalid value for '--epochs'"),
        (["train", "--resume", "nowhere"], "nowhere: no such folder"),
        ([*SMALL, "--batch-size", "2"], "--batch-size 2 is too small for 3 ranks: they share each batch"),
        ([*SMALL, "--lr", "1e30", "--optimizer", "sgd"], "the loss is "),
    ],
)
def test_an_error_on_all_ranks_is_printed_once(arguments: list[str], error: str) -> None:
    job = Job(3, *arguments)
    assert job.error().startswith(error)
    assert job.err.count("\n") == 1  # the launcher adds nothing


def test_other_commands_run_on_rank_0() -> None:
    assert Job(2, "--version").good().count("version") == 1
    Job(2, *SMALL, "--out", "run").good()
    assert Job(2, "evaluate", "run", "--backend", "numpy").good().count("test accuracy") == 1


def test_ctrl_c_finishes_the_step_and_saves() -> None:
    command = [BESIDE if BESIDE.exists() else "mpiexec", "-n", "2", sys.executable, "-m", "mpi4py", FAULTY, *SMALL]
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    arguments = [*map(str, command), "--epochs", "1000", "--out", "run"]
    job = subprocess.Popen(arguments, env=environment, stderr=subprocess.PIPE, text=True)
    while not (log := Path("run/metrics.jsonl")).exists() or not log.stat().st_size:
        assert job.poll() is None
        time.sleep(0.05)
    job.terminate()
    _, err = job.communicate(timeout=ENDS)
    assert job.returncode == 143
    assert err.count("stopped after step ") == 1
    assert "mpiexec -n 2 python -m mpi4py -m stackgrad.mnist train --resume run`" in err
    assert len(list(Path("run/checkpoints").iterdir())) == 2
