"""When the counts of a benchmark have grown.

Instructions of the same code differ by up to 0.3 % between processes whose memory is laid out differently, in which
dictionaries have other collisions. Misses of the caches differ by up to 5 %, and by some tens for what lies elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable

from .callgrind import Counts

LIMIT = 0.03  # of instructions, unless a benchmark says otherwise (`grows_by`)
MISSES = 0.10  # of data that a level of the caches did not have
SLACK = Counts(100, 200, 200)  # more than so many, too: a share of little is nothing
MEASURES = Counts("instructions", "data past the first level", "data past the last level")  # type: ignore[arg-type]


def growth(base: Counts, head: Counts, limit: float = LIMIT) -> list[str]:
    """Each count of head's that is beyond its bound, as text; none where nothing grew."""
    return [
        _change(measure, b, h)
        for measure, b, h, share, slack in zip(MEASURES, base, head, (limit, MISSES, MISSES), SLACK, strict=True)
        if h > b * (1 + share) and h > b + slack
    ]


def gain(base: Counts, head: Counts, limit: float = LIMIT) -> list[str]:
    """Each count of head's that is as far below base's."""
    return growth(head, base, limit) and [
        _change(measure, b, h)
        for measure, b, h, share, slack in zip(MEASURES, base, head, (limit, MISSES, MISSES), SLACK, strict=True)
        if b > h * (1 + share) and b > h + slack
    ]


def least(counts: Iterable[Counts]) -> Counts:
    """The least of each: what comes on top in one process has its cause in that process."""
    return Counts(*map(min, zip(*counts, strict=True)))


def _change(measure: object, base: float, head: float) -> str:
    share = f" ({head / base - 1:+.1%})" if base else ""
    return f"{measure} {base:,.0f} -> {head:,.0f}{share}"
