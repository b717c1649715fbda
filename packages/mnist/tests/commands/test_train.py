import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from stackgrad.mnist.pictures import PICTURES
from stackgrad.mnist.training.recipes import RECIPES

Cli = Any


def test_train(cli: Cli, folder: Path, tmp_path: Path) -> None:
    out = cli("train", "--model", "course", "--data", folder, "--epochs", 2, "--seed", 7, "--backend", "numpy").good()
    (run,) = (tmp_path / "runs").iterdir()
    summary = json.loads((run / "summary.json").read_text())
    assert re.fullmatch(
        r"course on tiny: 100 training images, backend numpy, seed 7\n"
        r"trained in [\d.]+ s, [\d,]+ images per second; written to runs/\d{8}-\d{6}-course\n"
        rf"test accuracy {summary['test_accuracy']:.2%} on 50 images\n",
        out,
    )
    assert summary["arguments"] == {
        "model": "course",
        "backend": "numpy",
        "seed": 7,
        "epochs": 2,
        "batch_size": 64,
        "lr": RECIPES["course"].lr,
        "optimizer": "adamw",
        "schedule": "one-cycle",
        "augment": False,
        "patience": None,
        "data": str(folder),
        "emnist": None,
        "limit": None,
        "labels": None,
        "out": f"runs/{run.name}",
        "checkpoint_every": 1000,
    }
    assert (summary["epochs"], summary["batch_size"], summary["seed"], summary["backend"]) == (2, 64, 7, "numpy")
    names = sorted(path.name for path in run.iterdir() if path.name != ".lock")
    assert names == ["checkpoints", "metrics.jsonl", "model.safetensors", "summary.json"]


def test_options_of_train(cli: Cli, data: Path, tmp_path: Path) -> None:
    options = ("--limit", 30, "--epochs", 3, "--batch-size", 10, "--lr", 0.5e-3, "--backend", "numpy")
    out = cli("train", "--data", "data", *options, "--out", "my/run").good()
    assert out.startswith("lenet5 on data: 30 training images, backend numpy, seed 0\n")
    assert "written to my/run\n" in out
    assert out.endswith(" on 30 images\n")
    arguments = json.loads(Path("my/run/summary.json").read_text())["arguments"]
    assert (arguments["limit"], arguments["epochs"], arguments["batch_size"], arguments["lr"]) == (30, 3, 10, 0.0005)
    assert arguments["data"] == str(data)  # the run can be measured from any folder
    assert not Path("runs").exists()


def test_training_without_a_terminal_shows_no_bar(cli_process: Cli, folder: Path) -> None:
    out = cli_process("train", "--data", folder, "--epochs", 1, "--backend", "numpy").good()
    assert out.count("\n") == 3
    assert "\r" not in out


