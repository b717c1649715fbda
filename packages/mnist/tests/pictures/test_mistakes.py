from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from stackgrad.mnist import Dataset, Split
from stackgrad.mnist.pictures import mistakes

from .conftest import shown

DIGITS = [str(digit) for digit in range(10)]


def answers_for(labels: npt.NDArray[np.uint8], wrong: dict[int, tuple[int, float]]) -> npt.NDArray[np.float32]:
    """Probabilities that are correct, except for `wrong`: the predicted class and its probability by index."""
    answers = np.full((len(labels), 10), 0.001, np.float32)
    answers[np.arange(len(labels)), labels] = 0.991
    for index, (guess, probability) in wrong.items():
        answers[index] = 0
        answers[index, guess], answers[index, labels[index]] = probability, 1 - probability
    return answers


def draw(split: Split, answers: npt.NDArray[np.float32], names: list[str]) -> Any:
    return mistakes.draw(shown(test=split, probabilities=answers, names=names))


def captions(drawn: Any) -> list[str]:
    """The texts below the images, in reading order."""
    return [text.get_text() for text in drawn.figure.axes[0].texts]


@pytest.fixture
def split(tiny: Dataset) -> Split:
    return tiny.test  # 50 images; the first are 7 2 1 0 4 1 4 9 5 9


def test_the_lowest_probability_of_the_correct_class_comes_first() -> None:
    labels = np.array([0, 1, 2, 3, 4], np.uint8)
    answers = np.zeros((5, 10), np.float32)
    answers[0, [0, 9]] = 0.4, 0.6
    answers[1, 1] = 1  # correct
    answers[2, [2, 7]] = 0.1, 0.9
    answers[3, [3, 8, 9]] = 0.1, 0.5, 0.4  # a tie: in the order of the images
    answers[4, [4, 5]] = 0.3, 0.7
    assert mistakes.most_wrong(labels, answers, 9).tolist() == [2, 3, 4, 0]
    assert mistakes.most_wrong(labels, answers, 2).tolist() == [2, 3]


def test_images_and_captions(split: Split, drawn: Any) -> None:
    picture = draw(split, answers_for(split.labels, {1: (7, 0.75), 4: (9, 0.99), 7: (3, 0.6)}), DIGITS)
    assert picture.title == "3 of 50 misclassified: all of them"
    assert captions(drawn) == ["4 → 9", "99.0%", "2 → 7", "75.0%", "9 → 3", "60.0%"]
    assert picture.description.endswith("4 mistaken for 9 (99.0%); 2 mistaken for 7 (75.0%); 9 mistaken for 3 (60.0%).")
    canvas = drawn.figure.axes[0].images[0].get_array()
    for column, index in enumerate((4, 1, 7)):  # each image, enlarged twice, in its column
        top, left = 0, column * 64
        np.testing.assert_array_equal(canvas[top : top + 56 : 2, left : left + 56 : 2], split.images[index])
    assert canvas.shape == (56, 184)


def test_many_mistakes(split: Split, drawn: Any) -> None:
    wrong = {index: ((int(split.labels[index]) + 1) % 10, 0.51 + index / 200) for index in range(40)}
    picture = draw(split, answers_for(split.labels, wrong), DIGITS)
    assert picture.title == "40 of 50 misclassified: the worst 24"
    assert captions(drawn)[1::2] == [f"{0.51 + index / 200:.1%}" for index in range(39, 15, -1)]
    assert drawn.figure.axes[0].images[0].get_array().shape == (2 * 86 + 56, 7 * 64 + 56)


def test_one_mistake(split: Split, drawn: Any) -> None:
    assert draw(split, answers_for(split.labels, {3: (6, 0.8)}), DIGITS).title == "1 of 50 misclassified: the only one"


def test_without_mistakes_the_least_sure_answers_are_shown(split: Split, drawn: Any) -> None:
    answers = answers_for(split.labels, {})
    answers[5, [1, 2]] = 0.6, 0.4
    picture = draw(split, answers, DIGITS)
    assert picture.title == "All 50 correct: the 24 it was least sure of"
    assert captions(drawn)[:4] == ["1", "60.0%", "7", "99.1%"]
    assert "→" not in "".join(drawn.texts())


def test_long_names_take_two_lines(split: Split, drawn: Any) -> None:
    names = ["T-shirt/top", *DIGITS[1:8], "Bag", "Ankle boot"]
    draw(split, answers_for(split.labels, {3: (9, 0.8), 4: (6, 0.7)}), names)
    assert captions(drawn)[::2] == ["T-shirt/top\n→ Ankle boot", "4\n→ 6"]


def test_a_single_image(split: Split, drawn: Any) -> None:
    one = Split(split.images[:1], split.labels[:1])
    assert draw(one, answers_for(one.labels, {0: (1, 0.9)}), DIGITS).title.startswith("1 of 1 misclassified")
