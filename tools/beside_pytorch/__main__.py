"""`python -m tools.beside_pytorch`: compare random programs in stackgrad and in PyTorch, and print the differences."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter

import torch

from .case import compare
from .programs import PROGRAMS


def main() -> int:
    """Compare, print each difference, and return 1 if there was one."""
    parser = argparse.ArgumentParser(prog="python -m tools.beside_pytorch", description=__doc__)
    parser.add_argument("--cases", type=int, default=2000, help="the number of cases, spread evenly over the families")
    parser.add_argument("--seed", type=int, default=0, help="the seed of each family's first case")
    parser.add_argument("--only", default="", help="only families whose name contains this text")
    parser.add_argument("--backends", nargs="+", default=["numpy", "cpu"], help="stackgrad's backends")
    parser.add_argument("--times", action="store_true", help="print the seconds for each family")
    options = parser.parse_args()
    torch.set_num_threads(1)
    chosen = {name: program for name, program in PROGRAMS.items() if options.only in name}
    found: Counter[str] = Counter()
    seconds: Counter[str] = Counter()
    for case in range(options.cases):
        name = list(chosen)[case % len(chosen)]
        start = time.perf_counter()
        difference = compare(name, chosen[name], options.seed + case // len(chosen), tuple(options.backends))
        seconds[name] += time.perf_counter() - start  # type: ignore[assignment]
        if difference:
            found[name] += 1
            print(difference, flush=True)
    if options.times:
        for name, taken in seconds.most_common():
            print(f"{taken:8.2f} s  {name}")
    print(f"{options.cases} cases, {found.total()} differ", *(f"{n} in {name}" for name, n in found.items()), sep="; ")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
