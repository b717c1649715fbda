"""Compare training LeNet-5 with two ranks to one process: `python -m benchmarks.ranks`, with nothing else running.

All run the same captured step of AdamW in turns: one process with one thread and 64 images, one with two threads and
twice the batch, and two ranks with one thread and 64 images each. The best round of each counts. It also measures the
time to sum LeNet's gradients over the ranks: by `Allreduce` of mpi4py, and by `stackgrad.nn.distributed` in a fixed
order, in shared memory and, as between machines, by messages.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ._clock import sample
from ._pipe import ROOT

ROUNDS, SAMPLES, STEPS, BATCH = 5, 200, 10, 64
SETUPS = {"1 process, 1 thread": (1, 1, 1), "1 process, 2 threads": (1, 2, 2), "2 ranks, 1 thread each": (2, 1, 1)}
"""Processes, threads of each, and the factor of the batch of each."""
SUMS = ("mpi4py", "ours", "ours by messages", "comparing calls")


def run(ranks: int, threads: int, times: int) -> Mapping[str, Any]:
    """The report of rank 0."""
    beside = Path(sys.executable).with_name("mpiexec")
    mpiexec = [str(beside if beside.exists() else "mpiexec"), "-n", str(ranks)] if ranks > 1 else []
    module = ["-m", "mpi4py"] if ranks > 1 else []
    command = [*mpiexec, sys.executable, *module, "-m", "benchmarks.ranks", "--worker", str(BATCH * times)]
    environment = os.environ | {"NUMBA_NUM_THREADS": str(threads)}
    out = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout
    found: Mapping[str, Any] = json.loads(out)
    return found


def worker(batch: int) -> None:
    """Measure in this process, which is a rank or alone."""
    from stackgrad import nn
    from stackgrad.nn import distributed
    from stackgrad.tensor import Tensor, capture

    from ._steps import images, labels, model_on

    world = distributed.world()
    model = model_on("lenet5").train()
    optimizer = distributed.DistributedOptimizer(nn.AdamW(model.parameters(), lr=0.001, weight_decay=0.01))

    @capture
    def step(batch: Tensor, target: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss = model.loss(model(batch), target)
        optimizer.backward(loss, len(target))
        optimizer.step()
        return loss.detach()

    x, y = images(batch), labels(batch)
    step(x, y)
    step(x, y)
    report: dict[str, Any] = {"step": [timed(world, lambda: step(x, y), STEPS) for _ in range(SAMPLES)]}
    if world.size > 1:
        report |= sums(world, model)
    if world.is_first:
        print(json.dumps(report))


def timed(world: Any, work: Callable[[], object], calls: int) -> float:
    """The mean seconds of `calls` calls, which all ranks start at the same time."""
    if world.comm:
        world.comm.Barrier()
    return sample(work, calls)


def sums(world: Any, model: Any) -> dict[str, list[float]]:
    """Seconds to sum the gradients with mpi4py and with our functions, in turns."""
    from stackgrad.nn.distributed._buckets import make_buckets
    from stackgrad.nn.distributed._call import Call
    from stackgrad.nn.distributed._flight import Flight, HostFlight
    from stackgrad.nn.distributed._shared import flights

    (bucket,) = make_buckets(list(model.parameters()), 4 * 1024**2, world.size, compress=False)
    call = Call("backward", BATCH)
    (flight,), message = flights([bucket], call), HostFlight(bucket, call)
    own = np.ones(sum(p.numel() for p in model.parameters()), np.float32)
    out = np.empty_like(own)

    def by(flight: Flight) -> None:
        flight.finish(alone=True)
        flight.used()

    def head() -> None:  # starts with the backward pass, and is complete at its end
        call.start()
        call.wait()

    head()
    works = {
        "mpi4py": lambda: world.comm.Allreduce(own, out),
        "ours": lambda: by(flight),
        "ours by messages": lambda: by(message),
        "comparing calls": head,
    }
    found: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(300):  # the samples are short, so some are not disturbed
        for name, work in works.items():
            found[name].append(timed(world, work, 4))
    return found


def main() -> None:
    """Print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    if options.worker:
        worker(options.worker)
        return
    rates: dict[str, list[float]] = {name: [] for name in SETUPS}
    adding: dict[str, list[float]] = {name: [] for name in SUMS}
    for _ in range(options.rounds):
        for name, (ranks, threads, times) in SETUPS.items():
            report = run(ranks, threads, times)
            rates[name].append(ranks * times * BATCH / min(report["step"]))
            for by in adding:
                adding[by] += report.get(by, [])
    for name, found in rates.items():
        print(f"{name:24} best {max(found):10,.0f} images/s   median {statistics.median(found):10,.0f}")
    one, two, ranks_ = (max(found) for found in rates.values())
    print(f"2 ranks over 2 threads: {ranks_ / two:.3f} (no less than 0.95); over 1 thread: {ranks_ / one:.3f} (1.8)")
    for by, found in adding.items():
        best, median = min(found) * 1e6, statistics.median(found) * 1e6
        print(f"sum of 247 kB over 2 ranks, {by:16} best {best:6.1f} us   median {median:6.1f}")
    for by in ("ours", "ours by messages"):
        print(f"{by} over mpi4py: best {min(adding[by]) / min(adding['mpi4py']):.2f} (no more than 1.2)")


if __name__ == "__main__":
    main()
