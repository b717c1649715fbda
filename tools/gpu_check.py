"""Check the cuda backend on a real GPU and measure it.

The parts:

    cases       every case of the table on the GPU against NumPy, with extents at the edges of blocks
    tests       packages/kernels/tests/cuda
    exchange    memory shared with PyTorch and CuPy, in both directions
    training    lenet5 on MNIST to a test accuracy of 99 %
    speed       compared with PyTorch, and with the speed of a copy
    sanitizer   some cases again under NVIDIA's compute-sanitizer, which finds accesses out of bounds and races

If there are several parts, each has its own process: if one breaks the device, the others continue.

This installs nothing and needs no network. It needs NumPy, numba-cuda with NVIDIA's compiler, and cuda-core:
`pip install './packages/kernels[cuda13]' ./packages/tensor` in the checkout installs them. [cuda13] needs driver 580 or
newer, and [cuda12] needs 575 or newer. It finds the other packages of the checkout by itself. It does more if it finds

    pytest, Hypothesis     runs the tests
    compute-sanitizer      part of a full CUDA toolkit; looked for on the PATH and in /usr/local/cuda/bin
    PyTorch                compares speed, and shares memory
    CuPy                   shares memory

Without them, the results say "not tried" or stay empty. A whole run on a GPU writes the results to docs/gpu.md, and
updates it with each result. A dry run or a run of single parts prints the results at the end. `--out` writes either to
a file.

Exit code: 0 if everything is correct, 1 if something is wrong (low speed is not), 2 if nothing can be checked, because
there is no GPU or the command line is invalid.
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
    """Parse the command line; `out` is None if the results are printed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, metavar="FILE", help="where to write the results")
    parser.add_argument(
        "--only", nargs="+", choices=PARTS, default=list(PARTS), help="the parts to run", metavar="PART"
    )
    parser.add_argument(
        "--examples",
        type=int,
        metavar="N",
        help="how many random examples of each case to try (default: 30; in a dry run 1)",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="run everything at small sizes in Numba's simulator to test this script; measures nothing",
    )
    arguments = parser.parse_args(given)
    if arguments.out is None and not arguments.dry_run and set(arguments.only) == set(PARTS):
        arguments.out = PAGE
    if arguments.examples is not None and arguments.examples < 1:
        parser.error(f"--examples {arguments.examples}: expected 1 or more")
    if arguments.out and not arguments.out.parent.is_dir():
        parser.error(f"--out {arguments.out}: there is no folder {arguments.out.parent}")
    if not arguments.dry_run and os.environ.get("NUMBA_ENABLE_CUDASIM", "0") not in ("", "0"):
        parser.exit(2, "NUMBA_ENABLE_CUDASIM selects Numba's simulator: unset it to check a GPU, or use --dry-run\n")
    return arguments


def main(given: list[str] | None = None) -> int:
    """Run the parts, and write or print the results. Returns the exit code."""
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
        if len(arguments.only) == 1:  # in this process, which compute-sanitizer watches
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
