"""The table of cases on the device, with extents around block sizes, and again under compute-sanitizer."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import traceback
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np

from stackgrad.tensor import get_backend
from stackgrad.tensor.testing import CASES, Draw, Limits
from tools._gpu.report import Results
from tools._gpu.surroundings import is_installed

ROOT = Path(__file__).resolve().parents[2]
EDGES = (1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257)
LARGEST = Limits(extent=257, size=40_000)
SIMULATED = Limits(extent=4, size=60)
DRY_STEP = 10  # a dry run tries every tenth case
# A refused driver call is not an error: cuda.core uses one to find out whether a device is current.
OPTIONS = {"memcheck": ["--report-api-errors", "no"], "racecheck": []}
SANITIZER = "/usr/local/cuda/bin/compute-sanitizer"
LONGEST = 3000  # seconds a child process may take
HIGH = 15 << 28  # the bits of a draw's seed that allow large arrays


class EdgeDraw(Draw):
    """Like Draw, but about half of the extents are around a block size, as far as the limits allow."""

    def extent(self, least: int = 0) -> int:
        edges = [n for n in EDGES if least <= n <= self.limits.extent]
        return self.choice(edges) if edges and self.one_in(2) else super().extent(least)


def run_cases(report: Results, arguments: Namespace) -> None:
    """Every case, with `--examples` draws each. Gradient checks are slow and get a fifth of the draws.

    A dry run tries some of them, since the simulator has its own session for all. After an error from which CUDA does
    not recover, the remaining cases are not tried.
    """
    backend = get_backend("cuda")
    limits = SIMULATED if arguments.dry_run else LARGEST
    count = arguments.examples or (1 if arguments.dry_run else 30)
    cases = CASES[::DRY_STEP] if arguments.dry_run else CASES
    equal = 0
    for case in cases:
        examples = count if case.kind == "values" else max(1, count // 5)
        try:
            for i in range(examples):
                case.check(backend, EdgeDraw(limits, HIGH + i))
            equal += 1
        except Exception as error:
            report.failure(f"case {case}", error, f"example {i}: ")
            traceback.print_exc()
            if not _works(backend):
                report.check("device", False, f"stopped working after case {case}: the later cases were not tried")
                break
    report.check("table of cases", equal == len(cases), f"{equal} of {len(cases)} equal to NumPy within tolerance")


def _works(backend: Any) -> bool:
    """Whether the device can still fill an array."""
    try:
        return bool(backend.to_numpy(backend.full((1,), 1.0, np.dtype("float32")))[0] == 1)
    except Exception:
        return False


def run_tests(report: Results, arguments: Namespace) -> None:
    """The tests of the cuda backend, which need pytest and Hypothesis. A dry run skips them."""
    what = "tests of the cuda backend"
    absent = [name for name in ("pytest", "hypothesis") if not is_installed(name)]
    if arguments.dry_run or absent:
        found = "the simulator has its own session" if arguments.dry_run else f"not installed: {', '.join(absent)}"
        report.check(what, None, found)
        return
    command = [sys.executable, "-m", "pytest", "-q", str(ROOT / "packages/kernels/tests/cuda")]
    done = _run(command)
    last = (done.stdout.strip().splitlines() or ["nothing was printed"])[-1]
    report.check(what, done.returncode == 0, last)


def run_sanitizer(report: Results, arguments: Namespace) -> None:
    """Two draws of each case under compute-sanitizer, once for memory and once for races."""
    program = shutil.which("compute-sanitizer") or (SANITIZER if Path(SANITIZER).exists() else None)
    for tool in OPTIONS:
        if program is None or arguments.dry_run:
            reason = (
                "there is no GPU in a dry run" if arguments.dry_run else "not installed: it comes with CUDA's toolkit"
            )
            report.check(f"compute-sanitizer {tool}", None, reason)
            continue
        with tempfile.TemporaryDirectory() as folder:
            script = [sys.executable, str(ROOT / "tools/gpu_check.py"), "--only", "cases", "--examples", "2"]
            command = [program, "--tool", tool, *OPTIONS[tool], "--error-exitcode", "9", *script]
            done = _run([*command, "--out", f"{folder}/cases.md"])
        summaries = [line.strip("= ") for line in done.stdout.splitlines() if "SUMMARY" in line]
        good = bool(summaries) and done.returncode in (0, 1)  # 1: a case failed, which run_cases reports
        report.check(f"compute-sanitizer {tool}", good, "; ".join(summaries) or "no summary")


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run it with the packages of this tree, and print the end of its output."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=LONGEST)
    print(done.stdout[-4000:], done.stderr[-2000:])
    return done
