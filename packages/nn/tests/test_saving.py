"""Saving and loading: round trips and damaged files."""

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


def test_views_are_saved_by_their_values(path: Path) -> None:
    x = sg.arange(6).reshape(2, 3)
    nn.save(path, {"transposed": x.T, "part": x[:, 1], "wide": sg.ones(1).expand(3)})
    loaded = nn.load(path)
    assert loaded["transposed"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert loaded["part"].tolist() == [1, 4]
    assert loaded["wide"].tolist() == [1.0, 1.0, 1.0]


def test_other_programs_read_the_file(path: Path) -> None:
    nn.save(path, {"a": sg.tensor([[1.0, 2.0]])})
    np.testing.assert_array_equal(safetensors.numpy.load_file(path)["a"], np.array([[1, 2]], np.float32))


def test_loaded_tensors_own_their_memory(path: Path) -> None:
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


def test_saving_replaces_an_old_file(path: Path) -> None:
    nn.save(path, {"a": sg.ones(1)})
    nn.save(path, {"b": sg.zeros(1)})
    assert list(nn.load(path)) == ["b"]
    assert os.listdir(path.parent) == [path.name]


def test_file_permissions_are_the_usual_ones(path: Path) -> None:
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
def test_a_damaged_file_gives_a_one_line_error(function: Any, damage: Any, path: Path) -> None:
    nn.save(path, {"a": sg.ones(4)})
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=re.escape(f"{path} is damaged or not a safetensors file: ")) as caught:
        function(path)
    assert "\n" not in str(caught.value)


def test_small_dtypes_of_other_programs(path: Path) -> None:
    """float16 loads as float32, small integers as int64."""
    values = [1.5, -0.1, 65504.0, 6e-8, np.inf, np.nan]
    arrays = {"half": np.array(values, np.float16)} | {
        dtype: np.array([np.iinfo(dtype).min, np.iinfo(dtype).max], dtype)
        for dtype in ("int8", "int16", "int32", "uint8", "uint16", "uint32")
    }
    safetensors.numpy.save_file(arrays, path)
    for name, tensor in nn.load(path).items():
        assert tensor.dtype == (sg.float32 if name == "half" else sg.int64)
        np.testing.assert_array_equal(tensor.numpy(), arrays[name])


def test_bfloat16_of_other_programs(path: Path) -> None:
    """NumPy lacks the dtype, so the test writes the file itself."""
    header = b'{"a":{"dtype":"BF16","shape":[2,2],"data_offsets":[2,10]},"b":{"dtype":"BF16","shape":[],'
    header += b'"data_offsets":[0,2]},"c":{"dtype":"F32","shape":[1],"data_offsets":[10,14]}}'
    values = np.array([0x4049, 0x3F80, 0xBFC0, 0x7F80, 0x0001], "<u2")
    path.write_bytes(len(header).to_bytes(8, "little") + header + values.tobytes() + np.float32([7]).tobytes())
    loaded = nn.load(path)
    assert {name: tensor.tolist() for name, tensor in loaded.items()} == {
        "a": [[1.0, -1.5], [float("inf"), 2.0**-133]],
        "b": 3.140625,
        "c": [7.0],
    }
    assert all(tensor.dtype == sg.float32 for tensor in loaded.values())


def test_an_unsupported_dtype(path: Path) -> None:
    safetensors.numpy.save_file({"big": np.ones(2, np.uint64)}, path)
    with pytest.raises(ValueError, match="tensor 'big' has dtype U64; expected one of F64, F32, F16, BF16, I64, BOOL"):
        nn.load(path)


# ------------------------------------------------------------------------------------------------------ nested states


def same(a: Any, b: Any) -> bool:
    """Whether two states have the same nesting, types and bitwise values."""
    if isinstance(a, sg.Tensor):
        return isinstance(b, sg.Tensor) and a.dtype == b.dtype and a.shape == b.shape and _bits(a) == _bits(b)
    if isinstance(a, dict):
        return type(b) is dict and list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and repr(a) == repr(b)


def _bits(x: sg.Tensor) -> bytes:
    return x.detach().numpy().tobytes()


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4)
keys = st.text("ab.'", max_size=3) | st.integers(-1, 1) | st.none()
states = st.recursive(
    scalars | arrays.map(sg.tensor),
    lambda inner: st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple) | st.dictionaries(keys, inner),
    max_leaves=8,
)


