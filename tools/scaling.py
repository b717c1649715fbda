"""Measure the cost of a training step with several ranks, and predict it for more: `python -m tools.scaling`.

    step = compute(batch of a rank) + 2 (n - 1) * latency + 2 (n - 1) / n * bytes / bandwidth

Each of n ranks sends and receives n - 1 parts of the gradients twice: once to sum them, and once to distribute the
sums. The formula describes `stackgrad.nn.distributed` without overlap with the backward pass.

This measures the computation by batch for each model (one thread), the sum by size (two ranks), and the steps of 1, 2
and 4 ranks, to check the formula. On fewer than 4 cores, 4 ranks sleep as long as the computation took. `--write`
updates the tables in docs/scaling.md and the plot. It takes minutes, and nothing else should run meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
PAGE, PLOT = ROOT / "docs" / "scaling.md", ROOT / "docs" / "pictures" / "scaling.png"
MODELS = ("lenet5", "convnet", "gpt")
BATCHES = {"lenet5": (1, 4, 16, 64, 256), "convnet": (1, 4, 16, 64, 256), "gpt": (1, 2, 4, 8, 16)}
USUAL = {"lenet5": 64, "convnet": 64, "gpt": 16}  # the batch of a rank for predictions
SIZES = [4 * 4**k for k in range(3, 13)]  # bytes: 256 B to 64 MB
RANKS = [2**k for k in range(11)]
BEGIN, END = "<!-- tools/scaling.py: begin -->", "<!-- tools/scaling.py: end -->"
MOST = 8.0  # the longest measurement, in seconds


class Network(NamedTuple):
    """A connection of ranks: seconds per message, and bytes per second of each rank."""

    name: str
    latency: float
    bandwidth: float


ASSUMED = [Network("InfiniBand, assumed", 2e-6, 12e9), Network("10 Gb Ethernet, assumed", 30e-6, 1.1e9)]


class Compute(NamedTuple):
    """A step with one thread: `start` seconds plus `each` seconds per example; and the bytes of the gradients."""

    start: float
    each: float
    bytes: int

    def of(self, batch: float) -> float:
        return self.start + self.each * batch


def exchange(network: Network, ranks: int, size: float) -> float:
    """Seconds to sum gradients."""
    return 2 * (ranks - 1) * network.latency + 2 * (ranks - 1) / ranks * size / network.bandwidth


def predicted(compute: Compute, network: Network, ranks: int, batch: float) -> float:
    """Seconds of a step, by the formula."""
    return compute.of(batch) + exchange(network, ranks, compute.bytes)


def fitted(x: Sequence[float], seconds: Sequence[float]) -> tuple[float, float]:
    """a and b of a + b x, neither below 0, with the smallest relative errors."""
    weights = 1 / np.asarray(seconds)
    columns = np.stack([np.ones(len(x)), np.asarray(x, float)], 1)
    a, b = np.linalg.lstsq(columns * weights[:, None], np.ones(len(x)), rcond=None)[0]
    if a < 0:
        a, b = 0.0, float(np.linalg.lstsq((columns[:, 1:] * weights[:, None]), np.ones(len(x)), rcond=None)[0][0])
    return float(a), float(b)


def dominates(compute: Compute, network: Network, batch: int) -> int | None:
    """The lowest count of ranks for which the exchange takes longer than the computation."""
    return next((n for n in range(2, 100_000) if exchange(network, n, compute.bytes) > compute.of(batch)), None)


# --- measurements in separate processes


def training(name: str, batch: int) -> tuple[Callable[[], object], list[Any]]:
    """A captured step on a prepared batch, and the parameters."""
    from benchmarks import _gpt, _steps
    from stackgrad import nn
    from stackgrad.nn import distributed
    from stackgrad.tensor import Tensor, capture, from_numpy

    if name == "gpt":
        gpt = _gpt.example()
        inputs, targets = (from_numpy(part[:batch].copy()) for part in _gpt.batches(gpt)[0])
        model = _gpt.model(gpt)
        targets = targets.reshape(-1)

        def loss_of(x: Tensor, y: Tensor) -> Tensor:
            logits = model(x)
            return nn.cross_entropy(logits.reshape(-1, logits.shape[-1]), y)
    else:
        model, inputs, targets = _steps.model_on(name).train(), _steps.images(batch), _steps.labels(batch)

        def loss_of(x: Tensor, y: Tensor) -> Tensor:
            found: Tensor = model.loss(model(x), y)
            return found

    optimizer = distributed.DistributedOptimizer(nn.AdamW(model.parameters(), lr=0.001))

    @capture
    def step(x: Tensor, y: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss = loss_of(x, y)
        optimizer.backward(loss, len(y))
        optimizer.step()
        return loss.detach()

    return lambda: step(inputs, targets), list(model.parameters())


def best(work: Callable[[], object], calls: int = 3, seconds: float = MOST / 4) -> float:
    """Seconds of a call, the lowest of many short samples. All ranks take the same count of samples."""
    from stackgrad.nn import distributed

    world = distributed.world()
    for _ in range(3):
        work()
    start = time.perf_counter()
    work()
    once = max(distributed.gather(time.perf_counter() - start))
    found = []
    for _ in range(max(3, min(200, int(seconds / (calls * once))))):
        if world.comm:
            world.comm.Barrier()
        start = time.perf_counter()
        for _ in range(calls):
            work()
        found.append((time.perf_counter() - start) / calls)
    slowest: float = max(distributed.gather(min(found)))
    return slowest


def summing(sizes: Sequence[int]) -> Callable[[], object]:
    """A function that sums float32 gradients of these sizes, like the end of a backward pass."""
    from stackgrad import nn
    from stackgrad.nn import distributed
    from stackgrad.nn.distributed._buckets import make_buckets
    from stackgrad.nn.distributed._call import Call
    from stackgrad.nn.distributed._flight import HostFlight
    from stackgrad.tensor import zeros

    size = distributed.world().size
    if size == 1:
        return lambda: None
    call = Call("backward", 1)
    buckets = make_buckets([nn.Parameter(zeros(n)) for n in sizes], 4 * 1024**2, size, compress=False)
    flights = [HostFlight(bucket, call) for bucket in buckets]

    def work() -> None:
        call.start()
        call.wait()
        for flight in flights:
            flight.finish(alone=True)

    return work


def worker(kind: str, name: str, value: str) -> None:
    """Measure; rank 0 prints the result as JSON."""
    from stackgrad.nn import distributed

    found: Any
    if kind == "sum":
        world = distributed.world()
        found = {"ours": [], "mpi4py": []}
        for size in SIZES:
            own, out = np.ones(size // 4, np.float32), np.empty(size // 4, np.float32)
            found["ours"].append(best(summing([size // 4])))
            found["mpi4py"].append(best(lambda own=own, out=out: world.comm.Allreduce(own, out)))  # type: ignore[misc]
    elif kind == "step":
        step, parameters = training(name, int(value))
        found = {"seconds": best(step, 1), "bytes": sum(4 * p.numel() for p in parameters)}
    else:  # sleep instead of computing
        _, parameters = training(name, 1)
        add = summing([p.numel() for p in parameters])

        def work() -> None:
            time.sleep(float(value))
            add()

        found = {"seconds": best(work, 1)}
    if distributed.world().is_first:
        print(json.dumps(found))


def run(ranks: int, kind: str, name: str = "-", value: object = 0) -> Any:
    """The report of a worker."""
    beside = Path(sys.executable).with_name("mpiexec")
    mpiexec = [str(beside if beside.exists() else "mpiexec"), "-n", str(ranks)] if ranks > 1 else []
    module = ["-m", "mpi4py"] if ranks > 1 else []
    command = [*mpiexec, sys.executable, *module, "-m", "tools.scaling", "--worker", kind, name, str(value)]
    environment = os.environ | {"NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    out = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout
    return json.loads(out)


# --- the page


def measured() -> tuple[dict[str, Compute], Network, dict[str, Any], dict[str, dict[int, float]]]:
    """The computation by model, the network here, the sums it was fitted to, and the steps of 1, 2 and 4 ranks."""
    computes, steps = {}, {}
    for name in MODELS:
        found = [run(1, "step", name, batch) for batch in BATCHES[name]]
        computes[name] = Compute(*fitted(BATCHES[name], [one["seconds"] for one in found]), found[0]["bytes"])
        steps[name] = {1: found[BATCHES[name].index(USUAL[name])]["seconds"]}
    sums = run(2, "sum")
    a, b = fitted(SIZES, sums["ours"])
    here = Network("the memory of this machine", a / 2, 1 / b)
    for name in MODELS:
        steps[name][2] = run(2, "step", name, USUAL[name])["seconds"]
        if (os.cpu_count() or 1) >= 4:
            steps[name][4] = run(4, "step", name, USUAL[name])["seconds"]
        else:
            steps[name][4] = run(4, "slept", name, steps[name][1])["seconds"]
    return computes, here, sums, steps


def ms(seconds: float) -> str:
    """Milliseconds."""
    return f"{seconds * 1e3:.3g}"


def page(
    computes: Mapping[str, Compute], here: Network, sums: Mapping[str, Any], steps: Mapping[str, Mapping[int, float]]
) -> str:
    """The tables."""
    lines = [f"Measured on {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}.", ""]
    lines += ["| model | gradients, kB | step of one thread, ms | at batch |", "|---|---|---|---|"]
    for name, c in computes.items():
        lines.append(f"| {name} | {c.bytes / 1e3:,.0f} | {ms(c.start)} + {c.each * 1e3:.3g} batch | {USUAL[name]} |")
    lines += [
        "",
        f"The sum over two ranks: latency {here.latency * 1e6:.3g} us, bandwidth {here.bandwidth / 1e9:.3g} GB/s.",
        "",
    ]
    lines += ["| bytes | ours, us | Allreduce of mpi4py, us | ours by the formula, us |", "|---|---|---|---|"]
    for size, ours, theirs in zip(SIZES, sums["ours"], sums["mpi4py"], strict=True):
        lines.append(f"| {size:,} | {ours * 1e6:,.1f} | {theirs * 1e6:,.1f} | {exchange(here, 2, size) * 1e6:,.1f} |")
    slept = "" if (os.cpu_count() or 1) >= 4 else ", compute slept through"
    lines += ["", "| model | ranks | step, ms | by the formula, ms |\n|---|---|---|---|"]
    for name, found in steps.items():
        for ranks, seconds in found.items():
            note = slept if ranks == 4 else ""
            by_formula = predicted(computes[name], here, ranks, USUAL[name])
            lines.append(f"| {name} | {ranks}{note} | {ms(seconds)} | {ms(by_formula)} |")
    lines += ["", "Predicted: the share of its step in which a rank computes, each with the batch above.", ""]
    lines += [
        "| model | network | " + " | ".join(map(str, RANKS[3:])) + " | exchange is longer from so many ranks on |"
    ]
    lines += ["|---" * (len(RANKS[3:]) + 3) + "|"]
    for name, c in computes.items():
        for network in (here, *ASSUMED):
            shares = [c.of(USUAL[name]) / predicted(c, network, n, USUAL[name]) for n in RANKS[3:]]
            first = dominates(c, network, USUAL[name]) or "nowhere"
            row = " | ".join(f"{share:.0%}" for share in shares)
            lines.append(f"| {name} | {network.name} | {row} | {first} |")
    return "\n".join([*lines, "", "![weak and strong scaling](pictures/scaling.png)"])


def plot(computes: Mapping[str, Compute], networks: Sequence[Network]) -> None:
    """Plot weak scaling, with the usual batch on each rank, and strong scaling, with 1,024 examples in total."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (weak, strong) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    for color, (name, c) in zip(("C0", "C1", "C2"), computes.items(), strict=True):
        for style, network in zip(("-", "--", ":"), networks, strict=True):
            label = f"{name}, {network.name}"
            share = [c.of(USUAL[name]) / predicted(c, network, n, USUAL[name]) for n in RANKS]
            weak.plot(RANKS, share, style, color=color, label=label)
            faster = [c.of(1024) / predicted(c, network, n, 1024 / n) for n in RANKS]
            strong.plot(RANKS, faster, style, color=color)
    strong.plot(RANKS, RANKS, color="0.8", zorder=0)
    weak.set(xscale="log", xlabel="ranks", ylabel="share of the step that computes", title="weak", ylim=(0, 1.05))
    strong.set(xscale="log", yscale="log", xlabel="ranks", ylabel="times one rank", title="strong: 1,024 examples")
    weak.legend(fontsize=7)
    figure.savefig(PLOT, dpi=110, metadata={"Software": None})


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print the tables or write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the tables to docs/scaling.md, and the plot")
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.worker:
        worker(*options.worker)
        return
    computes, here, sums, steps = measured()
    text = page(computes, here, sums, steps)
    if not options.write:
        print(text)
        return
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.partition(END)[2]}", encoding="utf-8")
    plot(computes, (here, *ASSUMED))


if __name__ == "__main__":
    main()
