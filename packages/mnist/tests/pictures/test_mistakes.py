from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from stackgrad.mnist import Dataset, Split
from stackgrad.mnist.pictures import mistakes

from .conftest import shown

DIGITS = [str(digit) for digit in range(10)]


def chances_for(labels: npt.NDArray[np.uint8], wrong: dict[int, tuple[int, float]]) -> npt.NDArray[np.float32]:
    """Sure and right, but for some images, which are taken for another class with the given chance."""
    chances = np.full((len(labels), 10), 0.001, np.float32)
    chances[np.arange(len(labels)), labels] = 0.991
    for index, (taken, chance) in wrong.items():
        chances[index] = 0
        chances[index, taken], chances[index, labels[index]] = chance, 1 - chance
    return chances


def draw(split: Split, chances: npt.NDArray[np.float32], names: list[str]) -> Any:
    return mistakes.draw(shown(test=split, probabilities=chances, names=names))


def captions(drawn: Any) -> list[str]:
    """What stands below the images, in reading order."""
    return [text.get_text() for text in drawn.figure.axes[0].texts]


@pytest.fixture
def split(tiny: Dataset) -> Split:
    return tiny.test  # 50 images, which begin with 7 2 1 0 4 1 4 9 5 9


def test_the_least_chance_of_the_right_class_comes_first() -> None:
    labels = np.array([0, 1, 2, 3, 4], np.uint8)
    chances = np.zeros((5, 10), np.float32)
    chances[0, [0, 9]] = 0.4, 0.6
    chances[1, 1] = 1  # right
    chances[2, [2, 7]] = 0.1, 0.9
    chances[3, [3, 8, 9]] = 0.1, 0.5, 0.4  # as little for the right class: in the order of the images
    chances[4, [4, 5]] = 0.3, 0.7
    assert mistakes.most_wrong(labels, chances, 9).tolist() == [2, 3, 4, 0]
    assert mistakes.most_wrong(labels, chances, 2).tolist() == [2, 3]


def test_what_is_shown(split: Split, drawn: Any) -> None:
    picture = draw(split, chances_for(split.labels, {1: (7, 0.75), 4: (9, 0.99), 7: (3, 0.6)}), DIGITS)
    assert picture.title == "3 of 50 read wrongly: all of them"
    assert captions(drawn) == ["4 → 9", "99.0%", "2 → 7", "75.0%", "9 → 3", "60.0%"]
    assert picture.description.endswith("4 taken for 9 (99.0%); 2 taken for 7 (75.0%); 9 taken for 3 (60.0%).")
    canvas = drawn.figure.axes[0].images[0].get_array()
    for place, index in enumerate((4, 1, 7)):  # each image, twice as large, in its place
        top, left = 0, place * 64
        np.testing.assert_array_equal(canvas[top : top + 56 : 2, left : left + 56 : 2], split.images[index])
    assert canvas.shape == (56, 184)


def test_many_mistakes(split: Split, drawn: Any) -> None:
    wrong = {index: ((int(split.labels[index]) + 1) % 10, 0.51 + index / 200) for index in range(40)}
    picture = draw(split, chances_for(split.labels, wrong), DIGITS)
    assert picture.title == "40 of 50 read wrongly: the worst 24"
    assert captions(drawn)[1::2] == [f"{0.51 + index / 200:.1%}" for index in range(39, 15, -1)]
    assert drawn.figure.axes[0].images[0].get_array().shape == (2 * 86 + 56, 7 * 64 + 56)


def test_one_mistake(split: Split, drawn: Any) -> None:
    assert draw(split, chances_for(split.labels, {3: (6, 0.8)}), DIGITS).title == ("1 of 50 read wrongly: the only one")


def test_no_mistake_shows_what_was_least_sure(split: Split, drawn: Any) -> None:
    chances = chances_for(split.labels, {})
    chances[5, [1, 2]] = 0.6, 0.4
    picture = draw(split, chances, DIGITS)
    assert picture.title == "All 50 read rightly: the 24 it was least sure of"
    assert captions(drawn)[:4] == ["1", "60.0%", "7", "99.1%"]
    assert "→" not in "".join(drawn.texts())


def test_long_names_stand_in_two_lines(split: Split, drawn: Any) -> None:
    names = ["T-shirt/top", *DIGITS[1:8], "Bag", "Ankle boot"]
    draw(split, chances_for(split.labels, {3: (9, 0.8), 4: (6, 0.7)}), names)
    assert captions(drawn)[::2] == ["T-shirt/top\n→ Ankle boot", "4\n→ 6"]


def test_a_single_image(split: Split, drawn: Any) -> None:
    one = Split(split.images[:1], split.labels[:1])
    assert draw(one, chances_for(one.labels, {0: (1, 0.9)}), DIGITS).title.startswith("1 of 1 read wrongly")
