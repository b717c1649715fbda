"""Check the cuda backend on a real GPU and measure it: python tools/gpu_check.py [--out FILE] [--only PART ...].

Needs no network and no installation: Python with NumPy, numba and numba-cuda (and what that compiles with) and pytest;
with Hypothesis the tests of tests/cuda are run as well, with PyTorch it is what is compared with. The parts:

    cases       every case of the table on the GPU against NumPy, with extents at the edges of blocks
    tests       packages/kernels/tests/cuda
    sanitizer   some cases again under NVIDIA's compute-sanitizer: memory out of bounds, and races
    training    lenet5 on MNIST until 99 % of the test images are read rightly
    speed       against PyTorch, and against the speed of a copy

The results go to a file with the device's name, after each part. What was not measured stays empty. `--dry-run` does
all in Numba's simulator, in small, to see that this script works; it measures nothing.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("cases", "tests", "sanitizer", "training", "speed")


def parse_arguments(given: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(":")[0])
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "gpu.md", help="where to write the results")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="which parts to do")
    parser.add_argument("--examples", type=int, default=None, metavar="N", help="of each case (30)")
    parser.add_argument("--dry-run", action="store_true", help="in Numba's simulator, in small")
    return parser.parse_args(given)


def main(given: list[str] | None = None) -> int:
    """Do the parts and write the results; 0 where all is well, 1 where something failed, 2 without a GPU."""
    arguments = parse_arguments(given)
    if arguments.dry_run:
        os.environ["NUMBA_ENABLE_CUDASIM"] = "1"  # before Numba is imported
    sys.path.insert(0, str(ROOT))
    from tools._gpu import surroundings

    surroundings.make_importable(ROOT)
    surroundings.find_compiler()
    from stackgrad.kernels.cuda import what_is_missing

    if missing := what_is_missing():
        print(f"no GPU to check: {missing}", file=sys.stderr)
        return 2
    from tools._gpu.report import Report
    from tools._gpu.runs import RUNS

    report = Report(surroundings.device_name(), arguments.dry_run, date.today(), surroundings.versions())
    for part in arguments.only:
        print(f"== {part}", flush=True)
        try:
            RUNS[part](report, arguments)
        except Exception as error:
            traceback.print_exc()
            report.failure(part, error)
        if arguments.out.parent.is_dir():
            arguments.out.write_text(report.text(), encoding="utf-8")
            print(f"written to {arguments.out}")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
