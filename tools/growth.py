"""When the counts of a benchmark have grown.

Between processes whose memory is laid out differently, dictionaries and the interpreter's cache of attributes collide
elsewhere: instructions of the same code differ by up to 0.3 %, in one call of fifty by 1 to 2 %, rarely by 11 %. Misses
of caches differ by up to 5 %, small counts of them by up to 13 %. What has grown in one layout alone has not.
"""

from __future__ import annotations

from collections.abc import Iterable

from .callgrind import Counts

LIMIT = 0.03  # of instructions, unless a benchmark says otherwise (`grows_by`)
CALL_LIMIT = 0.01  # of a call with about 1,000 numbers: a Python function more on its way is 1.5 to 2 % of most
MISSES = 0.15  # of data that a level of the caches did not have
SLACK = Counts(100, 500, 500)  # more than so many, too: a share of little is nothing
MEASURES = Counts("instructions", "data past the first level", "data past the last level")  # type: ignore[arg-type]


def limit_of(name: str) -> float:
    """By how much the instructions of a benchmark may grow that says nothing of it."""
    return CALL_LIMIT if name.startswith("bench_calls.") or "'1e3'" in name else LIMIT


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
