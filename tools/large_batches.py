"""The accuracy of LeNet-5 trained with large batches: `python -m tools.large_batches`; --write updates docs/scaling.md.

One process trains with the whole batch, which equals n ranks with an n-th each, up to rounding. The learning rate rises
and falls (`one-cycle`). The highest rate is that of the recipe for 64 images, or scaled by the batch size or its square
root.
"""

from __future__ import annotations

import argparse
import math
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "scaling.md"
BEGIN, END = "<!-- tools/large_batches.py: begin -->", "<!-- tools/large_batches.py: end -->"
BATCHES = (1_024, 2_048, 4_096, 8_192, 16_384)
SCALES = {"1": 0.0, "root": 0.5, "linear": 1.0}  # exponents of batch / 64
EPOCHS = (5, 20)
SEEDS = {"1": (0,), "root": (0, 1, 2), "linear": (0,)}


class Run(NamedTuple):
    """One training."""

    batch: int
    scale: str
    epochs: int
    seed: int

    @property
    def rate(self) -> float:
        """The highest learning rate: 0.004 at 64 images."""
        return 0.004 * math.pow(self.batch / 64, SCALES[self.scale])


def accuracy(run: Run) -> float:
    """The accuracy on the test images; 0 if training diverged."""
    from stackgrad.mnist.data.datasets import load
    from stackgrad.mnist.models import make_model
    from stackgrad.mnist.training.evaluate import count_correct
    from stackgrad.mnist.training.recipes import RECIPES
    from stackgrad.mnist.training.steps import NotFiniteError, Training
    from stackgrad.tensor import Generator

    data = load()
    recipe = replace(RECIPES["lenet5"], batch_size=run.batch, lr=run.rate, epochs=run.epochs)
    generator = Generator(run.seed)
    training = Training(make_model("lenet5", data.classes, generator), data.train, recipe, generator)
    try:
        for _ in training.steps():
            pass
    except NotFiniteError:
        return 0.0
    return count_correct(training.model, data.test) / len(data.test)


def table(found: Mapping[Run, float]) -> str:
    """A row for each batch and scale, and a column for each count of epochs; each cell is the median of its seeds."""
    seeds: dict[tuple[int, str, int], list[float]] = defaultdict(list)
    for run, share in found.items():
        seeds[run.batch, run.scale, run.epochs].append(share)
    lines = [
        "| batch | highest rate | " + " | ".join(f"{epochs} epochs" for epochs in EPOCHS) + " |",
        "|---|---|" + "---|" * len(EPOCHS),
    ]
    for batch, scale in dict.fromkeys((run.batch, run.scale) for run in found):
        rate = Run(batch, scale, 0, 0).rate
        name = {"1": "", "root": ", by the square root", "linear": ", by the batch"}[scale]
        lines.append(f"| {batch:,} | {rate:.3g}{name} | " + " | ".join(_cell(seeds, batch, scale)) + " |")
    return "\n".join(lines) + "\n"


def _cell(seeds: Mapping[tuple[int, str, int], list[float]], batch: int, scale: str) -> Iterable[str]:
    for epochs in EPOCHS:
        middle = median(seeds[batch, scale, epochs])
        yield f"**{middle:.2%}**" if middle >= 0.99 else f"{middle:.2%}"


def main() -> None:
    """Train all runs on all cores, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the table to docs/scaling.md")
    options = parser.parse_args()
    os.environ["NUMBA_NUM_THREADS"] = "1"
    runs = [Run(*values) for values in _products()]
    found: dict[Run, float] = {}
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        futures = {pool.submit(accuracy, run): run for run in runs}
        for future in as_completed(futures):
            found[futures[future]] = future.result()
            print(f"{len(found)} of {len(runs)}: {futures[future]}: {future.result():.2%}", flush=True)
    text = table({run: found[run] for run in runs})
    print(text)
    if options.write:
        before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{rest.split(END)[1]}", encoding="utf-8")


def _products() -> Iterable[tuple[int, str, int, int]]:
    for batch in BATCHES:
        for scale in SCALES:
            for epochs in EPOCHS:
                for seed in SEEDS[scale]:
                    yield batch, scale, epochs, seed


if __name__ == "__main__":
    main()
