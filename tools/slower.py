"""When a benchmark counts as slower, by rounds in which two commits were measured in turns.

A few rounds find suspects. New rounds, of those alone, judge them: chance, which found some among hundreds, does not
find the same again. Round i of base is compared with round i of head, which was measured at the same time; what a
change to the code costs, it costs in nearly every round, also on a busy machine, where the rounds by themselves differ
by more than the change.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from math import comb
from statistics import median

LIMIT = 1.05
LEAST_ROUNDS = 5  # to find suspects
FRESH_ROUNDS, MOST_ROUNDS = 7, 20  # to judge them: so many, and more while it is not clear
CHANCE = 0.011  # at most, that a change of exactly LIMIT is in so many rounds beyond it: seven of seven, nine of ten

Times = Sequence[float]


class Verdict(Enum):
    """What the new rounds of a suspect say."""

    FINE, SLOWER, UNCONFIRMED = "fine", "SLOWER", "UNCONFIRMED"


def ratio(base: Times, head: Times) -> float:
    """Head's median over base's. Raises ValueError for unequal numbers of rounds, or for none."""
    if len(base) != len(head) or not base:
        raise ValueError(f"{len(base)} and {len(head)} rounds: expected equally many, 1 at least")
    return median(head) / median(base)


def beyond(base: Times, head: Times) -> int:
    """The rounds in which head was slower by more than the limit."""
    return sum(h > LIMIT * b for b, h in zip(base, head, strict=True))


def is_suspect(base: Times, head: Times) -> bool:
    """Whether most rounds say that head is slower. Raises ValueError for fewer than LEAST_ROUNDS."""
    if len(base) < LEAST_ROUNDS:
        raise ValueError(f"{len(base)} rounds: expected {LEAST_ROUNDS} at least")
    return beyond(base, head) > len(base) / 2


def verdict(base: Times, head: Times) -> Verdict:
    """Of a suspect's new rounds.

    Slower where head was beyond the limit so often that chance does not explain it, and its median is, too. Fine where
    it was not in half of them. Unconfirmed between these, and where there are fewer than FRESH_ROUNDS.
    """
    rounds, count = len(base), beyond(base, head)
    if rounds >= LEAST_ROUNDS and count <= rounds / 2:
        return Verdict.FINE
    if rounds < FRESH_ROUNDS:
        return Verdict.UNCONFIRMED
    likely = sum(comb(rounds, i) for i in range(count, rounds + 1)) / 2**rounds
    return Verdict.SLOWER if likely <= CHANCE and ratio(base, head) > LIMIT else Verdict.UNCONFIRMED


def undecided(base: Times, head: Times) -> bool:
    """Whether more new rounds are worth while."""
    return len(base) < MOST_ROUNDS and verdict(base, head) is Verdict.UNCONFIRMED
