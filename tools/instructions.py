"""The instructions of benchmarks whose times have grown."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .callgrind import missing
from .count_commits import KEPT, Comparison, Side

MOST = 6  # benchmarks to count for a verdict


def ratios(base: str, head: str, names: Sequence[str], may_count: bool) -> dict[str, float]:
    """The ratio of head's instructions to base's, for those of the benchmarks that have counts.

    Stored counts are used. Missing ones are counted if `may_count` and valgrind is installed.
    """
    if not names or missing() or not (may_count or list(KEPT.glob("*.json"))):
        return {}
    pattern = "|".join(f"^{re.escape(name)}$" for name in names[:MOST])
    comparison = Comparison(*[Side(commit, pattern, False) for commit in (base, head)])
    if may_count:
        comparison.count()
    counts = comparison.base.counts, comparison.head.counts
    return {name: counts[1][name].instructions / counts[0][name].instructions for name in comparison.compared()}
