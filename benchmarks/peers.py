"""Compare with PyTorch: python -m benchmarks.peers [--only PATTERN] [--rounds N] [--write].

Each side has its own process. The parent asks one for a sample and then the other, so that only one works at a time and
both run in the same minutes. Their results are compared before they are timed. `nox -s bench-peers` installs the
requirements and runs this.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import sys
import time
from collections.abc import Callable
from datetime import date
from importlib.metadata import version
from pathlib import Path

import numpy as np

from ._peers import runs
from ._peers.load import Others, busy
from ._peers.side import Arrays, largest_difference
from ._peers.table import DISTURBED, Limits, Row, a_dozen, processes, put_between, tables
from ._peers.works import Work, works
from ._pipe import ROOT, RequestError, Worker

WHOLE, SHORT = ROOT / "docs" / "peers.md", ROOT / "docs" / "performance.md"
THREADS = dict.fromkeys(("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "2")
TRIES = 3  # attempts to measure a work while no other program uses the machine
RUNS = "processes"  # the name of the whole processes for --only
BESIDE, BUSY, SECONDS = "lenet5, batch 64, from uint8", 4, 3.0  # training that is measured beside busy processes


def measured_limits() -> Limits:
    """The speed of the largest BLAS product, and the bandwidth of a copy, counting reads and writes."""
    a = np.random.default_rng(0).standard_normal((2048, 2048), np.float32)
    product, source = np.empty_like(a), np.ones(16_000_000, np.float32)
    target = np.zeros_like(source)
    return Limits(
        2 * 2048**3 / _least(lambda: np.matmul(a, a, product)) / 1e9,
        2 * source.nbytes / _least(lambda: np.copyto(target, source)) / 1e9,
    )


def _least(work: Callable[[], object]) -> float:
    times = []
    for _ in range(7):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


class Sides:
    """The processes of both sides, and of ONNX Runtime."""

    def __init__(self) -> None:
        self.ours = Worker("benchmarks._peers.ours", THREADS)
        self.theirs = Worker("benchmarks._peers.pytorch", THREADS)
        self.onnx: Worker | None = Worker("benchmarks._peers.onnx_runtime", THREADS)
        try:
            self.onnx.ask("cpu")
        except (EOFError, BrokenPipeError):
            print("ONNX Runtime cannot be imported: its columns are left out", file=sys.stderr)
            self.onnx = None

    def measure(self, work: Work, rounds: int) -> Row:
        """Build a work on all sides, compare the results, and time them in turns. Raises RequestError."""
        row = Row(work)
        weights = None
        if work.kind in ("train", "gpt", "inference", "optimizer"):
            model = work.arguments[0] if work.kind != "optimizer" else "lenet5"
            weights = self.ours.ask("weights", model)
        ours = [self.ours.ask("build", form, work.kind, weights, work.arguments) for form in work.forms]
        for variant in work.variants:
            other = self.theirs.ask("build", variant, work.kind, weights, work.arguments)
            row.difference = max(row.difference, *(largest_difference(results, other) for results in ours))
        onnx = self._with_onnx(work, weights, ours[0], row)
        for _ in range(TRIES):
            others = Others(self._cpu_seconds)
            self._take_turns(row, onnx, rounds)
            row.others = others.share()
            if row.others <= DISTURBED:
                break
        for worker in (self.ours, self.theirs):
            worker.ask("forget")
        if row.difference > work.tolerance:
            raise ValueError(f"{work.name}: results differ by {row.difference:.1e}, more than {work.tolerance:.0e}")
        return row

    def _take_turns(self, row: Row, onnx: Worker | None, rounds: int) -> None:
        row.ours, row.theirs = {form: [] for form in row.work.forms}, {variant: [] for variant in row.work.variants}
        row.onnx = []
        turns = [(self.ours, form, times) for form, times in row.ours.items()]
        turns += [(self.theirs, variant, times) for variant, times in row.theirs.items()]
        turns += [(onnx, "", row.onnx)] if onnx else []
        for i in range(rounds):
            for worker, variant, times in turns[:: -1 if i % 2 else 1]:
                times.append(worker.ask("sample", variant))

    def _cpu_seconds(self) -> float:
        workers = [worker for worker in (self.ours, self.theirs, self.onnx) if worker is not None]
        used: list[float] = [worker.ask("cpu") for worker in workers]
        return time.process_time() + sum(used)

    def _with_onnx(self, work: Work, weights: object, results: Arrays, row: Row) -> Worker | None:
        """ONNX Runtime's process with the work built, if it is installed and the work is an inference."""
        if work.kind != "inference" or self.onnx is None:
            return None
        other = self.onnx.ask("build", "", work.kind, weights, work.arguments)
        row.difference = max(row.difference, largest_difference(results, other))
        return self.onnx

    def close(self) -> None:
        """End the processes."""
        for worker in (self.ours, self.theirs, self.onnx):
            if worker is not None:
                worker.close()


