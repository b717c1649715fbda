import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stackgrad import nn
from stackgrad.mnist.runs.checkpoints import Checkpoints, digest
from stackgrad.tensor import Generator, from_numpy, randn, set_default_backend


@pytest.fixture(autouse=True)
def _on_numpy() -> None:
    set_default_backend("numpy")


@pytest.fixture
def state() -> dict[str, Any]:
    return {
        "model": {"a": randn(3, 4, generator=Generator(0))},
        "optimizer": {"b": randn(2, generator=Generator(1)), "settings": {"lr": 0.5}},
        "best_loss": float("inf"),
        "metrics": [{"loss": 0.1}, (None, True)],
        "text": "é",
    }


def test_save_and_load_a_checkpoint(state: dict[str, Any], tmp_path: Path) -> None:
    Checkpoints(tmp_path).save(3, state)
    found, flaws = Checkpoints(tmp_path).last_good()
    assert found is not None
    assert (found.step, flaws) == (3, [])
    assert found.path == tmp_path / "checkpoints/step-00000003.safetensors"
    assert list(found.state) == list(state)
    assert found.state["metrics"] == state["metrics"]
    assert digest(found.state) == digest(state)


def test_the_last_two_are_kept(state: dict[str, Any], tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    for step in (0, 9, 10, 100_000_000):  # more digits than the name is padded to
        checkpoints.save(step, state)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == [
        "step-00000010.safetensors",
        "step-100000000.safetensors",
    ]
    assert [path.stem for path in checkpoints.paths()] == ["step-100000000", "step-00000010"]


def test_equal_states_give_equal_files(state: dict[str, Any], tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        Checkpoints(tmp_path / name).save(1, state)
    (a,), (b,) = (Checkpoints(tmp_path / name).paths() for name in "ab")
    assert a.read_bytes() == b.read_bytes()


def test_none_yet(tmp_path: Path) -> None:
    assert Checkpoints(tmp_path).last_good() == (None, [])
    assert Checkpoints(tmp_path / "away").paths() == []


def damaged(content: bytes) -> Iterator[bytes]:
    """The file emptied, truncated, lengthened, replaced, or with one bit flipped."""
    generator = np.random.default_rng(0)
    for length in (0, 1, 8, *generator.integers(8, len(content), 20), len(content) - 1):
        yield content[: int(length)]
    yield content + b"x"
    yield b"PK\3\4" + bytes(1000)
    header = 8 + struct.unpack("<Q", content[:8])[0]
    padding = range(len(content[:header].rstrip(b" ")), header)  # a change to the header's padding may do nothing
    for bit in range(0, 8 * len(content), 7):
        if bit // 8 not in padding:
            flipped = bytearray(content)
            flipped[bit // 8] ^= 1 << bit % 8
            yield bytes(flipped)


def test_if_one_is_damaged_the_previous_one_is_used(state: dict[str, Any], tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, state)
    checkpoints.save(2, state)
    last, before = checkpoints.paths()
    content = last.read_bytes()
    for bad in damaged(content):
        last.write_bytes(bad)
        found, flaws = checkpoints.last_good()
        assert found is not None
        assert found.path == before
        assert len(flaws) == 1
        assert flaws[0].startswith(str(last))
        assert "\n" not in flaws[0]
    before.unlink()
    found, flaws = checkpoints.last_good()
    assert found is None
    assert len(flaws) == 1


def test_a_file_without_a_checksum(state: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    path = tmp_path / "checkpoints/step-00000001.safetensors"
    nn.save(path, state)
    expected = f"{path}: damaged: the checksum does not match the contents"
    assert Checkpoints(tmp_path).last_good() == (None, [expected])


def test_files_with_other_names_are_ignored(state: dict[str, Any], tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, state)
    for name in ("step-x.safetensors", "step-2.txt", "best.safetensors", "step-2-old.safetensors"):
        (checkpoints.folder / name).touch()
    assert [path.name for path in checkpoints.paths()] == ["step-00000001.safetensors"]


def test_remove_from(state: dict[str, Any], tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(10, state)
    checkpoints.save(20, state)
    checkpoints.remove_from(21)
    assert len(checkpoints.paths()) == 2
    checkpoints.remove_from(20)
    assert [path.stem for path in checkpoints.paths()] == ["step-00000010"]


def test_digest_depends_on_structure_names_shapes_dtypes_and_values() -> None:
    zeros = np.zeros(6, np.float32)
    states = [
        {"a": from_numpy(zeros)},
        {"b": from_numpy(zeros)},
        {"a": from_numpy(zeros.reshape(2, 3))},
        {"a": from_numpy(zeros.astype(np.float64)[:3])},
        {"a": from_numpy(np.float32([0, 0, 0, 0, 0, 1]))},
        {"a": from_numpy(zeros), "b": {}},
        {"a": from_numpy(zeros), "b": []},
        {"a": from_numpy(zeros), "b": ()},
        {"a": from_numpy(zeros), "b": [[]]},
        {"a": from_numpy(zeros), "b": {"c": 1}},
        {"a": from_numpy(zeros), "b.c": 1},
        {"a": from_numpy(zeros), "b": 1},
        {"a": from_numpy(zeros), "b": 1.0},
        {"a": from_numpy(zeros), "b": True},
        {"a": from_numpy(zeros), "b": "1"},
        {"a": from_numpy(zeros), "b": None},
    ]
    assert len({digest(state) for state in states}) == len(states)


def test_digest_does_not_depend_on_the_order_of_names() -> None:
    state: dict[str, Any] = {"b": {"x": 1, "a": 2}, "a": 3}
    assert digest(state) == digest({"a": 3, "b": {"a": 2, "x": 1}})
