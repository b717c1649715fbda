"""The table of cases on the device, with arrays at the edges of blocks; and again under compute-sanitizer."""

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
from tools._gpu.report import Report
from tools._gpu.surroundings import is_installed

ROOT = Path(__file__).resolve().parents[2]
EDGES = (1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257)
LARGEST = Limits(extent=257, size=40_000)
SIMULATED = Limits(extent=4, size=60)
SANITIZER = "/usr/local/cuda/bin/compute-sanitizer"
HIGH = 15 << 28  # the bits of a draw's number that say that arrays may be large


class EdgeDraw(Draw):
    """As Draw, but every other extent is one at the edge of a block, as far as limits allow."""

    def extent(self, least: int = 0) -> int:
        edges = [n for n in EDGES if least <= n <= self.limits.extent]
        return self.choice(edges) if edges and self.one_in(2) else super().extent(least)


def run_cases(report: Report, arguments: Namespace) -> None:
    """Every case, with `--examples` draws each; those of gradients by differences, which take long, fewer.

    After an error that CUDA does not come back from, the cases that are left cannot be tried.
    """
    backend = get_backend("cuda")
    limits = SIMULATED if arguments.dry_run else LARGEST
    count = arguments.examples or (1 if arguments.dry_run else 30)
    equal = 0
    for case in CASES:
        examples = count if case.kind == "values" else max(1, count // 5)
        try:
            for number in range(examples):
                case.check(backend, EdgeDraw(limits, HIGH + number))
            equal += 1
        except Exception as error:
            report.failure(f"case {case}", error, f"example {number}: ")
            traceback.print_exc()
            if not _answers(backend):
                report.check("device", False, f"it does nothing more after case {case}: the later ones were not tried")
                break
    report.check("table of cases", equal == len(CASES), f"{equal} of {len(CASES)} equal to NumPy within tolerance")


def _answers(backend: Any) -> bool:
    """Whether the device can still fill an array."""
    try:
        return bool(backend.to_numpy(backend.full((1,), 1.0, np.dtype("float32")))[0] == 1)
    except Exception:
        return False


def run_tests(report: Report, arguments: Namespace) -> None:
    """The tests of the cuda backend, which need pytest and Hypothesis. A dry run leaves them to their own session."""
    what = "tests of the cuda backend"
    absent = [name for name in ("pytest", "hypothesis") if not is_installed(name)]
    if arguments.dry_run or absent:
        found = "the simulator has a session of its own" if arguments.dry_run else f"not installed: {', '.join(absent)}"
        report.check(what, None, found)
        return
    command = [sys.executable, "-m", "pytest", "-q", str(ROOT / "packages/kernels/tests/cuda")]
    done = subprocess.run(command, env=_environment(), capture_output=True, text=True, check=False)
    print(done.stdout[-4000:], done.stderr[-2000:])
    last = (done.stdout.strip().splitlines() or ["nothing was printed"])[-1]
    report.check(what, done.returncode == 0, last)


def run_sanitizer(report: Report, arguments: Namespace) -> None:
    """Two draws of each case under compute-sanitizer, once for memory and once for races."""
    program = shutil.which("compute-sanitizer") or (SANITIZER if Path(SANITIZER).exists() else None)
    for tool in ("memcheck", "racecheck"):
        if program is None or arguments.dry_run:
            reason = (
                "there is no GPU in a dry run" if arguments.dry_run else "not installed: it comes with CUDA's toolkit"
            )
            report.check(f"compute-sanitizer {tool}", None, reason)
            continue
        with tempfile.TemporaryDirectory() as folder:
            script = [sys.executable, str(ROOT / "tools/gpu_check.py"), "--only", "cases", "--examples", "2"]
            command = [program, "--tool", tool, "--error-exitcode", "9", *script, "--out", f"{folder}/cases.md"]
            done = subprocess.run(command, env=_environment(), capture_output=True, text=True, check=False)
        print(done.stdout[-4000:], done.stderr[-2000:])
        summaries = [line.strip("= ") for line in done.stdout.splitlines() if "SUMMARY" in line]
        report.check(f"compute-sanitizer {tool}", done.returncode == 0, "; ".join(summaries) or "no summary")


def _environment() -> dict[str, str]:
    """For processes that are started: the packages of this tree."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
