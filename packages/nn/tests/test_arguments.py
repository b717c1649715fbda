"""The friendly forms of sizes and padding."""

import re

import numpy as np
import pytest

from stackgrad.nn._arguments import sizes, sliding


def test_one_integer_applies_to_every_dimension() -> None:
    assert sizes("stride", 3, 2) == (3, 3)
    assert sizes("stride", np.int64(3), 1) == (3,)  # type: ignore[arg-type]


def test_a_sequence_has_one_integer_per_dimension() -> None:
    assert sizes("kernel_size", [2, 3], 2) == (2, 3)


@pytest.mark.parametrize("value", [0, -1, (1,), (1, 2, 3), (1, 0), 2.0, (1.0, 2), True, None, "ab"])
def test_invalid_sizes_are_named(value: object) -> None:
    message = f"stride must be an int or 2 of them (one per dimension), at least 1; got {value!r}"
    with pytest.raises(ValueError, match=re.escape(message)):
        sizes("stride", value, 2)  # type: ignore[arg-type]


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
def test_forms_of_padding(padding: object, expected: object) -> None:
    assert sliding(2, (3, 4), 1, padding, 1)[1] == expected  # type: ignore[arg-type]


def test_same_accounts_for_dilation() -> None:
    assert sliding(2, (3, 2), 1, "same", (2, 3)) == ((1, 1), ((2, 2), (1, 2)), (2, 3))


def test_valid_works_with_any_stride() -> None:
    assert sliding(1, (3,), 2, "valid", 1) == ((2,), ((0, 0),), (1,))


def test_same_needs_stride_1() -> None:
    with pytest.raises(ValueError, match=re.escape('padding "same" needs stride 1; got stride (1, 2)')):
        sliding(2, (3, 3), (1, 2), "same", 1)


def test_an_unknown_padding_name() -> None:
    with pytest.raises(ValueError, match='must be "same" or "valid"; got \'full\''):
        sliding(2, (3, 3), 1, "full", 1)


@pytest.mark.parametrize(
    "padding", [-1, 0.5, (1,), (1, 2, 3), (1, -1), ((1, 2, 3), 1), ((0, -1), (0, 0)), ((0.5, 1), 1), ("same", 1)]
)
def test_invalid_padding_is_named(padding: object) -> None:
    with pytest.raises(ValueError, match=re.escape(f"none negative; got {padding!r}")):
        sliding(2, (3, 3), 1, padding, 1)  # type: ignore[arg-type]
