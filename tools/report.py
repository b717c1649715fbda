"""The result of a comparison of two commits, as text and as an exit status."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median

from .busy import summary
from .comparison import Comparison
from .slower import LIMIT, Verdict, beyond, ratio, verdict

FINE, SLOWER, UNCONFIRMED = 0, 1, 3


def line(name: str, base: list[float], head: list[float]) -> str:
    """One benchmark as text."""
    before, after = median(base) * 1e6, median(head) * 1e6
    return (
        f"{ratio(base, head):5.2f}x  {before:10.1f} -> {after:10.1f} us  "
        f"slower by more than {LIMIT - 1:.0%} in {beyond(base, head)} of {len(base)} rounds  {name}"
    )


def beside_counts(times: float, counts: float | None) -> str:
    """What the instructions say about a benchmark that takes `times` times as long."""
    if counts is None:
        return ""
    if counts > 1 + (times - 1) / 2:
        return f"  [instructions {counts:.2f}x]"
    return f"  [instructions {counts:.2f}x: memory order, threads or the machine]"


def verdicts(comparison: Comparison) -> dict[str, Verdict]:
    """The verdicts on the suspects."""
    return {name: verdict(*comparison.fresh.get(name, ([], []))) for name in comparison.suspects()}


def report(comparison: Comparison, counts: Mapping[str, float] | None = None) -> int:
    """Print the result. Returns the exit status. `counts` are ratios of instructions, if they were counted."""
    measured = {name: rounds for name, rounds in comparison.rounds.items() if rounds[0]}
    for text in sorted((line(name, *rounds) for name, rounds in measured.items()), reverse=True):
        print(text)
    broken = {name: errors[1] for name, errors in comparison.failed.items() if errors[1]}
    for name in sorted(comparison.failed.keys() - broken.keys()):
        print(f"only on HEAD: {name} ({comparison.failed[name][0]})")
    for name, error in broken.items():
        print(f"FAILS on HEAD: {name}: {error}")
    print(summary(comparison.shares))
    if comparison.alone:
        print("measured with one thread, since the machine was busy at the start: a loss of parallelism is not seen")
    if comparison.same:
        print(f"not measured, since the machine code is the same: {len(comparison.same)}")
    if comparison.left_out:
        print(
            f"LEFT OUT for lack of time: {len(comparison.left_out)} of "
            f"{len(measured) + len(comparison.left_out)} affected (--minutes, --only or --all): "
            f"{'; '.join(comparison.left_out[:5])}{' ...' if len(comparison.left_out) > 5 else ''}"
        )
    found = verdicts(comparison)
    for name, result in found.items():
        rounds = comparison.fresh.get(name) or comparison.rounds[name]
        if result is not Verdict.FINE:
            beside = beside_counts(ratio(*rounds), (counts or {}).get(name))
            print(f"{result.value}: {line(name, *rounds)}{beside}")
    named = [sum(result is wanted for result in found.values()) for wanted in (Verdict.SLOWER, Verdict.UNCONFIRMED)]
    print(f"{len(measured)} benchmarks compared, {named[0]} slower, {named[1]} unconfirmed, {len(broken)} failing")
    if named[0] or broken:
        return SLOWER
    return UNCONFIRMED if named[1] else FINE
