import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from stackgrad.mnist import Split
from stackgrad.mnist.pictures import confusion

from .conftest import shown

LETTERS = [chr(ord("A") + i) for i in range(26)]


def random_counts(classes: int, errors: int, seed: int = 0) -> npt.NDArray[np.int64]:
    generator = np.random.default_rng(seed)
    counts = np.diag(generator.integers(50, 100, classes))
    np.add.at(counts, (generator.integers(0, classes, errors), generator.integers(0, classes, errors)), 1)
    return counts


def draw(counts: npt.NDArray[Any], names: list[str]) -> Any:
    """The picture for a confusion matrix."""
    labels, guesses = (np.repeat(each.ravel(), counts.ravel()) for each in np.indices(counts.shape))
    test = Split(np.zeros((len(labels), 28, 28), np.uint8), labels.astype(np.uint8))
    return confusion.draw(shown(test=test, probabilities=np.eye(len(names))[guesses], names=names))


def cell_texts(axes: Axes) -> dict[tuple[int, int], str]:
    """The text in each cell of the matrix, by (row, column)."""
    return {(round(text.get_position()[1]), round(text.get_position()[0])): text.get_text() for text in axes.texts}


def test_most_common_is_sorted_with_ties_in_order() -> None:
    counts = np.array([[9, 2, 0], [3, 9, 2], [0, 2, 9]])
    assert confusion.most_common(counts) == [(1, 0, 3), (0, 1, 2), (1, 2, 2), (2, 1, 2)]
    assert confusion.most_common(np.diag([1, 2])) == []


@pytest.mark.parametrize("classes", [2, 10, 26, 47])
def test_the_matrix_shows_the_counts(classes: int, drawn: Any) -> None:
    counts = random_counts(classes, 60 * classes)
    names = [f"c{i}" for i in range(classes)]
    draw(counts, names)
    axes = drawn.figure.axes[0]
    seen = cell_texts(axes)
    for true, guess in np.ndindex(classes, classes):
        if true != guess:
            assert seen.get((true, guess)) == (f"{counts[true, guess]}" if counts[true, guess] else None)
        elif classes < 47:
            percentage = 100 * counts[true, true] / counts[true].sum()
            assert float(seen[true, true].rstrip("%")) == pytest.approx(percentage, abs=0.5)
    drawn_counts = axes.images[1].get_array()
    assert (drawn_counts.filled(0) == counts - np.diag(np.diag(counts))).all()
    for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
        assert [label.get_text() for label in labels] == names
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "true")


def test_the_most_common_confusion_is_framed_and_in_the_title(drawn: Any) -> None:
    counts = np.diag([50] * 26)
    counts[14, 16] = 12  # O mistaken for Q
    counts[3, 14] = 11
    picture = draw(counts, LETTERS)
    assert picture.title == "O mistaken for Q: 12 times"
    assert "1,300 of 1,323 test images correct (98.26%), 23 misclassified." in drawn.texts()
    (frame,) = [patch for patch in drawn.figure.axes[0].patches if isinstance(patch, Rectangle)]
    assert (frame.get_y() + 0.5, frame.get_x() + 0.5) == (14, 16)
    bars = drawn.figure.axes[1]
    assert [label.get_text() for label in bars.get_yticklabels()] == ["O → Q", "D → O"]
    assert [bar.get_width() for bar in bars.patches] == [12, 11]
    assert picture.description.endswith("confusions: O mistaken for Q 12 times; D mistaken for O 11 times.")


@pytest.mark.parametrize(("count", "words"), [(1, "once"), (2, "twice"), (3, "3 times"), (1200, "1,200 times")])
def test_how_often(count: int, words: str, drawn: Any) -> None:
    assert draw(np.array([[5, count], [0, 5]]), ["a", "b"]).title == f"a mistaken for b: {words}"


def test_no_confusion(drawn: Any) -> None:
    picture = draw(np.diag([3, 4, 5]), ["a", "b", "c"])
    assert picture.title == "No test image is misclassified"
    assert "Most common confusions: none." in picture.description
    assert len(drawn.figure.axes) == 1


def test_a_class_that_does_not_occur_is_left_out(drawn: Any) -> None:
    counts = np.zeros((5, 5), int)
    counts[1, 1], counts[1, 3], counts[4, 4] = 8, 2, 7  # there is no image of class 3, but it is predicted
    picture = draw(counts, ["a", "b", "c", "d", "e"])
    assert [label.get_text() for label in drawn.figure.axes[0].get_yticklabels()] == ["b", "d", "e"]
    assert cell_texts(drawn.figure.axes[0]) == {(0, 0): "80.0%", (0, 1): "2", (2, 2): "100.0%"}
    assert picture.description.startswith("Confusion matrix of 3 classes.")


def test_unusual_names(drawn: Any) -> None:
    names = ["T-shirt/top", "$x$", "お", "a" * 40, "<b>"]
    picture = draw(random_counts(5, 40), names)
    shown = [label.get_text() for label in drawn.figure.axes[0].get_yticklabels()]
    assert shown == ["T-shirt/top", "$x$", "2", "a" * 13 + "…", "<b>"]  # the font has no お
    assert any(name in picture.description for name in ("お", "a" * 40))
    assert not re.search("mistaken for 2 ", picture.description)
