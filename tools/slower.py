"""The rule for when a benchmark counts as slower, by rounds in which two commits were measured in turns.

A few rounds find suspects. New rounds of the suspects decide, since chance, which selects some among hundreds, does not
select the same ones again. Round i of base is compared with round i of head, which was measured at the same time. The
cost of a change shows in nearly every round, even on a busy machine, where the rounds differ by more than the change.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from math import comb
from statistics import median

LIMIT = 1.05
LEAST_ROUNDS = 5  # to find suspects
FRESH_ROUNDS, MOST_ROUNDS = 7, 20  # to decide on them: the fewest, and the most while the result is not clear
CHANCE = 0.011  # the largest probability that a change of exactly LIMIT exceeds it in seven of seven or nine of ten

Times = Sequence[float]


class Verdict(Enum):
    """The result of a suspect's new rounds."""

    FINE, SLOWER, UNCONFIRMED = "fine", "SLOWER", "UNCONFIRMED"


def ratio(base: Times, head: Times) -> float:
    """Head's median over base's. Raises ValueError for different counts of rounds, or for none."""
    if len(base) != len(head) or not base:
        raise ValueError(f"{len(base)} and {len(head)} rounds: expected the same count, at least 1")
    return median(head) / median(base)


def beyond(base: Times, head: Times) -> int:
    """In how many rounds head was slower by more than the limit."""
    return sum(h > LIMIT * b for b, h in zip(base, head, strict=True))


def is_suspect(base: Times, head: Times) -> bool:
    """Whether head is slower in most rounds. Raises ValueError for fewer than LEAST_ROUNDS."""
    if len(base) < LEAST_ROUNDS:
        raise ValueError(f"{len(base)} rounds: expected at least {LEAST_ROUNDS}")
    return beyond(base, head) > len(base) / 2


def verdict(base: Times, head: Times) -> Verdict:
    """The verdict from a suspect's new rounds.

    Slower if head exceeds the limit too often for chance, and by its median too. Fine if it exceeds the limit in at
    most half of the rounds. Otherwise, and with fewer than FRESH_ROUNDS, unconfirmed.
    """
    rounds, count = len(base), beyond(base, head)
    if rounds >= LEAST_ROUNDS and count <= rounds / 2:
        return Verdict.FINE
    if rounds < FRESH_ROUNDS:
        return Verdict.UNCONFIRMED
    likely = sum(comb(rounds, i) for i in range(count, rounds + 1)) / 2**rounds
    return Verdict.SLOWER if likely <= CHANCE and ratio(base, head) > LIMIT else Verdict.UNCONFIRMED


def undecided(base: Times, head: Times) -> bool:
    """Whether more new rounds are useful."""
    return len(base) < MOST_ROUNDS and verdict(base, head) is Verdict.UNCONFIRMED
