"""Check the cuda backend on a real GPU and measure it.

The parts:

    cases       every case of the table on the GPU against NumPy, with extents at the edges of blocks
    tests       packages/kernels/tests/cuda
    exchange    memory lent to PyTorch and CuPy, and borrowed from them
    training    lenet5 on MNIST until 99 % of the test images are read rightly
    speed       against PyTorch, and against the speed of a copy
    sanitizer   some cases again under NVIDIA's compute-sanitizer: memory out of bounds, and races

Several have a process each: where one ends the device, the others go on.

Installs nothing and needs no network. What it needs, `pip install './packages/kernels[cuda13]' ./packages/tensor`
brings, in the checkout and with a driver of 580 or newer ([cuda12]: 575 or newer): NumPy, numba-cuda with NVIDIA's
compiler, and cuda-core. The other packages of the checkout it finds by itself. It does more where it finds

    pytest, Hypothesis     the tests
    compute-sanitizer      which comes with a full CUDA toolkit; looked for on the PATH and in /usr/local/cuda/bin
    PyTorch                what the speed is compared with, and memory shared
    CuPy                   memory shared

and what cannot be tried without them is written down as not tried, or stays empty. After a whole run on a GPU the
results are in docs/gpu.md, written anew with each result; of a dry run or of single parts they are printed at the end.
`--out` writes either to a file.

Exit code: 0 where all is well, 1 where something is wrong (slow is not wrong), 2 where nothing can be checked, as
there is no GPU or the command line is not understood.
"""

from __future__ import annotations

import argparse
import os
import sys
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "gpu.md"
PARTS = ("cases", "tests", "exchange", "training", "speed", "sanitizer")
FROM_CHECKOUT = "'./packages/kernels[cuda13]' './packages/tensor'"


def parse_arguments(given: list[str] | None) -> argparse.Namespace:
    """The command line; `out` is None where the results are to be printed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, metavar="FILE", help="where to write the results")
    parser.add_argument(
        "--only", nargs="+", choices=PARTS, default=list(PARTS), help="which parts to do", metavar="PART"
    )
    parser.add_argument(
        "--examples", type=int, metavar="N", help="how often to try each case, with other arrays (30; in a dry run 1)"
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="all in small in Numba's simulator, to see that this script works: it measures nothing",
    )
    arguments = parser.parse_args(given)
    if arguments.out is None and not arguments.dry_run and set(arguments.only) == set(PARTS):
        arguments.out = PAGE
    if arguments.examples is not None and arguments.examples < 1:
        parser.error(f"--examples {arguments.examples}: expected 1 or more")
    if arguments.out and not arguments.out.parent.is_dir():
        parser.error(f"--out {arguments.out}: there is no folder {arguments.out.parent}")
    if not arguments.dry_run and os.environ.get("NUMBA_ENABLE_CUDASIM", "0") not in ("", "0"):
        parser.exit(2, "NUMBA_ENABLE_CUDASIM asks for Numba's simulator: unset it to check a GPU, or use --dry-run\n")
    return arguments


def main(given: list[str] | None = None) -> int:
    """Do the parts and write or print the results; gives the exit code."""
    arguments = parse_arguments(given)
    if arguments.dry_run:
        os.environ["NUMBA_ENABLE_CUDASIM"] = "1"  # before Numba is imported
    sys.path.insert(0, str(ROOT))
    from tools._gpu import surroundings

    surroundings.make_importable(ROOT)
    surroundings.find_compiler()
    from stackgrad.kernels.cuda import what_is_missing
    from stackgrad.kernels.cuda._installed import EXTRA

    if missing := what_is_missing():
        print(f"no GPU to check: {missing.replace(EXTRA, FROM_CHECKOUT)}", file=sys.stderr)
        return 2
    from tools._gpu.process import do_part, results_of
    from tools._gpu.report import Report, Result

    report = Report(surroundings.device_name(), arguments.dry_run, date.today(), surroundings.versions())

    def take(result: Result) -> None:
        report.add(result)
        if arguments.out:
            arguments.out.write_text(report.text(), encoding="utf-8")

    for part in arguments.only:
        print(f"== {part}", flush=True)
        if len(arguments.only) == 1:  # here, where compute-sanitizer looks
            do_part(part, arguments, take)
        else:
            for result in results_of(part, arguments):
                take(result)
    if arguments.out:
        arguments.out.write_text(report.text(), encoding="utf-8")
        print(f"written to {arguments.out}")
    else:
        print(f"\n{report.text()}", end="")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
