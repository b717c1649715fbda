"""Measure two commits in turns, and fail if the second is slower: python -m tools.compare_commits BASE [HEAD].

Benchmarks that HEAD cannot have made slower are not measured (see affected). asv pools the samples of its rounds and
reinstalls between the commits, so minutes pass between the two. Here, the wheels of each commit are unpacked into their
own folder. A round starts a process for each, and the two take turns, benchmark by benchmark and sample by sample.
`nox -s bench-compare -- BASE` installs the requirements and runs this.

Exit status: 0 if nothing is slower, 1 if something is, 2 for an invalid commit or option, 3 if something seemed slower
but could not be confirmed.
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

NO_REASON = affected.Reason(frozenset(), frozenset(), 0.0)


NO_REASON = affected.Reason(frozenset(), frozenset(), 0.0)


def to_measure(comparison: Comparison, pattern: str, whole: bool, end: float) -> list[str]:
    """The benchmarks to compare. Those for which there is no time are put into `comparison.left_out`.

    Prints the reason. Benchmarks that only kernels affect are dropped if their machine code is the same.
    """
    names = [name for name in comparison.names() if re.search(pattern, name)]
    if not names:
        print(f"no benchmark matches {pattern!r}", file=sys.stderr)
        sys.exit(2)
    files = affected.changed_files(comparison.base, comparison.head)
    if whole or (everything := affected.affects_all(files)):
        print("the whole table" if whole else f"all benchmarks: {', '.join(everything[:3])} changed")
        return comparison.prepared(affected.in_order(dict.fromkeys(names, NO_REASON)), end)
    if not affected.kernels_are_recorded(comparison.base):
        print("all benchmarks: which of them run a kernel cannot be seen in packages as old as the base's")
        return comparison.prepared(affected.in_order(dict.fromkeys(names, NO_REASON)), end)
    reasons_of = affected.Reasons(affected.tree_of(comparison.base), affected.tree_of(comparison.head))
    if not reasons_of.changed:
        print(f"nothing to measure: no code of the packages changed, only {', '.join(files[:3]) or 'no file at all'}")
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


TOGETHER = 2  # rounds with the same two processes


def measure(comparison: Comparison, names: Sequence[str], rounds: int, end: float) -> None:
    """Measure rounds of all benchmarks, then new rounds of those that seem slower, which may take as long again."""
    start, last = time.monotonic(), 2 * end - time.monotonic()
    comparison.measure(names, 0)
    if end < float("inf"):  # keep as many as there is time for; half of the remaining time is for suspects
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
    """Parse the arguments, measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", help="the commit to compare with")
    parser.add_argument("head", nargs="?", default="HEAD", help="the commit to judge (default: HEAD)")
    parser.add_argument("--all", action="store_true", help="measure all benchmarks, whatever changed")
    parser.add_argument("--only", "--bench", default="", metavar="PATTERN", help="a regular expression for names")
    parser.add_argument("--count", action="store_true", help="also count the instructions of what seems slower")
    parser.add_argument("--rounds", type=int, default=LEAST_ROUNDS, help=f"default and minimum: {LEAST_ROUNDS}")
    parser.add_argument("--minutes", type=float, help="the time to use (default: 17; with --all, no limit)")
    options = parser.parse_args()
    minutes = options.minutes or (float("inf") if options.all else 17)
    end = time.monotonic() + 60 * minutes
    comparison = Comparison(commit_of(options.base), commit_of(options.head))
    say_if_uncommitted(comparison.head)
    names = to_measure(comparison, options.only, options.all, end)
    if not names and not comparison.failed:
        return 0
    end = max(end, time.monotonic() + 60 * minutes / 2)  # what BASE executes is only recorded once
    measure(comparison, names, max(LEAST_ROUNDS, options.rounds), end)
    named = [name for name, verdict in verdicts(comparison).items() if verdict is not Verdict.FINE]
    counts = instructions.ratios(comparison.base, comparison.head, named, options.count)
    return report(comparison, counts)


if __name__ == "__main__":
    sys.exit(main())
