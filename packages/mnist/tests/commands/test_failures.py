"""How commands report errors."""

import re
import signal
from pathlib import Path
from typing import Any

import pytest

Cli = Any


def test_backend_that_does_not_load(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> None:
        raise RuntimeError(f"backend {name!r} does not load:\nno LLVM")

    monkeypatch.setattr("stackgrad.mnist.commands._options.set_default_backend", broken)
    assert cli("train").error(status=1) == "backend 'cpu' does not load: no LLVM"


def test_commands_restore_the_handler_of_ctrl_c(cli: Cli) -> None:
    before = signal.getsignal(signal.SIGINT)
    cli("evaluate").error()
    assert signal.getsignal(signal.SIGINT) is before


def test_a_full_disk(cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "run/model.safetensors")

    with monkeypatch.context() as patch:
        patch.setattr("stackgrad.mnist.training.run.save_run", full)
        result = cli("train", "--data", folder, "--epochs", 1, "--backend", "numpy", "--out", "run")
    assert result.error(status=1) == (
        "run/model.safetensors: cannot be written (No space left on device); the last good checkpoint is "
        "run/checkpoints/step-00000002.safetensors: free some space, then `stackgrad-mnist train --resume run`"
    )
    assert "test accuracy" in cli("train", "--resume", "run").good()


def test_out_of_memory(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("stackgrad.mnist.commands._options.load", refuse)
    assert cli("train", "--backend", "numpy").error(status=1) == "out of memory"


def test_a_non_finite_loss(cli: Cli, folder: Path, tmp_path: Path) -> None:
    result = cli("train", "--data", folder, "--epochs", 5, "--lr", 1e10, "--out", "bad")
    assert re.match(
        r"the loss is (nan|inf) at step \d, with learning rate \S+: try a lower --lr; "
        "the last good checkpoint is bad/checkpoints/step-00000000.safetensors$",
        result.error(status=1),
    )
    assert "test accuracy" not in result.stdout
    assert cli("evaluate", "bad").error() == (
        "bad: this run is not finished; resume it with `stackgrad-mnist train --resume bad`"
    )
