"""The options and arguments that commands share."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stackgrad.kernels.cuda import is_available
from stackgrad.mnist.runs.folder import load_run, save_run

Cli = Any
IMAGES, LABELS, TEST_IMAGES, TEST_LABELS = (
    f"{split}-{part}-ubyte" for split in ("train", "t10k") for part in ("images-idx3", "labels-idx1")
)


# --backend


@pytest.mark.parametrize("command", [["train"], ["evaluate"], ["predict", "a.png"]])
def test_backend_from_the_environment(command: list[str], cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STACKGRAD_BACKEND", "tpu")
    text = cli(*command).error()
    assert re.match(r"Invalid value for '--backend'.*: 'tpu' is not one of 'cpu', 'cuda', 'numpy'", text)


@pytest.mark.parametrize(("options", "expected"), [([], "numpy"), (["--backend", "cpu"], "cpu")])
def test_the_option_overrides_the_environment(
    options: list[str], expected: str, cli: Cli, monkeypatch: pytest.MonkeyPatch, trained: Path
) -> None:
    monkeypatch.setenv("STACKGRAD_BACKEND", "numpy")
    out = cli("evaluate", trained, "--limit", 5, *options).good()
    assert out.startswith(f"{trained}: lenet5 on MNIST, backend {expected}\n")


@pytest.mark.skipif(is_available(), reason="there is a GPU")
@pytest.mark.parametrize("command", [["train"], ["evaluate"], ["predict", "a.png"]])
def test_no_gpu(command: list[str], cli: Cli, trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path / "runs/one")
    (tmp_path / "a.png").write_bytes(b"")
    text = cli(*command, "--backend", "cuda").error(status=1)
    found = r"found (no numba-cuda and no|an) NVIDIA driver.*pip install .*|found numba-cuda [\d.]+, but .*"
    assert re.fullmatch(rf"backend 'cuda' does not load: ({found})", text)


# --data


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def extend(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")


def replace_by_text(path: Path) -> None:
    path.write_text("no images here")


def replace_by_float32(path: Path) -> None:
    path.write_bytes(b"\0\0\x0d\3" + path.read_bytes()[4:])


def replace_by_labels(path: Path) -> None:
    shutil.copy(path.with_name(LABELS), path)


def replace_by_nothing(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("command", ["train", "evaluate"])
@pytest.mark.parametrize(
    ("damage", "name", "message"),
    [
        (Path.unlink, TEST_LABELS, f"missing {TEST_LABELS} (each may be named like "),
        (cut, IMAGES, "truncated: the header promises 100x28x28 = 78,400 bytes"),
        (cut, LABELS, "truncated: the header promises 100 bytes"),
        (extend, TEST_IMAGES, "oversized: the header promises 50x28x28 = 39,200 bytes, but more follow"),
        (replace_by_labels, TEST_LABELS, f"mismatched: 100 labels, but {TEST_IMAGES} has 50 images"),
        (replace_by_text, IMAGES, "not an IDX file: it starts with the bytes 6e 6f 20 69, expected 00 00 08"),
        (replace_by_float32, IMAGES, "the elements are float32 (type 0d), expected uint8 (08)"),
        (replace_by_labels, IMAGES, "the array has 1 dimension (labels), expected 3 (images)"),
        (replace_by_nothing, LABELS, "the file is empty"),
    ],
)
def test_damaged_data(
    command: str, damage: Callable[[Path], None], name: str, message: str, cli: Cli, data: Path, run: Path
) -> None:
    damage(data / name)
    arguments = ["train", "--backend", "numpy"] if command == "train" else ["evaluate", str(run), "--backend", "numpy"]
    result = cli(*arguments, "--data", "data")
    text = result.error()
    assert text.startswith("data")
    assert name in text
    assert message in text
    assert result.stdout == ""
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("away", "away: No such file or directory; expected a folder with the four IDX files"),
        ("file", "file: Not a directory; expected a folder with the four IDX files"),
        ("empty", f"empty: missing {IMAGES}, {LABELS}, {TEST_IMAGES}, {TEST_LABELS} (each may be named like "),
    ],
)
def test_no_data(name: str, message: str, cli: Cli) -> None:
    Path("file").touch()
    Path("empty").mkdir()
    assert cli("train", "--data", name, "--backend", "numpy").error().startswith(message)


def test_emnist_letters(cli: Cli, data: Path, folder: Path, run: Path) -> None:
    for path in data.iterdir():
        path.rename(data / f"emnist-letters-{path.name.replace('t10k', 'test')}")
    for path in data.glob("*labels*"):
        content = path.read_bytes()
        path.write_bytes(content[:8] + bytes(1 + i % 26 for i in range(len(content) - 8)))
    arguments = ("--data", "data", "--emnist", "letters", "--backend", "numpy")
    out = cli("train", *arguments, "--epochs", 1, "--out", "letters").good()
    assert out.startswith("lenet5 on EMNIST letters: 100 training images")
    assert json.loads(Path("letters/summary.json").read_text())["classes"] == 27
    assert "letters: lenet5 on EMNIST letters" in cli("evaluate", "letters", "--backend", "numpy").good()
    # Its classes include those of the digits, but not the other way round.
    assert "lenet5 on tiny" in cli("evaluate", "letters", "--backend", "numpy", "--data", folder).good()
    assert (
        cli("evaluate", run, *arguments)
        .error()
        .startswith(f"{run}: the model has 10 classes, but EMNIST letters has 27: ")
    )
    assert cli("train", *arguments[:2]).error().startswith(f"data: missing {IMAGES}")


def test_run_for_fewer_classes(cli: Cli, run: Path, data: Path) -> None:
    content = bytearray((data / TEST_LABELS).read_bytes())
    content[-1] = 25
    (data / TEST_LABELS).write_bytes(content)
    message = "run: the model has 10 classes, but data has 26: name the data that it was trained on"
    assert cli("evaluate", "run", "--data", "data", "--backend", "numpy").error() == message


# RUN


@pytest.mark.parametrize("command", [["evaluate"], ["predict", "seven.png"]])
def test_no_run_yet(command: list[str], cli: Cli, picture: Path, tmp_path: Path) -> None:
    expected = f"no finished run in {tmp_path}/runs: name one, or train one with `stackgrad-mnist train`"
    assert cli(*command).error() == expected


@pytest.mark.parametrize("command", [["evaluate"], ["predict", "seven.png", "--run"]])
def test_damaged_run(command: list[str], cli: Cli, run: Path, picture: Path) -> None:
    (run / "summary.json").write_text('{"model": "course", "classes": "many"}')
    assert cli(*command, "run").error() == 'run/summary.json: damaged: classes is "many", expected 1 to 256'
    cut(run / "model.safetensors")
    shutil.copy(run / "model.safetensors", run / "summary.json")
    assert cli(*command, "run").error().startswith("run/summary.json: damaged: ")
    assert cli(*command, "away").error() == "away: no such folder; expected one that `stackgrad-mnist train` made"


@pytest.mark.parametrize("command", [["evaluate"], ["predict", "seven.png", "--run"]])
def test_damaged_weights(command: list[str], cli: Cli, run: Path, picture: Path) -> None:
    path = run / "model.safetensors"
    content = path.read_bytes()
    cut(path)
    assert cli(*command, "run").error().startswith("run/model.safetensors is damaged or not a safetensors file: ")
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert cli(*command, "run").error().startswith("run/model.safetensors: damaged: the checksum does not match")


def test_a_run_in_an_older_format(cli: Cli, run: Path) -> None:
    summary = json.loads((run / "summary.json").read_text())
    del summary["arguments"]["emnist"], summary["arguments"]["limit"]
    save_run(run, load_run(run).model, summary)
    assert " of 50 images)" in cli("evaluate", "run", "--backend", "numpy").good()
