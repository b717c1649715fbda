"""Measure two commits in alternation and fail where the second is slower: python -m tools.compare_commits BASE [HEAD].

What HEAD cannot have made slower is not measured (see affected). asv pools the samples of its rounds and installs anew
between the commits, so that minutes lie between the two. Here each commit's wheels are unpacked into a folder of their
own; a round starts a process for each, and these take turns benchmark by benchmark, sample by sample.
`nox -s bench-compare -- BASE` runs this where the requirements are installed.

Exit status: 0 where nothing is slower, 1 where something is, 2 where a commit or an option is none, 3 where something
seemed slower and could not be confirmed.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Sequence

from . import affected, instructions
from .commits import commit_of, say_if_uncommitted
from .comparison import Comparison
from .report import report, verdicts
from .slower import LEAST_ROUNDS, Verdict


def to_measure(comparison: Comparison, pattern: str, whole: bool, end: float) -> list[str]:
    """The benchmarks to compare; what is left out for want of time stands in `comparison.left_out`.

    Prints why. Of those that are affected by kernels alone, the ones whose machine code is the same are dropped.
    """
    names = [name for name in comparison.names() if re.search(pattern, name)]
    if not names:
        print(f"no benchmark's name matches {pattern!r}", file=sys.stderr)
        sys.exit(2)
    files = affected.changed_files(comparison.base, comparison.head)
    if whole or (everything := affected.affects_all(files)):
        print("the whole table" if whole else f"all benchmarks: {', '.join(everything[:3])} changed")
        reasons = dict.fromkeys(names, affected.Reason(frozenset(), frozenset(), 0.0))
        return comparison.prepared(affected.in_order(reasons), end)
    reasons_of = affected.Reasons(affected.tree_of(comparison.base), affected.tree_of(comparison.head))
    if not reasons_of.changed:
        print(f"nothing to measure: no code of the packages changed, but {', '.join(files[:3]) or 'no file at all'}")
        return []
    started = time.monotonic()
    touched = comparison.touched(names)
    found = {name: reasons_of.of(touched[name]) for name in names if name in touched}
    reasons = {name: reason for name, reason in found.items() if reason}
    shown = sorted(f"{path.removesuffix('.py')}:{name}" for path, name in reasons_of.changed)
    print(f"changed: {', '.join(shown[:6])}{f' and {len(shown) - 6} more' if len(shown) > 6 else ''}")
    print(f"{len(reasons)} of {len(names)} benchmarks execute it")
    if not reasons:
        print("nothing to measure: no benchmark executes what changed")
    return comparison.prepared(affected.in_order(reasons), end + time.monotonic() - started, reasons)


TOGETHER = 2  # rounds of the same two processes


def measure(comparison: Comparison, names: Sequence[str], rounds: int, end: float) -> None:
    """Rounds of all, and then new ones of those that seem slower, which may take as long again."""
    start, last = time.monotonic(), 2 * end - time.monotonic()
    comparison.measure(names, 0)
    if end < float("inf"):  # keep what there is time for: half of what is left is for suspects
        left = (end - time.monotonic()) / 2 / max(1, rounds - 1)
        keep = max(5, int(len(names) * left / max(0.01, time.monotonic() - start)))
        comparison.leave_out(names[keep:])
        names = names[:keep]
    for i in range(1, rounds, TOGETHER):
        if i < LEAST_ROUNDS or time.monotonic() < end:
            comparison.measure(names, i % 2, min(TOGETHER, rounds - i))
    while (suspects := comparison.undecided()) and time.monotonic() < last:
        comparison.measure(suspects, 0, TOGETHER, fresh=True)


def main() -> int:
    """Read the arguments, measure, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", help="the commit to compare with")
    parser.add_argument("head", nargs="?", default="HEAD", help="the commit to judge (default: HEAD)")
    parser.add_argument("--all", action="store_true", help="the whole table, whatever changed")
    parser.add_argument("--only", "--bench", default="", metavar="PATTERN", help="a regular expression of names")
    parser.add_argument("--count", action="store_true", help="count the instructions of what seems slower, too")
    parser.add_argument("--rounds", type=int, default=LEAST_ROUNDS, help=f"default, and least: {LEAST_ROUNDS}")
    parser.add_argument("--minutes", type=float, help="leave out what takes longer (default: 17; with --all, no limit)")
    options = parser.parse_args()
    minutes = options.minutes or (float("inf") if options.all else 17)
    end = time.monotonic() + 60 * minutes
    comparison = Comparison(commit_of(options.base), commit_of(options.head))
    say_if_uncommitted(comparison.head)
    names = to_measure(comparison, options.only, options.all, end)
    if not names and not comparison.failed:
        return 0
    end = max(end, time.monotonic() + 60 * minutes / 2)  # what BASE executes was found once for all
    measure(comparison, names, max(LEAST_ROUNDS, options.rounds), end)
    named = [name for name, said in verdicts(comparison).items() if said is not Verdict.FINE]
    counts = instructions.ratios(comparison.base, comparison.head, named, options.count)
    return report(comparison, counts)


if __name__ == "__main__":
    sys.exit(main())
