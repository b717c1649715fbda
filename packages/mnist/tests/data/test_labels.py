import sys
from pathlib import Path

import pytest

from stackgrad.mnist import Dataset
from stackgrad.mnist.data.labels import LabelError, class_names, default_labels, expect_fitting, name_of, read_labels
from stackgrad.mnist.data.published import PUBLISHED, folder_of


def test_names_between_commas() -> None:
    assert read_labels("shirt, Ankle boot ,ü") == ["shirt", "Ankle boot", "ü"]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_names_in_a_file(end: str) -> None:
    Path("names.txt").write_bytes(f"T-shirt, top{end} boot{end}".encode())
    assert read_labels("names.txt") == ["T-shirt, top", "boot"]


def test_names_in_a_file_of_windows() -> None:
    Path("names.txt").write_bytes("\ufeffあ\r\nい\r\n".encode())
    assert read_labels("names.txt") == ["あ", "い"]


@pytest.mark.skipif(sys.platform == "win32", reason="arguments are text there")
def test_names_that_python_decoded_as_bytes() -> None:
    assert read_labels("あ,い".encode().decode("ascii", "surrogateescape")) == ["あ", "い"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "names: No such file or directory; expected a file with one name per line, or names separated"),
        (b"\xff\xfe", "names: not text in UTF-8; expected"),
        (b"a\n\nb", "the name of class 1 is '': expected a printable name"),
        (b"a\nb\x1b[1m", "the name of class 1 is 'b.x1b.1m': expected a printable name"),
        (b"x" * 70_000, "names: more than 65,536 characters: too long for names of classes"),
    ],
)
def test_files_that_are_refused(content: bytes | None, message: str) -> None:
    if content is not None:
        Path("names").write_bytes(content)
    with pytest.raises(LabelError, match=message):
        read_labels("names")


def test_an_empty_name() -> None:
    with pytest.raises(LabelError, match="the name of class 1 is ''"):
        read_labels("a,,b")


def test_a_name_that_is_used_twice() -> None:
    with pytest.raises(LabelError, match="classes 0 and 2 are both named 'a': use different names"):
        read_labels("a,b,a")


@pytest.mark.parametrize("count", [9, 11])
def test_as_many_names_as_classes(count: int, tiny: Dataset) -> None:
    expect_fitting(["x"] * 10, tiny)
    with pytest.raises(LabelError, match=f"got {count} names of classes, but MNIST has 10 classes"):
        expect_fitting(["x"] * count, tiny)


def test_a_class_without_a_name_shows_its_label() -> None:
    assert [name_of(label, ["a"]) for label in (0, 1)] == ["a", "1"]
    assert name_of(7, None) == "7"


def test_fetched_data_sets_have_names() -> None:
    names = default_labels(folder_of("fashion-mnist"))
    assert names == list(PUBLISHED["fashion-mnist"].labels)
    assert names is not None
    assert (names[0], names[9]) == ("T-shirt/top", "Ankle boot")
    assert default_labels(Path("fashion-mnist")) is None
    assert default_labels(None) is None


@pytest.mark.parametrize(
    ("emnist", "classes", "some"),
    [
        ("balanced", 47, {0: "0", 10: "A", 35: "Z", 36: "a", 38: "d", 46: "t"}),
        ("bymerge", 47, {46: "t"}),
        ("byclass", 62, {9: "9", 10: "A", 35: "Z", 36: "a", 61: "z"}),
        ("letters", 27, {1: "A", 26: "Z"}),
        ("digits", 10, {9: "9"}),
        ("mnist", 10, {0: "0"}),
        (None, 30, {0: "0", 29: "29"}),
    ],
)
def test_emnist_has_names(emnist: str | None, classes: int, some: dict[int, str]) -> None:
    names = class_names({"classes": classes, "arguments": {"emnist": emnist}})
    assert len(names) == len(set(names)) == classes
    assert {label: names[label] for label in some} == some


def test_given_names_override_the_names_of_the_run_and_these_emnist() -> None:
    summary = {"classes": 3, "arguments": {"emnist": "letters", "labels": ["a", "b", "c"]}}
    assert class_names(summary) == ["a", "b", "c"]
    assert class_names(summary, ["x", "y"]) == ["x", "y", "2"]
    assert class_names({"classes": 2, "arguments": {}}) == ["0", "1"]