def beside_busy_processes() -> tuple[str, str]:
    """Images per second of training beside `BUSY` processes, ours and PyTorch's: the lowest and the highest rate."""
    (work,) = [work for work in works() if work.name == BESIDE]
    sides = Sides()
    weights = sides.ours.ask("weights", work.arguments[0])
    built = [(sides.ours, work.forms[0]), (sides.theirs, work.variants[-1])]
    for worker, variant in built:
        worker.ask("build", variant, work.kind, weights, work.arguments)
    with busy(BUSY):
        rounds = [[worker.ask("rate", variant, SECONDS) * work.images for worker, variant in built] for _ in range(5)]
    sides.close()
    ours, theirs = (f"{min(rates):,.0f} to {max(rates):,.0f}" for rates in zip(*rounds, strict=True))
    return ours, theirs


def whole_processes() -> str:
    """The first steps, and the default run: the median of three of ours, and one of PyTorch's."""
    warm, cold = runs.first_steps()
    ours = sorted([runs.ours() for _ in range(3)], key=lambda run: run["seconds_process"])[1]
    theirs = runs.pytorch()
    shown, their_shown = (f"{run['seconds_process']:.1f} s, {run['test_accuracy']:.2%}" for run in (ours, theirs))
    memory, their_memory = (f"{run['peak_memory_mb']:.0f} MB" for run in (ours, theirs))
    return processes(
        (
            ("first training step, kernels cached", f"{warm:.2f} s", "", "2 s"),
            ("first training step, nothing cached", f"{cold:.1f} s", "", "30 s"),
            (
                "default training run, whole process (the middle of three of ours), and its test accuracy",
                shown,
                their_shown,
                "15 s",
            ),
            ("its peak memory", memory, their_memory, "500 MB and PyTorch's"),
            (f"{BESIDE}, images/s beside {BUSY} busy processes", *beside_busy_processes(), ""),
        )
    )


def machine(limits: Limits) -> str:
    """A line about the machine and the versions."""
    model = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
        model = found[1] if found else model
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "numba", "numpy"))
    return (
        f"Measured on {date.today():%Y-%m-%d}: {model}, {os.cpu_count()} cores, {platform.system()}; Python "
        f"{platform.python_version()}, {versions}; two threads each. The largest BLAS product (2048 square, float32) "
        f"reached {limits.gflops:.0f} GFLOP/s, a copy of 64 MB {limits.gigabytes:.1f} GB/s."
    )


def main() -> int:
    """Measure and print, and with --write update the documents. Returns 1 if results differ or rows are disturbed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only", default="", metavar="PATTERN", help=f"measure works whose 'group: name' matches, or {RUNS!r}"
    )
    parser.add_argument("--rounds", type=int, default=15, help="samples per side (default: 15)")
    parser.add_argument("--write", action="store_true", help="write the tables to docs/peers.md and performance.md")
    options = parser.parse_args()
    if options.write and options.only:
        parser.error("--write with --only would replace the whole table by a part of it")
    chosen = [work for work in works() if re.search(options.only, f"{work.group}: {work.name}")]
    rows: list[Row] = []
    wrong: list[str] = []
    before = measured_limits()
    sides = Sides()
    for work in chosen:
        try:
            rows.append(sides.measure(work, options.rounds))
        except (RequestError, ValueError) as error:
            wrong.append(f"{work.group}: {work.name}: {error}")
            continue
        print(rows[-1].line(before), end="", flush=True)
    sides.close()
    after = measured_limits()
    limits = Limits(max(before.gflops, after.gflops), max(before.gigabytes, after.gigabytes))
    parts = [machine(limits), tables(rows, limits)] if rows else []
    if re.search(options.only, RUNS):
        parts.append(whole_processes())
    text = "\n\n".join(parts)
    print(f"\n{text}")
    print("\n".join(wrong), file=sys.stderr)
    if disturbed := [row.work.name for row in rows if row.others > DISTURBED]:
        names = "; ".join(disturbed)
        print(f"other processes used more than {DISTURBED:.0%} of the cores during: {names}", file=sys.stderr)
    if options.write:
        for page, marker, shown in (
            (WHOLE, "the comparison with PyTorch", text),
            (SHORT, "a dozen rows", f"{machine(limits)}\n\n{a_dozen(rows)}"),
        ):
            page.write_text(put_between(page.read_text(encoding="utf-8"), marker, shown), encoding="utf-8")
    return 1 if wrong or disturbed or not parts else 0


if __name__ == "__main__":
    sys.exit(main())