@settings(max_examples=100)
@given(state=st.dictionaries(keys, states, max_size=3))
def test_nested_states_round_trip(tmp_path_factory: pytest.TempPathFactory, state: dict[Any, Any]) -> None:
    path = tmp_path_factory.mktemp("saving") / "state.safetensors"
    nn.save(path, state, {"note": "é"})
    loaded = nn.load(path)
    if all(isinstance(name, str) and isinstance(value, sg.Tensor) for name, value in state.items()):
        state = {name: state[name] for name in loaded}  # a flat state has the order of the file
    assert same(state, loaded)
    assert nn.load_metadata(path) == {"note": "é"}


@pytest.mark.parametrize("make", [lambda params: nn.SGD(params, 0.1, 0.9, nesterov=True), nn.Adam, nn.AdamW])
def test_save_and_resume_a_training(make: Any, path: Path) -> None:
    def begin() -> tuple[Any, Any, Any]:
        model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
        optimizer = make(model.parameters())
        return model, optimizer, nn.Cosine(optimizer, 9)

    def resume(model: Any, optimizer: Any, schedule: Any, steps: int) -> list[Any]:
        for step in range(steps):
            optimizer.zero_grad()
            model(sg.randn(5, 3, generator=sg.Generator(step))).sum().backward()
            optimizer.step()
            schedule.step()
        return [tensor.tolist() for tensor in model.state_dict().values()]

    names, parts = ("model", "optimizer", "schedule"), begin()
    resume(*parts, 3)
    state = {name: part.state_dict() for name, part in zip(names, parts, strict=True)} | {"epoch": 3}
    nn.save(path, state)
    loaded = nn.load(path)
    assert same(state, loaded)
    with safetensors.safe_open(path, framework="numpy") as file:  # type: ignore[no-untyped-call]
        assert set(file.keys()) >= {"model.0.weight", "model.1.running_mean"}
    other = begin()
    for name, part in zip(names, other, strict=True):
        part.load_state_dict(loaded[name])
    assert resume(*parts, 4) == resume(*other, 4)


def test_equal_states_make_equal_files(path: Path) -> None:
    contents = set()
    for _ in range(8):
        nn.save(path, {"a": {"b": sg.ones(2)}, "c": 1}, {name: name for name in "zyxabc"})
        contents.add(path.read_bytes())
    assert len(contents) == 1


@pytest.mark.parametrize("damage", ['"x":', '{"tensor":"b"}', '{"other":1}', "{}", "[[[", '{"dict":3}', "[1]", "3"])
def test_a_nesting_that_does_not_match_its_tensors(damage: str, path: Path) -> None:
    safetensors.numpy.save_file({"a": np.ones(1)}, path, {"stackgrad.state": damage})
    with pytest.raises(ValueError, match=r"is damaged: its metadata 'stackgrad.state' does not match its tensors"):
        nn.load(path)


def test_values_that_cannot_be_saved(path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=re.escape(f"there is no folder {path.parent / 'none'}")):
        nn.save(path.parent / "none" / "a.safetensors", {})
    holds_itself: dict[str, Any] = {"a": [1]}
    holds_itself["a"].append(holds_itself)
    for state, message in (
        ({"a": np.ones(1)}, "cannot save 'a': got a NumPy array, expected a tensor, a number, .*; use tensor"),
        ({"a": [{"b": {1}}]}, "cannot save 'a.0.b': got set, expected a tensor, "),
        ({"a": {"lr": np.float32(1)}}, r"cannot save 'a.lr': got float32, a NumPy scalar: use .item\(\)"),
        ({"model": nn.ReLU()}, "cannot save 'model': got ReLU, expected a tensor, "),
        ({("a", 1): 1}, r"cannot save the key \('a', 1\)"),
        ([sg.ones(1)], "save takes a Module or a mapping of names; got list"),
    ):
        with pytest.raises(TypeError, match=message):
            nn.save(path, state)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="save takes the path first, then the state; got dict as the path"):
        nn.save({"a": sg.ones(1)}, path)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"cannot save 'a.1': it holds itself"):
        nn.save(path, holds_itself)
    with pytest.raises(TypeError, match=r"metadata must map names to text, .*; got 'epoch': 3"):
        nn.save(path, {"a": sg.ones(1)}, {"epoch": 3})  # type: ignore[dict-item]
    assert not path.exists()
