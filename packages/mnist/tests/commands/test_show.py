import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

Cli = Callable[..., subprocess.CompletedProcess[str]]

NAMES = ["curves", "confusion", "mistakes", "channels", "filters"]


def good(result: subprocess.CompletedProcess[str]) -> str:
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


def line(result: subprocess.CompletedProcess[str], status: int = 2) -> str:
    assert (result.returncode, result.stderr.count("\n")) == (status, 1), result
    return result.stderr.removeprefix("Error: ").rstrip("\n")


@pytest.fixture
def run(trained_course: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained_course, tmp_path / "run")).relative_to(tmp_path)


def test_show(run: Path, cli: Cli) -> None:
    out = good(cli("show", run, "--backend", "numpy"))
    first, *shown, last = out.splitlines()
    assert (first, last) == ("run: course on tiny, backend numpy", "pictures in run/report.html")
    assert [re.fullmatch(r"pictures/(\w+)\.png: \S.*", one)[1] for one in shown] == NAMES  # type: ignore[index]
    assert all((run / f"pictures/{name}.png").read_bytes().startswith(b"\x89PNG") for name in NAMES)
    assert (run / "report.html").exists()


def test_show_as_json(run: Path, cli: Cli) -> None:
    found = json.loads(good(cli("show", run, "--backend", "numpy", "--json", "--limit", 20)))
    assert (found["run"], found["report"]) == ("run", "run/report.html")
    assert [one["file"] for one in found["pictures"]] == [f"run/pictures/{name}.png" for name in NAMES]
    assert all(Path(one["file"]).exists() for one in found["pictures"])
    assert "of 20 test images" in found["pictures"][1]["description"]


def test_names(run: Path, cli: Cli) -> None:
    out = good(cli("show", run, "--backend", "numpy", "--labels", ",".join("abcdefghij")))
    assert re.search(r"What two convolutions make of a, [b-h, ]+ and j\n", out)
    message = line(cli("show", run, "--backend", "numpy", "--labels", "a,b"))
    assert message == "2 names of classes; tiny has 10 classes"


def test_failures(run: Path, cli: Cli) -> None:
    assert line(cli("show", "away")) == "away: no such folder; expected one that `stackgrad-mnist train` made"
    (run / "pictures").touch()
    assert line(cli("show", run, "--backend", "numpy"), status=1) == "run/pictures: File exists"
    (run / "metrics.jsonl").write_text("{")
    assert line(cli("show", run, "--backend", "numpy")).startswith("run/metrics.jsonl: damaged: line 1: ")


# At the end of training


@pytest.mark.parametrize(("option", "drawn"), [("--pictures", True), ("--no-pictures", False)])
def test_train_draws_pictures(option: str, drawn: bool, folder: Path, cli: Cli) -> None:
    options = ("--data", folder, "--epochs", 1, "--backend", "numpy", "--out", "new")
    out = good(cli("train", option, *options))
    assert out.endswith("pictures in new/report.html\n") == drawn
    assert Path("new/report.html").exists() == drawn
    assert Path("new/pictures").exists() == drawn


def test_json_of_train_is_json_alone(folder: Path, cli: Cli) -> None:
    options = ("--data", folder, "--epochs", 1, "--backend", "numpy", "--out", "new")
    assert json.loads(good(cli("train", "--pictures", "--json", *options)))["folder"] == "new"
    assert Path("new/report.html").exists()


def test_train_writes_for_tensorboard(folder: Path, cli: Cli) -> None:
    options = ("--data", folder, "--epochs", 2, "--backend", "numpy", "--out", "new", "--tensorboard", "board")
    good(cli("train", "--pictures", *options))
    found = EventAccumulator("board/new").Reload()
    rows = [json.loads(row) for row in Path("new/metrics.jsonl").read_text().splitlines()]
    assert [one.value for one in found.Scalars("loss/training")] == [pytest.approx(rows[0]["loss"])]
    assert [(one.step, one.value) for one in found.Scalars("accuracy/test")] == [
        (rows[-1]["step"], pytest.approx(rows[-1]["test_accuracy"]))
    ]
    for name in NAMES:
        (image,) = found.Images(f"pictures/{name}")
        assert image.encoded_image_string == Path(f"new/pictures/{name}.png").read_bytes()
    assert {"image", "features/0/Conv2d", "classifier/3/Linear"} <= {node.name for node in found.Graph().node}


def test_tensorboard_that_cannot_be_written(folder: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("file").touch()
    options = ("--data", folder, "--epochs", 1, "--backend", "numpy", "--out", "new", "--tensorboard", "file")
    assert line(cli("train", *options)) == "file/new: cannot be written (Not a directory); name another"
    monkeypatch.setattr("stackgrad.mnist.tensorboard.find_spec", lambda name: None)
    expected = "--tensorboard needs tensorboardX: pip install 'stackgrad-mnist[tensorboard]'"
    assert line(cli("train", *options)) == expected
    assert not Path("new/summary.json").exists()
