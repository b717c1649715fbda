"""What counts as slower, and what noise looks like."""

import pytest

from tools.slower import is_slower, ratio

STEADY = [1.0, 1.01, 0.99, 1.02, 1.0]


def test_slower_in_each_round():
    assert is_slower(STEADY, [1.2 * t for t in STEADY])


@pytest.mark.parametrize("factor", [1.0, 0.5, 1.14])
def test_within_the_limit(factor):
    assert not is_slower(STEADY, [factor * t for t in STEADY])


def test_one_bad_round_does_not_hide_it():
    assert is_slower([*STEADY[:4], 3.0], [1.3, 1.3, 1.3, 1.3, 1.3])


def test_rounds_that_were_slow_for_both_are_noise():
    base = [1.0, 1.0, 1.4, 1.0, 1.4, 1.0, 1.4]
    head = [0.9, 1.3, 1.3, 0.9, 1.3, 0.9, 1.3]
    assert ratio(base, head) == pytest.approx(1.3)
    assert not is_slower(base, head)


def test_too_few_rounds_decide_nothing():
    with pytest.raises(ValueError, match="4 and 4 rounds: expected equally many, 5 at least"):
        is_slower(STEADY[:4], STEADY[:4])
    with pytest.raises(ValueError, match="5 and 4 rounds"):
        ratio(STEADY, STEADY[:4])
