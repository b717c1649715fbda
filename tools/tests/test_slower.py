"""Slowdowns, and noise."""

import random
from statistics import median

import pytest

from tools.slower import (
    FRESH_ROUNDS,
    LEAST_ROUNDS,
    LIMIT,
    MOST_ROUNDS,
    Verdict,
    beyond,
    is_suspect,
    ratio,
    undecided,
    verdict,
)

STEADY = [1.0, 1.01, 0.99, 1.02, 1.0, 0.98, 1.01]


def times(factor, rounds):
    return [factor * t for t in rounds]


def test_slower_in_each_round():
    assert is_suspect(STEADY, times(1.2, STEADY))
    assert verdict(STEADY, times(1.2, STEADY)) is Verdict.SLOWER


@pytest.mark.parametrize("factor", [1.0, 0.5, LIMIT - 0.01])
def test_within_the_limit(factor):
    assert not is_suspect(STEADY, times(factor, STEADY))
    assert verdict(STEADY, times(factor, STEADY)) is Verdict.FINE


def test_rounds_that_differ_by_more_than_the_change_do_not_hide_it():
    base = [1.0, 2.5, 1.0, 1.7, 0.9, 3.0, 1.2]
    assert verdict(base, times(1.1, base)) is Verdict.SLOWER


def test_one_bad_round_is_not_a_slowdown():
    assert verdict(STEADY, [9.0, *STEADY[1:]]) is Verdict.FINE


def test_rounds_on_both_sides_are_noise():
    base = [1.0, 1.0, 1.4, 1.0, 1.4, 1.0, 1.4]
    head = [0.9, 1.3, 1.3, 0.9, 1.3, 0.9, 1.3]
    assert ratio(base, head) == pytest.approx(1.3)
    assert verdict(base, head) is Verdict.FINE


def test_a_suspect_without_new_rounds_is_unconfirmed():
    for rounds in range(LEAST_ROUNDS):
        assert verdict([1.0] * rounds, [1.5] * rounds) is Verdict.UNCONFIRMED
    few = FRESH_ROUNDS - 1
    assert verdict([1.0] * few, [1.5] * few) is Verdict.UNCONFIRMED


def test_between_chance_and_slower_there_are_more_rounds():
    head = [1.1, 1.1, 1.1, 1.1, 1.1, 1.0, 1.0]
    assert verdict([1.0] * 7, head) is Verdict.UNCONFIRMED
    assert undecided([1.0] * 7, head)
    assert not undecided([1.0] * MOST_ROUNDS, (head * 3)[:MOST_ROUNDS])
    assert not undecided([1.0] * 7, [1.1] * 7)
    assert undecided([], [])


def test_nine_of_ten_and_sixteen_of_twenty_rounds_are_slower():
    for rounds, least in ((7, 7), (10, 9), (20, 16)):
        for count, expected in ((least, Verdict.SLOWER), (least - 1, Verdict.UNCONFIRMED)):
            head = [1.2] * count + [1.0] * (rounds - count)
            assert verdict([1.0] * rounds, head) is expected, (rounds, count)


def test_the_ratio_is_the_ratio_of_the_medians_for_even_counts_too():
    base, head = [1.0, 1.0, 3.0, 3.0], [2.0, 2.0, 4.0, 4.0]
    assert ratio(base, head) == median(head) / median(base) == 1.5


def test_too_few_rounds_decide_nothing():
    with pytest.raises(ValueError, match="4 rounds: expected at least 5"):
        is_suspect(STEADY[:4], STEADY[:4])
    with pytest.raises(ValueError, match="5 and 4 rounds: expected the same count"):
        ratio(STEADY[:5], STEADY[:4])
    with pytest.raises(ValueError, match="0 and 0 rounds"):
        ratio([], [])


def compared(factor, draw, noise):
    """The verdict of a whole comparison: a few rounds, and new rounds for a suspect."""

    def rounds(count):
        base = [draw.lognormvariate(0, noise) for _ in range(count)]
        return base, [factor * draw.lognormvariate(0, noise) for _ in base]

    if not is_suspect(*rounds(LEAST_ROUNDS)):
        return Verdict.FINE
    base: list[float] = []
    head: list[float] = []
    while undecided(base, head):
        more = rounds(1)
        base, head = base + more[0], head + more[1]
    return verdict(base, head)


def test_a_commit_compared_with_itself_raises_no_alarm():
    draw = random.Random(0)
    assert {compared(1.0, draw, 0.03) for _ in range(5_000)} == {Verdict.FINE}
    assert sum(compared(1.0, draw, 0.1) is Verdict.SLOWER for _ in range(5_000)) <= 5


def test_a_slowdown_beyond_the_noise_is_found():
    draw = random.Random(0)
    assert sum(compared(1.1, draw, 0.015) is Verdict.SLOWER for _ in range(500)) > 470
    assert sum(compared(1.3, draw, 0.06) is Verdict.SLOWER for _ in range(500)) > 470


def test_rounds_beyond_the_limit_are_counted():
    assert beyond([1.0, 1.0, 2.0], [LIMIT, 1.2, 2.05]) == 1
