"""The tables of the comparison, as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import geometric_mean, median

from .works import CALLED, CAPTURED, GROUP_TARGETS, Work

COURSE_WORK, COURSE_LIBRARY = "course, batch 16, from float32", 55  # images per second, after 24 to 34 s of compiling
DOZEN = (  # names of works, and our form of each
    ("lenet5, batch 16, from float32, not captured", CALLED),
    ("lenet5, batch 64, from float32, not captured", CALLED),
    ("lenet5, batch 64, from float32", CAPTURED),
    ("lenet5, batch 256, from float32, not captured", CALLED),
    ("course, batch 64, from float32, not captured", CALLED),
    ("gpt of 4 layers, batch 16 of 64 tokens, not captured", CALLED),
    ("gpt of 4 layers, batch 16 of 64 tokens", CAPTURED),
    ("lenet5, batch 16", CAPTURED),
    ("32x64x28x28 to 64, 3x3 pad 1", CALLED),
    ("softmax 1024x1000", CALLED),
    ("gelu, 1e6", CALLED),
    ("add, 1e3, contiguous", CALLED),
)
DISTURBED = 0.05  # if other processes use more of the cores, a row is meaningless


@dataclass(frozen=True)
class Limits:
    """The highest speeds of this machine."""

    gflops: float
    gigabytes: float


@dataclass
class Row:
    """A work, the seconds of its rounds (by form and variant), and the difference of the results."""

    work: Work
    ours: dict[str, list[float]] = field(default_factory=dict)
    theirs: dict[str, list[float]] = field(default_factory=dict)
    onnx: list[float] = field(default_factory=list)
    difference: float = 0.0
    others: float = 0.0  # fraction of the cores that other processes used meanwhile

    @property
    def best(self) -> tuple[str, float]:
        """PyTorch's fastest variant and its median."""
        return min(((name, median(times)) for name, times in self.theirs.items()), key=lambda pair: pair[1])

    @property
    def seconds(self) -> float:
        """The median of our faster form."""
        return min(median(times) for times in self.ours.values())

    @property
    def ratio(self) -> float:
        """PyTorch's median over ours, for the faster form of each: how many times faster we are."""
        return self.best[1] / self.seconds

    def limit(self, limits: Limits) -> str:
        """The speed of ours, and its fraction of the machine's highest speed."""
        seconds = self.seconds
        if self.work.flops:
            reached = self.work.flops / seconds / 1e9
            return f"{reached:.1f} GFLOP/s, {reached / limits.gflops:.0%}"
        if self.work.traffic:
            reached = self.work.traffic / seconds / 1e9
            return f"{reached:.1f} GB/s, {reached / limits.gigabytes:.0%}"
        return ""

    def line(self, limits: Limits) -> str:
        """The row of the table."""
        variant, theirs = self.best
        target = "" if self.work.target is None else f"{self.work.target:g}x"
        missed = self.work.target is not None and self.ratio < self.work.target
        ours = [median(self.ours[form]) for form in self.work.forms]
        onnx = f" (ONNX Runtime {self._shown(median(self.onnx))})" if self.onnx else ""
        return _line(
            self.work.name + (" (disturbed)" if self.others > DISTURBED else ""),
            *(self._shown(seconds) + onnx for seconds in ours),
            self._shown(theirs) + (f" ({variant})" if variant else ""),
            *(f"{theirs / seconds:.2f}x" for seconds in ours),
            target + (", missed" if missed else ""),
            self.limit(limits),
        )

    def _shown(self, seconds: float) -> str:
        if self.work.images:
            return f"{self.work.images / seconds:,.0f} {self.work.unit}/s"
        return f"{seconds * 1e3:.3g} ms" if seconds > 1e-3 else f"{seconds * 1e6:.3g} µs"


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |\n"


def tables(rows: Sequence[Row], limits: Limits) -> str:
    """A table for each group, with its geometric mean above."""
    groups = dict.fromkeys(row.work.group for row in rows)
    return "\n".join(_group(name, [row for row in rows if row.work.group == name], limits) for name in groups)


def a_dozen(rows: Iterable[Row]) -> str:
    """A short table: for each of `DOZEN` our time, PyTorch's time, and the ratio."""
    found = {row.work.name: row for row in rows}
    body = ""
    for name, form in DOZEN:
        row = found[name]
        seconds = median(row.ours[form] if form in row.ours else next(iter(row.ours.values())))
        what = f"{row.work.group}: {name.removesuffix(', not captured')}"
        ours, theirs = row._shown(seconds), row._shown(row.best[1])
        body += _line(what, form, ours, theirs, f"{row.best[1] / seconds:.2f}x")
    return f"| work | ours is | ours | PyTorch | ratio |\n|---|---|---|---|---|\n{body}"


def _header(forms: tuple[str, ...]) -> str:
    """The header of a table of works with these forms."""
    both = len(forms) > 1
    ours, ratios = ([f"{what}, {form}" if both else what for form in forms] for what in ("ours", "ratio"))
    cells = ["work", *ours, "PyTorch", *ratios, "target", "limit"]
    return _line(*cells) + "|---" * len(cells) + "|\n"


def _group(name: str, rows: Sequence[Row], limits: Limits) -> str:
    mean = geometric_mean([row.ratio for row in rows])
    called = [row.best[1] / median(row.ours[CALLED]) for row in rows if CAPTURED in row.ours]
    beside = f" ({geometric_mean(called):.2f}x where we are called from Python)" if called else ""
    wanted = f" (target {GROUP_TARGETS[name]:g}x)" if name in GROUP_TARGETS else ""
    least = min(row.ratio for row in rows)
    missed = sum(row.work.target is not None and row.ratio < row.work.target for row in rows)
    misses = f"{missed} of {len(rows)} rows miss their target"
    summary = f"Geometric mean {mean:.2f}x{wanted}{beside}, least {least:.2f}x; {misses}."
    body = _header(rows[0].work.forms) + "".join(row.line(limits) for row in rows)
    text = f"### {name.capitalize()}\n\n{summary}\n\n{body}"
    return text + "".join(_beside_the_course(row) for row in rows if row.work.name == COURSE_WORK)


def _beside_the_course(row: Row) -> str:
    rate = row.work.images / row.seconds
    return (
        f"\nThe course's own library trained that network, at batch 16, with {COURSE_LIBRARY} images per second on a "
        f"machine like this one (measured apart): ours does {rate / COURSE_LIBRARY:.0f} times as many (target 400).\n"
    )


def processes(lines: Iterable[tuple[str, str, str, str]]) -> str:
    """The table of whole processes: work, ours, PyTorch's, target."""
    body = "".join(_line(*line) for line in lines)
    return f"### Whole processes\n\n| work | ours | PyTorch | target |\n|---|---|---|---|\n{body}"


def put_between(text: str, marker: str, table: str) -> str:
    """`text` with `table` between the two comments of `marker`. Raises ValueError if they are missing."""
    start, end = f"<!-- {marker} -->", f"<!-- end of {marker} -->"
    before, found, rest = text.partition(start)
    _, also_found, after = rest.partition(end)
    if not (found and also_found):
        raise ValueError(f"cannot insert the table: expected the comments {start} and {end}")
    return f"{before}{start}\n\n{table}\n{end}{after}"
