"""The rule for when the counts of a benchmark have grown.

In processes with different memory layouts, dictionaries and the interpreter's attribute cache have different
collisions: instructions of the same code differ by up to 0.3 %, in one call of fifty by 1 to 2 %, rarely by 11 %. Cache
misses differ by up to 5 %, and small counts of them by up to 13 %. Growth in only one layout does not count.
"""

from __future__ import annotations

from collections.abc import Iterable

from .callgrind import Counts

LIMIT = 0.03  # for instructions, unless a benchmark sets another (`grows_by`)
CALL_LIMIT = 0.01  # for a call with about 1,000 elements: one more Python call is 1.5 to 2 % of most
MISSES = 0.15  # for data misses of a cache level
SLACK = Counts(100, 500, 500)  # smaller differences never count
MEASURES = Counts("instructions", "data past the first level", "data past the last level")  # type: ignore[arg-type]


def limit_of(name: str) -> float:
    """By how much the instructions of a benchmark may grow, unless it sets its own bound."""
    return CALL_LIMIT if name.startswith("bench_calls.") or "'1e3'" in name else LIMIT


def growth(base: Counts, head: Counts, limit: float = LIMIT) -> list[str]:
    """Each count of head that exceeds its bound, as text; empty if nothing grew."""
    return [
        _change(measure, b, h)
        for measure, b, h, share, slack in zip(MEASURES, base, head, (limit, MISSES, MISSES), SLACK, strict=True)
        if h > b * (1 + share) and h > b + slack
    ]


def gain(base: Counts, head: Counts, limit: float = LIMIT) -> list[str]:
    """Each count of head that is below base by as much, as text."""
    return growth(head, base, limit) and [
        _change(measure, b, h)
        for measure, b, h, share, slack in zip(MEASURES, base, head, (limit, MISSES, MISSES), SLACK, strict=True)
        if b > h * (1 + share) and b > h + slack
    ]


def least(counts: Iterable[Counts]) -> Counts:
    """The lowest of each count: any excess in a process is caused by that process."""
    return Counts(*map(min, zip(*counts, strict=True)))


def _change(measure: object, base: float, head: float) -> str:
    share = f" ({head / base - 1:+.1%})" if base else ""
    return f"{measure} {base:,.0f} -> {head:,.0f}{share}"
