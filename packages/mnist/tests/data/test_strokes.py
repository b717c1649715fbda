from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackgrad.mnist.data.images import ImageError
from stackgrad.mnist.data.strokes import MAX_POINTS, read_strokes

UInt8Array = npt.NDArray[np.uint8]

SEVEN = [[[0.2, 0.2], [0.8, 0.2], [0.45, 0.9]]]

coordinate = st.floats(0, 1) | st.integers(0, 1)
drawings = st.lists(
    st.lists(st.lists(coordinate, min_size=2, max_size=2), min_size=1, max_size=20), min_size=1, max_size=5
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(st.text(), values, max_size=3),
    max_leaves=30,
)


def extent(image: UInt8Array) -> tuple[int, int]:
    rows, columns = np.nonzero(image)
    return int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1


def message(call: Callable[[], object]) -> str:
    with pytest.raises(ImageError) as caught:
        call()
    assert str(caught.value).isascii()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_format_is_that_of_mnist() -> None:
    image = read_strokes(SEVEN)
    assert (image.shape, image.dtype, image.max()) == ((28, 28), np.dtype(np.uint8), 255)
    assert extent(image)[0] == 20
    assert len(np.unique(image)) > 20  # the edges are soft
    top = np.flatnonzero(image.any(1))[0]
    assert np.count_nonzero(image[top + 1] > 150) > 10  # the bar of the seven


@pytest.mark.parametrize(("size", "corner"), [(0.9, 0.1), (0.5, 0.5), (0.3, 0.0), (0.08, 0.9)])
def test_size_and_position_do_not_matter(size: float, corner: float) -> None:
    moved = [[[corner + x * size for x in point] for point in stroke] for stroke in SEVEN]
    assert np.abs(read_strokes(moved).astype(int) - read_strokes(SEVEN)).mean() < 2


def test_the_pen_is_as_wide_as_in_mnist() -> None:
    line = read_strokes([[[0.5, 0.1], [0.5, 0.9]]])
    across = line[14].astype(float) / 255
    assert 1.9 <= across.sum() <= 2.6


def test_a_dot_is_a_disc() -> None:
    image = read_strokes([[[0.5, 0.5]]])
    assert extent(image) == (20, 20)
    assert image[14, 14] == 255
    assert image[4, 4] == 0


@given(drawings)
def test_any_drawing_gives_the_format(strokes: list[Any]) -> None:
    image = read_strokes(strokes)
    assert (image.shape, image.dtype, image.max()) == ((28, 28), np.dtype(np.uint8), 255)
    assert max(extent(image)) == 20


@given(json_values)
def test_any_other_value_gives_a_one_line_error(value: object) -> None:
    message(lambda: read_strokes(value))


@pytest.mark.parametrize(
    ("strokes", "expected"),
    [
        ([], "nothing is drawn: there is no stroke"),
        ("drawing", "expected a list of strokes, each a list of one or more points [x, y]"),
        ([[]], "expected a list of strokes, each a list of one or more points [x, y]"),
        ([[[0.5, 1.5]]], "a point is [0.5, 1.5]: expected [x, y], two numbers from 0 to 1"),
        ([[[0.5, -1]]], "a point is [0.5, -1]: expected [x, y], two numbers from 0 to 1"),
        ([[[0.5, float("nan")]]], "a point is [0.5, nan]: expected [x, y], two numbers from 0 to 1"),
        ([[[0.5, True]]], "a point is [0.5, True]: expected [x, y], two numbers from 0 to 1"),
        ([[["\n\ud800", 1]]], "a point is ['\\n\\ud800', 1]: expected [x, y], two numbers from 0 to 1"),
        ([[[0.5] * 3]], "a point is [0.5, 0.5, 0.5]: expected [x, y], two numbers from 0 to 1"),
        ([[[0.5, 0.5]] * (MAX_POINTS + 1)], "10,001 points; at most 10,000 are accepted"),
    ],
)
def test_wrong_strokes(strokes: object, expected: str) -> None:
    assert message(lambda: read_strokes(strokes)) == expected


def test_the_largest_accepted_count_of_points() -> None:
    points = np.random.default_rng(0).random((MAX_POINTS, 2)).tolist()
    assert read_strokes([points]).any()
    assert read_strokes([[point] for point in points]).any()
