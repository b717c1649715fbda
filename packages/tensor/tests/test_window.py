"""Windows, and the forms in which they are given."""

import pickle
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackgrad.tensor import Window
from stackgrad.tensor._window import one_per_dim
from stackgrad.tensor.testing import loops

PAIRS = st.tuples(st.integers(1, 4), st.integers(1, 4))
SIDES = st.tuples(st.integers(0, 3), st.integers(0, 3))


@given(PAIRS, PAIRS, st.tuples(SIDES, SIDES), PAIRS, st.tuples(st.integers(1, 9), st.integers(1, 9)))
def test_the_count_of_window_positions(kernel, stride, padding, dilation, size):
    window = Window(kernel, stride, padding, dilation)
    counted = loops.output_size(size, window)
    if 0 in counted:
        with pytest.raises(ValueError, match=r"kernel .* with dilation .* spans .* more than the image of"):
            window.positions(size)
    else:
        assert window.positions(size) == counted


def test_one_integer_applies_to_every_dimension():
    assert one_per_dim("stride", 3, 2) == (3, 3)
    assert one_per_dim("stride", np.int64(3), 1) == (3,)


def test_a_sequence_has_one_integer_per_dimension():
    assert one_per_dim("kernel_size", [2, 3], 2) == (2, 3)


@pytest.mark.parametrize(
    "value", [0, -1, (1,), (1, 2, 3), (1, 0), 2.0, (1.0, 2), True, (True, 1), None, "ab", range(1, 3)]
)
def test_invalid_sizes_are_named(value):
    message = f"stride must be an int or 2 of them (one per dimension), at least 1; got {value!r}"
    with pytest.raises(ValueError, match=re.escape(message)):
        one_per_dim("stride", value, 2)


@pytest.mark.parametrize(
    ("padding", "expected"),
    [
        (2, ((2, 2), (2, 2))),
        ((1, 2), ((1, 1), (2, 2))),
        (((0, 1), (2, 3)), ((0, 1), (2, 3))),
        ([[0, 1], 2], ((0, 1), (2, 2))),
        ("valid", ((0, 0), (0, 0))),
        ("same", ((1, 1), (1, 2))),
    ],
)
def test_forms_of_padding(padding, expected):
    assert Window((3, 4), padding=padding).padding == expected


def test_same_accounts_for_dilation():
    assert Window((3, 2), padding="same", dilation=(2, 3)) == ((3, 2), (1, 1), ((2, 2), (1, 2)), (2, 3))


def test_valid_works_with_any_stride():
    assert Window(3, 2, "valid", dims=1) == ((1, 3), (1, 2), ((0, 0), (0, 0)), (1, 1))


def test_same_needs_stride_1():
    with pytest.raises(ValueError, match=re.escape('padding "same" needs stride 1; got stride (1, 2)')):
        Window(3, (1, 2), "same")


def test_an_unknown_padding_name():
    with pytest.raises(ValueError, match='must be "same" or "valid"; got \'full\''):
        Window(3, padding="full")


@pytest.mark.parametrize(
    "padding", [-1, 0.5, (1,), (1, 2, 3), (1, -1), ((1, 2, 3), 1), ((0, -1), (0, 0)), ((0.5, 1), 1), ("same", 1)]
)
def test_invalid_padding_is_named(padding):
    with pytest.raises(ValueError, match=re.escape(f"none negative; got {padding!r}")):
        Window(3, padding=padding)


def test_a_sequence_is_an_image_of_height_1():
    window = Window([3], 2, ((1, 2),), 4, dims=1)
    assert window == ((1, 3), (1, 2), ((0, 0), (1, 2)), (1, 4))
    assert window.of_last(1) == ((3,), (2,), ((1, 2),), (4,))
    assert window == pickle.loads(pickle.dumps(window))
