"""What is written of a run: the checks, and how fast it is beside what the project sets itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from datetime import date

ROUNDS, SECONDS = 5, 0.3  # of which the fastest counts; how long each is at least

ABOUT_CHECKS = """\
The table of cases is what every backend is tested by; here its arrays are larger than in other tests.
compute-sanitizer runs it again and looks for memory out of bounds and for races. Without a GPU, all kernels run in
Numba's simulator (`nox -s tests-cuda-simulator`), and are compiled for compute capability 8.0 and 9.0
(`nox -s tests-cuda-compile`)."""

ABOUT_SPEED = f"""\
The ratio is ours to the other; more is better. "At least" is what the project sets itself; to miss it fails no check.
A work is repeated for at least {SECONDS} seconds after it was warmed up, and the device is waited for at the end; of
{ROUNDS} such rounds the fastest counts. All is in float32, without TF32 on either side.

"copy" is the driver's copy from device to device; as for our works, the bytes read and written are counted. The others
are PyTorch's: matrix products by cuBLAS, convolutions by cuDNN, and a training step of AdamW on one batch that stays on
the device. "PyTorch, eager" is that step as Python calls it, operation by operation; "PyTorch, graph" is the step
captured once as a CUDA graph, which is replayed. Ours is captured and replayed in both rows."""


@dataclass(frozen=True)
class Check:
    """Whether something is right; `good` is None where it could not be tried, and `found` says why."""

    what: str
    good: bool | None
    found: str


@dataclass(frozen=True)
class Speed:
    """How fast a work is, in `unit`: ours, and what it is compared with; None where it was not measured.

    `target` is the share of the other that the project sets itself.
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


Result = Check | Speed | str
"""What a part finds; a string is a note below the tables."""


class Results(ABC):
    """Where the parts leave what they find."""

    @abstractmethod
    def add(self, result: Result) -> None:
        """Take a result."""

    def check(self, what: str, good: bool | None, found: str) -> None:
        self.add(Check(what, good, found))

    def failure(self, what: str, error: Exception, where: str = "") -> None:
        """A check that ended with an exception."""
        text = " ".join(f"{type(error).__name__}: {error}".split())[:300].replace("|", "\\|")
        self.check(what, False, where + text)


@dataclass
class Report(Results):
    """The results so far, printed as they come."""

    device: str
    dry_run: bool
    day: date
    versions: str
    checks: list[Check] = field(default_factory=list)
    speeds: list[Speed] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, result: Result) -> None:
        if isinstance(result, Check):
            self.checks.append(result)
            print(f"{result.what}: {result.found}", flush=True)
        elif isinstance(result, Speed):
            self.speeds.append(result)
            print(result.line(), flush=True)
        else:
            self.notes.append(result)

    @property
    def failed(self) -> bool:
        """Whether a check failed. Speed that is missed is no failure of the check."""
        return any(check.good is False for check in self.checks)

    def text(self) -> str:
        """The results as a page."""
        kind = "a dry run, which measures nothing" if self.dry_run else f"{self.day:%Y-%m-%d}"
        lines = [f"# The cuda backend on {self.device}", "", f"By `tools/gpu_check.py`, {kind}. {self.versions}.", ""]
        lines += ["## Checks", "", ABOUT_CHECKS, "", "| what | result | found |", "|---|---|---|"]
        results = {True: "good", False: "**failed**", None: "not tried"}
        lines += [f"| {check.what} | {results[check.good]} | {check.found} |" for check in self.checks]
        if self.speeds:
            lines += ["", "## Speed", "", ABOUT_SPEED, ""]
            lines += ["| work | ours | other | other is | ratio | at least | met |", "|---|---|---|---|---|---|---|"]
            lines += [speed.line() for speed in self.speeds]
        lines += [f"\n{note}" for note in self.notes]
        return "\n".join(lines) + "\n"
