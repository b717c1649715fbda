import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock

from stackgrad.mnist import Dataset, load
from stackgrad.mnist.data.fetch import FetchError, fetch
from stackgrad.mnist.data.published import PUBLISHED

Mirror = Any
NAME = "train-images-idx3-ubyte.gz"


def counted(folder: Path, *mirrors: str) -> int:
    """Fetch the data set. Returns the sum of the reported counts of bytes."""
    counts: list[int] = []
    fetch("fashion-mnist", folder, mirrors, counts.append)
    return sum(counts)


def test_fetch(mirror: Mirror, tiny: Dataset, tmp_path: Path) -> None:
    assert counted(tmp_path / "a/b") == PUBLISHED["fashion-mnist"].size
    found = load(tmp_path / "a/b")
    assert np.array_equal(found.train.images, tiny.train.images)
    assert np.array_equal(found.test.labels, tiny.test.labels)
    assert not list(tmp_path.rglob("*.partial"))


def test_correct_files_are_not_fetched_again(mirror: Mirror, tmp_path: Path) -> None:
    counted(tmp_path)
    (tmp_path / NAME).write_bytes(b"damaged")
    mirror.asked.clear()
    assert counted(tmp_path) == PUBLISHED["fashion-mnist"].size
    assert mirror.asked == [(NAME, None)]


@pytest.mark.parametrize("mode", ["whole", "without ranges"])
def test_an_interrupted_fetch_continues(mode: str, mirror: Mirror, tmp_path: Path) -> None:
    mirror.mode = "half"
    with pytest.raises(FetchError, match=re.escape(f"{mirror.url}{NAME}: ")):
        counted(tmp_path)
    half = (tmp_path / f"{NAME}.partial").stat().st_size
    assert half == len(mirror.files[NAME]) // 2
    mirror.mode = mode
    mirror.asked.clear()
    assert counted(tmp_path) == PUBLISHED["fashion-mnist"].size
    assert mirror.asked[0] == (NAME, f"bytes={half}-")
    assert len(mirror.asked) == 4
    load(tmp_path)


def test_a_wrong_partial_file_is_fetched_again(mirror: Mirror, tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.partial").write_bytes(b"something else")
    assert counted(tmp_path) == PUBLISHED["fashion-mnist"].size
    assert [wanted for name, wanted in mirror.asked if name == NAME] == ["bytes=14-", None]


@pytest.mark.parametrize("extra", [0, 5])
def test_a_partial_file_as_large_as_the_whole(extra: int, mirror: Mirror, tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.partial").write_bytes(bytes(len(mirror.files[NAME]) + extra))
    counted(tmp_path)
    load(tmp_path)


def test_the_next_mirror_is_tried(mirror: Mirror, tmp_path: Path) -> None:
    away = "http://127.0.0.1:9/away"  # no server listens there
    assert counted(tmp_path, away, mirror.url) == PUBLISHED["fashion-mnist"].size


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("absent", "Not Found"),
        ("half", "ended after|IncompleteRead"),
        ("altered", r"not the published file \(its SHA-256 differs\)"),
        ("endless", r"not the published file \(its SHA-256 differs\)"),
    ],
)
def test_a_bad_mirror(mode: str, reason: str, mirror: Mirror, tmp_path: Path) -> None:
    mirror.mode = mode
    with pytest.raises(FetchError, match=f"^http://127[^ ]+{NAME}: .*({reason})") as caught:
        counted(tmp_path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / NAME).exists()


def test_no_mirror_answers(mirror: Mirror, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=r"^http://127.0.0.1:9/tr\S+: .*refused; http://127.0.0.1:10/tr\S+: .*d$"):
        counted(tmp_path, "http://127.0.0.1:9/", "http://127.0.0.1:10")


def test_two_processes_at_once(mirror: Mirror, tmp_path: Path) -> None:
    with FileLock(tmp_path / ".lock"), pytest.raises(FetchError, match="another process is fetching there"):
        counted(tmp_path)