def test_training_in_a_terminal_shows_a_bar(cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    result = cli("train", "--data", folder, "--epochs", 2, "--batch-size", 10, "--backend", "numpy")
    assert result.returncode == 0
    first, *_, last = result.stderr.strip().split("\r")
    assert re.fullmatch(r"starting   0% \| +\| \? left", first)
    assert re.fullmatch(r"epoch 2/2 100% \|█+\| 00:00 left, loss \d\.\d{4}, [\d,]+ images/s", last)


def test_json(cli: Cli, folder: Path) -> None:
    options = ("--data", folder, "--epochs", 2, "--patience", 2, "--backend", "numpy", "--out", "run")
    summary = json.loads(cli("train", *options, "--json").good())
    assert summary.pop("folder") == "run"
    assert summary == json.loads(Path("run/summary.json").read_text())


@pytest.mark.parametrize(("optimizer", "lr"), [("adam", 0.006), ("sgd", 0.05)])
def test_the_learning_rate_follows_the_optimizer(optimizer: str, lr: float, folder: Path, cli: Cli) -> None:
    options = ("--model", "course", "--optimizer", optimizer, "--schedule", "constant", "--epochs", 1, "--out", "run")
    summary = json.loads(cli("train", "--data", folder, "--backend", "numpy", "--json", *options).good())
    assert summary["arguments"]["lr"] == lr
    rows = [json.loads(row) for row in Path("run/metrics.jsonl").read_text().splitlines()]
    assert {row["lr"] for row in rows if "lr" in row} == {lr}


# Folders and disks


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("full", "full: the folder is not empty; name another with --out"),
        ("file", "file: not a folder; name another with --out"),
        ("file/below", "file/below: cannot write a run there (Not a directory); name another with --out"),
        ("a" * 300, "cannot write a run there (File name too long); name another with --out"),
    ],
)
def test_out_folder_that_cannot_be_used(out: str, message: str, cli: Cli, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/note").write_text("mine")
    (tmp_path / "file").write_text("mine")
    result = cli("train", "--data", folder, "--backend", "numpy", "--out", out)
    assert result.error().endswith(message)
    assert result.stdout == ""
    assert {path.name for path in tmp_path.iterdir()} == {"full", "file"}
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_out_folder_that_cannot_be_written(cli: Cli, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    for out in ("locked", "locked/below"):
        message = cli("train", "--data", folder, "--backend", "numpy", "--out", out).error()
        assert message == f"{out}: cannot write a run there (Permission denied); name another with --out"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of a file")
@pytest.mark.parametrize(
    ("limit", "kept"), [(150_000, None), (300_000, "step-00000000.safetensors")], ids=["first checkpoint", "the next"]
)
def test_a_limit_on_the_size_of_a_file(limit: int, kept: str | None, folder: Path) -> None:
    code = "from stackgrad.mnist.cli import main; main()"
    arguments = ("train", "--data", str(folder), "--backend", "numpy", "--epochs", "1", "--out", "run")
    process = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        capture_output=True,
        text=True,
    )
    assert process.returncode == 1
    good_one = f"the last good checkpoint is run/checkpoints/{kept}" if kept else "there is no checkpoint yet"
    then = "`stackgrad-mnist train --resume run`" if kept else "start a new run"
    failed = "step-00000002" if kept else "step-00000000"
    assert process.stderr == (
        f"Error: run/checkpoints/{failed}.safetensors: cannot be written (File too large); {good_one}: "
        f"free some space, then {then}\n"
    )
    assert [path.name for path in Path("run/checkpoints").iterdir()] == ([kept] if kept else [])


# Pictures


@pytest.mark.parametrize(("option", "drawn"), [("--pictures", True), ("--no-pictures", False)])
def test_train_draws_pictures(option: str, drawn: bool, folder: Path, cli: Cli) -> None:
    options = ("--data", folder, "--epochs", 1, "--backend", "numpy", "--out", "new")
    out = cli("train", option, *options).good()
    assert out.endswith("pictures in new/report.html\n") == drawn
    assert Path("new/report.html").exists() == drawn
    assert Path("new/pictures").exists() == drawn


def test_train_with_json_prints_only_json(folder: Path, cli: Cli) -> None:
    options = ("--data", folder, "--epochs", 1, "--backend", "numpy", "--out", "new")
    assert json.loads(cli("train", "--pictures", "--json", *options).good())["folder"] == "new"
    assert Path("new/report.html").exists()


def test_train_writes_for_tensorboard(folder: Path, cli: Cli) -> None:
    options = ("--data", folder, "--epochs", 2, "--backend", "numpy", "--out", "new", "--tensorboard", "board")
    cli("train", "--pictures", *options).good()
    found = EventAccumulator("board/new").Reload()
    rows = [json.loads(row) for row in Path("new/metrics.jsonl").read_text().splitlines()]
    assert [one.value for one in found.Scalars("loss/training")] == [pytest.approx(rows[0]["loss"])]
    assert [(one.step, one.value) for one in found.Scalars("accuracy/test")] == [
        (rows[-1]["step"], pytest.approx(rows[-1]["test_accuracy"]))
    ]
    for name in PICTURES:
        (image,) = found.Images(f"pictures/{name}")
        assert image.encoded_image_string == Path(f"new/pictures/{name}.png").read_bytes()
    assert {"image", "features/0/Conv2d", "classifier/3/Linear"} <= {node.name for node in found.Graph().node}


def test_tensorboard_that_cannot_be_written(folder: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("file").touch()
    options = ("--data", folder, "--epochs", 1, "--backend", "numpy", "--out", "new", "--tensorboard", "file")
    assert cli("train", *options).error() == "file/new: cannot be written (Not a directory); name another"
    monkeypatch.setattr("stackgrad.mnist.runs.tensorboard.find_spec", lambda name: None)
    expected = "--tensorboard needs tensorboardX: pip install 'stackgrad-mnist[tensorboard]'"
    assert cli("train", *options).error() == expected
    assert not Path("new/summary.json").exists()
