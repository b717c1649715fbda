"""The report of a run: the checks, and the speed beside the project's aims."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from datetime import date

ROUNDS, SECONDS = 5, 0.3  # the fastest round counts; each takes at least so many seconds

ABOUT_CHECKS = """\
Every backend is tested with the table of cases; here its arrays are larger than in other tests.
compute-sanitizer runs it again and looks for accesses out of bounds and for races. Without a GPU, all kernels run in
Numba's simulator (`nox -s tests-cuda-simulator`) and are compiled for compute capability 8.0 and 9.0
(`nox -s tests-cuda-compile`)."""

ABOUT_SPEED = f"""\
The ratio is our speed divided by the other; more is better. "At least" is the project's aim; a missed aim fails no
check. After a warm-up, a workload is repeated for at least {SECONDS} seconds, and we wait for the device at the end.
The fastest of {ROUNDS} such rounds counts. All data is float32, without TF32 on either side.

"copy" is the driver's copy from device to device; bytes read and bytes written both count, as for our workloads. The
others are PyTorch's: matrix products by cuBLAS, convolutions by cuDNN, and a training step of AdamW on one batch that
stays on the device. "PyTorch, eager" calls the step from Python, operation by operation; "PyTorch, graph" captures it
once as a CUDA graph and replays that. Ours is captured and replayed in both rows."""


@dataclass(frozen=True)
class Check:
    """Whether a check passed; `good` is None if it could not be tried, and `found` says why."""

    what: str
    good: bool | None
    found: str


@dataclass(frozen=True)
class Speed:
    """The speed of a workload in `unit`, ours and the other; None if it was not measured.

    `target` is the ratio that the project aims for.
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
"""A result of a part; a string is a note below the tables."""


class Results(ABC):
    """Receives the results of the parts."""

    @abstractmethod
    def add(self, result: Result) -> None:
        """Add a result."""

    def check(self, what: str, good: bool | None, found: str) -> None:
        self.add(Check(what, good, found))

    def failure(self, what: str, error: Exception, where: str = "") -> None:
        """A check that ended with an exception."""
        text = " ".join(f"{type(error).__name__}: {error}".split())[:300].replace("|", "\\|")
        self.check(what, False, where + text)


@dataclass
class Report(Results):
    """The results so far; each is printed as it arrives."""

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
        """Whether a check failed. A missed aim for speed is not a failure."""
        return any(check.good is False for check in self.checks)

    def text(self) -> str:
        """The results as a page."""
        when = "a dry run, which measures nothing" if self.dry_run else f"{self.day:%Y-%m-%d}"
        lines = [f"# The cuda backend on {self.device}", "", f"By `tools/gpu_check.py`, {when}. {self.versions}.", ""]
        lines += ["## Checks", "", ABOUT_CHECKS, "", "| what | result | found |", "|---|---|---|"]
        results = {True: "good", False: "**failed**", None: "not tried"}
        lines += [f"| {check.what} | {results[check.good]} | {check.found} |" for check in self.checks]
        if self.speeds:
            lines += ["", "## Speed", "", ABOUT_SPEED, ""]
            lines += [
                "| workload | ours | other | other is | ratio | at least | met |",
                "|---|---|---|---|---|---|---|",
            ]
            lines += [speed.line() for speed in self.speeds]
        lines += [f"\n{note}" for note in self.notes]
        return "\n".join(lines) + "\n"
