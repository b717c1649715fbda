"""When a benchmark counts as slower."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

LIMIT = 1.15
LEAST_ROUNDS = 5
CONSISTENT = 0.8  # of the rounds


def ratio(base: Sequence[float], head: Sequence[float]) -> float:
    """Head's median over base's. Raises ValueError for unequal numbers of rounds, or for too few."""
    if len(base) != len(head) or len(base) < LEAST_ROUNDS:
        raise ValueError(f"{len(base)} and {len(head)} rounds: expected equally many, {LEAST_ROUNDS} at least")
    return median(head) / median(base)


def is_slower(base: Sequence[float], head: Sequence[float]) -> bool:
    """Whether head's median is beyond the limit, and head was the slower one in nearly all rounds.

    The second condition is for a noisy machine, where a few rounds in a bad minute move a median: what a change to
    the code costs, it costs in each round. Round i of both was measured at the same time.
    """
    rounds_slower = sum(h > b for b, h in zip(base, head, strict=True))
    return ratio(base, head) > LIMIT and rounds_slower >= CONSISTENT * len(base)
