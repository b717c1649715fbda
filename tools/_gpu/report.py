"""What is written of a run: the checks, and how fast it is beside what the issue asks for."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date


@dataclass(frozen=True)
class Check:
    """Whether something is right; `good` is None where it could not be tried, and `found` says why."""

    what: str
    good: bool | None
    found: str


@dataclass(frozen=True)
class Speed:
    """How fast a work is, in `unit`: ours, and what it is compared with; None where it was not measured.

    `target` is the share of the other that is asked for.
    """

    what: str
    unit: str
    ours: float | None
    other: float | None
    against: str
    target: float

    @property
    def ratio(self) -> float | None:
        return self.ours / self.other if self.ours and self.other else None

    def line(self) -> str:
        ratio = self.ratio
        met = "" if ratio is None else "yes" if ratio >= self.target else "no"
        cells = [
            f"{self.what}, {self.unit}",
            *(f"{value:,.0f}" if value else "" for value in (self.ours, self.other)),
            self.against,
            f"{ratio:.2f}" if ratio else "",
            f"{self.target:.2f}",
            met,
        ]
        return "| " + " | ".join(cells) + " |"


@dataclass
class Report:
    """The results so far."""

    device: str
    dry_run: bool
    day: date
    versions: str
    checks: list[Check] = field(default_factory=list)
    speeds: list[Speed] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def check(self, what: str, good: bool | None, found: str) -> None:
        self.checks.append(Check(what, good, found))
        print(f"{what}: {found}", flush=True)

    def failure(self, what: str, error: Exception, where: str = "") -> None:
        """A check that ended with an exception."""
        text = " ".join(f"{type(error).__name__}: {error}".split())[:300].replace("|", "\\|")
        self.check(what, False, where + text)

    def speed(self, row: Speed) -> None:
        self.speeds.append(row)
        print(row.line(), flush=True)

    @property
    def failed(self) -> bool:
        """Whether a check failed. Speed that is missed is no failure of the check."""
        return any(check.good is False for check in self.checks)

    def text(self) -> str:
        """The results as a page."""
        kind = "a dry run, which measures nothing" if self.dry_run else f"{self.day:%Y-%m-%d}"
        lines = [f"# The cuda backend on {self.device}", "", f"By `tools/gpu_check.py`, {kind}. {self.versions}.", ""]
        lines += ["## Checks", "", "| what | result | found |", "|---|---|---|"]
        results = {True: "good", False: "**failed**", None: "not tried"}
        lines += [f"| {check.what} | {results[check.good]} | {check.found} |" for check in self.checks]
        if self.speeds:
            lines += ["", "## Speed", "", "The ratio is ours to the other; more is better.", ""]
            lines += ["| work | ours | other | other is | ratio | at least | met |", "|---|---|---|---|---|---|---|"]
            lines += [speed.line() for speed in self.speeds]
        lines += [f"\n{note}" for note in self.notes]
        return "\n".join(lines) + "\n"
