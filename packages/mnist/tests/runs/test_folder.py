import json
import os
import re
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stackgrad import nn
from stackgrad.mnist import make_model
from stackgrad.mnist.runs.folder import RunError, load_run, new_run, newest_run, save_run
from stackgrad.tensor import set_default_backend

SUMMARY: dict[str, Any] = {"model": "course", "classes": 10, "test_accuracy": 0.5, "arguments": {}}


@pytest.fixture(autouse=True)
def _on_numpy() -> None:
    set_default_backend("numpy")


@pytest.fixture
def run(trained_course: Path, tmp_path: Path) -> Path:
    """A copy of a run that tests may damage."""
    shutil.copytree(trained_course, tmp_path / "run")
    return tmp_path / "run"


def message(call: Callable[[], object]) -> str:
    """The one-line message of the RunError that a call raises."""
    with pytest.raises(RunError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def finish(folder: Path, seconds: int) -> Path:
    """Make a folder that `newest_run` takes for a run finished at that time."""
    folder.mkdir(parents=True)
    (folder / "summary.json").touch()
    os.utime(folder / "summary.json", (seconds, seconds))
    return folder


# A folder for a new run


def test_default_folders_are_new_ones(tmp_path: Path) -> None:
    folders = [new_run(None, "lenet5") for _ in range(3)]
    assert len(set(folders)) == 3
    for folder in folders:
        assert re.fullmatch(r"runs/\d{8}-\d{6}-lenet5(-\d)?", folder.as_posix())
        assert (tmp_path / folder).is_dir()


def test_named_folder(tmp_path: Path) -> None:
    assert new_run(Path("a/b"), "course") == Path("a/b")
    assert (tmp_path / "a/b").is_dir()
    (tmp_path / "empty").mkdir()
    assert new_run(tmp_path / "empty", "course") == tmp_path / "empty"


def test_folder_that_is_not_empty(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/note").touch()
    assert message(lambda: new_run(Path("full"), "course")) == "full: the folder is not empty; name another with --out"
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["note"]


def test_not_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert message(lambda: new_run(Path("file"), "course")) == "file: not a folder; name another with --out"
    below = message(lambda: new_run(Path("file/below"), "course"))
    assert below == "file/below: cannot write a run there (Not a directory); name another with --out"
    (tmp_path / "runs").touch()
    assert message(lambda: new_run(None, "course")).startswith("runs: cannot write a run there (")


def test_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "touch", deny)  # permissions do not stop root
    text = message(lambda: new_run(Path("out"), "course"))
    assert text == "out: cannot write a run there (Permission denied); name another with --out"


# Finding a run


def test_newest_run_is_the_one_that_finished_last(tmp_path: Path) -> None:
    finish(tmp_path / "runs/a", 200)
    finish(tmp_path / "runs/b", 300)
    finish(tmp_path / "runs/c", 100)
    (tmp_path / "runs/d").mkdir()
    assert newest_run() == Path("runs/b")


def test_no_run(tmp_path: Path) -> None:
    expected = f"no finished run in {tmp_path}/runs: name one, or train one with `stackgrad-mnist train`"
    assert message(newest_run) == expected
    (tmp_path / "runs/unfinished").mkdir(parents=True)
    assert message(lambda: load_run()) == expected


# Loading a run


def test_save_and_load_a_run(tmp_path: Path) -> None:
    model = make_model("lenet5", classes=12)
    save_run(tmp_path, model, SUMMARY | {"model": "lenet5", "classes": 12, "more": [1, None]})
    run = load_run(tmp_path)
    assert run.folder == tmp_path
    assert run.summary == SUMMARY | {"model": "lenet5", "classes": 12, "more": [1, None]}
    assert type(run.model) is type(model)
    assert not run.model.training
    for name, tensor in model.state_dict().items():
        np.testing.assert_array_equal(run.model.state_dict()[name].numpy(), tensor.numpy())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.safetensors", "summary.json"]


def test_equal_weights_give_equal_files(run: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    again.mkdir()
    save_run(again, load_run(run).model, SUMMARY)
    assert (again / "model.safetensors").read_bytes() == (run / "model.safetensors").read_bytes()


@pytest.mark.parametrize("backend", ["cpu", "numpy"])
def test_a_run_can_be_loaded_on_any_backend(backend: str, trained_course: Path) -> None:
    set_default_backend(backend)
    assert {parameter.backend.name for parameter in load_run(trained_course).model.parameters()} == {backend}


def test_without_a_summary_a_run_is_not_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        save_run(tmp_path, make_model("course"), SUMMARY)
    assert not (tmp_path / "summary.json").exists()


def test_no_such_folder() -> None:
    expected = "away: no such folder; expected one that `stackgrad-mnist train` made"
    assert message(lambda: load_run(Path("away"))) == expected
    Path("away").touch()
    assert message(lambda: load_run(Path("away"))) == expected


@pytest.mark.parametrize("name", ["summary.json", "model.safetensors"])
def test_missing_file(run: Path, name: str) -> None:
    shutil.rmtree(run / "checkpoints")
    (run / name).unlink()
    assert message(lambda: load_run(run)) == f"{run}: no {name} there; expected the folder of a finished run"


def test_an_unfinished_run(run: Path) -> None:
    (run / "summary.json").unlink()
    assert message(lambda: load_run(run)) == (
        f"{run}: this run is not finished; resume it with `stackgrad-mnist train --resume {run}`"
    )


def test_folder_instead_of_a_file(run: Path) -> None:
    (run / "summary.json").unlink()
    (run / "summary.json").mkdir()
    assert message(lambda: load_run(run)) == f"{run}: cannot be read (Is a directory)"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "Expecting value"),
        ("{", "Expecting property name"),
        ("[]", "expected an object, got list"),
        ("3", "expected an object, got int"),
        ("\xff\xfe", "'utf-8' codec can't decode"),
        ("[" * 100_000, "recursion"),
        ("9" * 5000, "Exceeds the limit"),
    ],
)
def test_file_that_is_not_a_summary(run: Path, content: str, expected: str) -> None:
    (run / "summary.json").write_bytes(content.encode("latin-1"))
    text = message(lambda: load_run(run))
    assert text.startswith(f"{run}/summary.json: damaged: ")
    assert expected in text


