"""Saving and loading: round trips, and files that are not what they should be."""

import errno
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import stackgrad.tensor as sg
from stackgrad import nn


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


arrays = st.sampled_from([np.float32, np.float64, np.int64, np.bool_]).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
)


@settings(max_examples=40)
@given(state=st.dictionaries(st.text("abc.0é", min_size=1, max_size=8), arrays, max_size=3))
def test_round_trip_to_the_bit(tmp_path_factory: pytest.TempPathFactory, state: dict[str, Any]) -> None:
    path = tmp_path_factory.mktemp("saving") / "state.safetensors"
    nn.save(path, {name: sg.tensor(array) for name, array in state.items()})
    loaded = nn.load(path)
    assert set(loaded) == set(state)
    for name, array in state.items():
        assert loaded[name].dtype == array.dtype
        assert loaded[name].shape == array.shape
        assert loaded[name].numpy().tobytes() == array.tobytes()


def test_a_module_with_buffers_and_metadata(path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    model(sg.rand(2, 1, 5, 5))
    nn.save(path, model, {"model": "tiny", "seed": "0"})
    assert nn.load_metadata(path) == {"model": "tiny", "seed": "0"}
    other = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    other.load_state_dict(nn.load(path))
    for (name, a), (_, b) in zip(model.state_dict().items(), other.state_dict().items(), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy(), err_msg=name)


def test_without_metadata(path: Path) -> None:
    nn.save(path, {"a": sg.ones(1)})
    assert nn.load_metadata(path) == {}


def test_views_are_saved_as_they_are_seen(path: Path) -> None:
    x = sg.arange(6).reshape(2, 3)
    nn.save(path, {"turned": x.T, "part": x[:, 1], "wide": sg.ones(1).expand(3)})
    loaded = nn.load(path)
    assert loaded["turned"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert loaded["part"].tolist() == [1, 4]
    assert loaded["wide"].tolist() == [1.0, 1.0, 1.0]


def test_other_programs_read_the_file(path: Path) -> None:
    nn.save(path, {"a": sg.tensor([[1.0, 2.0]])})
    np.testing.assert_array_equal(safetensors.numpy.load_file(path)["a"], np.array([[1, 2]], np.float32))


def test_loaded_tensors_are_one_s_own(path: Path) -> None:
    nn.save(path, {"a": sg.ones(2)})
    loaded = nn.load(path, backend="numpy")["a"]
    assert loaded.backend.name == "numpy"
    loaded.mul_(5)
    assert nn.load(path)["a"].tolist() == [1.0, 1.0]


@pytest.mark.parametrize("name", ["fsync", "replace"])
def test_a_failed_save_leaves_the_old_file_and_nothing_else(
    name: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nn.save(path, {"a": sg.ones(1)})

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "disk full")

    monkeypatch.setattr(os, name, fail)
    with pytest.raises(OSError, match=re.escape(f"disk full: '{path}'")):
        nn.save(path, {"a": sg.zeros(1)})
    monkeypatch.undo()
    assert nn.load(path)["a"].tolist() == [1.0]
    assert os.listdir(path.parent) == [path.name]


def test_saving_replaces(path: Path) -> None:
    nn.save(path, {"a": sg.ones(1)})
    nn.save(path, {"b": sg.zeros(1)})
    assert list(nn.load(path)) == ["b"]
    assert os.listdir(path.parent) == [path.name]


def test_who_may_read_the_file_is_as_for_any_other(path: Path) -> None:
    nn.save(path, {"a": sg.ones(1)})
    plain = path.with_name("plain")
    plain.touch()
    assert path.stat().st_mode == plain.stat().st_mode


@pytest.mark.parametrize("function", [nn.load, nn.load_metadata])
def test_a_missing_file(function: Any, path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=re.escape(f"there is no file {path}")):
        function(path)
    with pytest.raises(FileNotFoundError, match=re.escape(f"there is no file {path.parent}")):
        function(path.parent)


@pytest.mark.parametrize("function", [nn.load, nn.load_metadata])
@pytest.mark.parametrize(
    "damage",
    [
        lambda good: b"",
        lambda good: good[:5],
        lambda good: good[:20],
        lambda good: good[:-1],
        lambda good: good + b"\0",
        lambda good: b"\xff" * 64,
        lambda good: b"\x80\x04\x95" + good,
        lambda good: good.replace(b"F32", b"X32"),
    ],
)
def test_a_damaged_file_is_one_line(function: Any, damage: Any, path: Path) -> None:
    nn.save(path, {"a": sg.ones(4)})
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=re.escape(f"{path} is damaged or not a safetensors file: ")) as caught:
        function(path)
    assert "\n" not in str(caught.value)


def test_a_dtype_that_tensors_do_not_have(path: Path) -> None:
    safetensors.numpy.save_file({"half": np.ones(2, np.float16)}, path)
    with pytest.raises(ValueError, match=re.escape("tensor 'half' has dtype F16; expected one of F32, F64, I64, BOOL")):
        nn.load(path)


def test_what_cannot_be_saved(path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=re.escape(f"there is no folder {path.parent / 'none'}")):
        nn.save(path.parent / "none" / "a.safetensors", {})
    with pytest.raises(TypeError, match="cannot save 'a': expected a Tensor, got ndarray"):
        nn.save(path, {"a": np.ones(1)})  # type: ignore[dict-item]
    with pytest.raises(TypeError, match="metadata must be text by name; got 'epoch': 3"):
        nn.save(path, {"a": sg.ones(1)}, {"epoch": 3})  # type: ignore[dict-item]
    assert not path.exists()