@pytest.mark.parametrize("length", [1, 20, 200])
def test_truncated_summary(run: Path, length: int) -> None:
    path = run / "summary.json"
    path.write_bytes(path.read_bytes()[:length])
    assert message(lambda: load_run(run)).startswith(f"{path}: damaged: ")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"model": "resnet"}, 'model is "resnet", expected one of lenet5, course, convnet'),
        ({"model": ["course"]}, 'model is ["course"], expected one of'),
        ({"model": None}, "model is null, expected one of"),
        ({"classes": "ten"}, 'classes is "ten", expected 1 to 256'),
        ({"classes": 10.5}, "classes is 10.5, expected 1 to 256"),
        ({"classes": True}, "classes is true, expected 1 to 256"),
        ({"classes": 0}, "classes is 0, expected 1 to 256"),
        ({"classes": 10**12}, "classes is 1000000000000, expected 1 to 256"),
        ({"test_accuracy": "good"}, 'test_accuracy is "good", expected 0.0 to 1.0'),
        ({"test_accuracy": float("nan")}, "test_accuracy is NaN, expected 0.0 to 1.0"),
        ({"arguments": None}, "arguments is null, expected an object"),
        ({"arguments": ["data"]}, 'arguments is ["data"], expected an object'),
        ({"arguments": {"data": 5}}, "data is 5, expected the path of a folder, or null"),
        ({"arguments": {"data": "a\0b"}}, r'data is "a\u0000b", expected the path of a folder, or null'),
        ({"arguments": {"data": "\ud800"}}, r'data is "\ud800", expected the path of a folder, or null'),
        ({"arguments": {"emnist": "latin"}}, 'emnist is "latin", expected one of balanced, byclass'),
        ({"arguments": {"emnist": {}}}, "emnist is {}, expected one of"),
        ({"arguments": {"limit": -1}}, "limit is -1, expected a whole number from 1, or null"),
        ({"arguments": {"limit": "all"}}, 'limit is "all", expected a whole number'),
    ],
)
def test_summary_with_a_wrong_value(run: Path, change: dict[str, object], expected: str) -> None:
    path = run / "summary.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert message(lambda: load_run(run)).startswith(f"{path}: damaged: {expected}")


@pytest.mark.parametrize("key", ["model", "classes", "test_accuracy", "arguments"])
def test_summary_without_a_key(run: Path, key: str) -> None:
    path = run / "summary.json"
    summary = json.loads(path.read_text())
    del summary[key]
    path.write_text(json.dumps(summary))
    assert message(lambda: load_run(run)).startswith(f"{path}: damaged: {key} is null, expected ")


@pytest.mark.parametrize("length", [0, 4, 8, 100, -1])
def test_truncated_weights(run: Path, length: int) -> None:
    path = run / "model.safetensors"
    path.write_bytes(path.read_bytes()[:length])
    assert message(lambda: load_run(run)).startswith(f"{path} is damaged or not a safetensors file: ")


def test_file_that_is_not_weights(run: Path) -> None:
    path = run / "model.safetensors"
    path.write_bytes(b"PK\3\4" + bytes(1000))
    assert message(lambda: load_run(run)).startswith(f"{path} is damaged or not a safetensors file: ")


def test_weights_with_a_bit_flipped_anywhere(run: Path) -> None:
    path = run / "model.safetensors"
    content = path.read_bytes()
    start, header = 8 * 12, 8 * (8 + struct.unpack("<Q", content[:8])[0])
    generator = np.random.default_rng(0)
    inside, behind = generator.integers(start, header, 400), generator.integers(header, 8 * len(content), 60)
    messages = []
    for bit in (*range(start), *inside, *behind):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        messages.append(message(lambda: load_run(run)))
    assert all(text.startswith(str(path)) for text in messages)
    assert all("the checksum does not match" in text for text in messages[-60:])


def test_weights_of_another_model(run: Path, tmp_path: Path) -> None:
    save_run(tmp_path, make_model("lenet5"), SUMMARY)
    shutil.copy(tmp_path / "model.safetensors", run)
    text = message(lambda: load_run(run))
    assert text.startswith(f"{run}/model.safetensors: the state does not fit Course: missing: conv1.weight, ")


def test_weights_for_other_classes(run: Path, tmp_path: Path) -> None:
    save_run(tmp_path, make_model("course", classes=27), SUMMARY)
    shutil.copy(tmp_path / "model.safetensors", run)
    expected = "the state does not fit Course: linear2.weight has shape (27, 64), expected (10, 64)"
    assert message(lambda: load_run(run)).startswith(f"{run}/model.safetensors: {expected}")


def test_weights_without_a_checksum(run: Path) -> None:
    nn.save(run / "model.safetensors", make_model("course"))
    assert "the checksum does not match" in message(lambda: load_run(run))
