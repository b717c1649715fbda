"""The speed of the kernels beside PyTorch, if it can be imported, and beside the speed of a copy.

`report.ABOUT_SPEED` says how they are timed, and what the peers do.
"""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from stackgrad import nn
from stackgrad.kernels.cuda._driver import device
from stackgrad.tensor import OPS, REDUCTIONS, Window, capture, from_numpy, get_backend
from tools._gpu import peer
from tools._gpu.report import ROUNDS, SECONDS, Results, Speed
from tools._gpu.training import learning_step, model_to_train


@dataclass(frozen=True)
class Sizes:
    """The sizes of the workloads."""

    elements: int
    square: int
    images: int
    """of the convolution: images x 64 x side x side"""
    side: int
    channels: int
    batches: tuple[int, ...]
    seconds: float


REAL = Sizes(100_000_000, 4096, 32, 56, 64, (64, 256), SECONDS)
TINY = Sizes(36, 4, 1, 4, 2, (2,), 0.0)


def seconds_of(work: Callable[[], object], least: float, wait: Callable[[], object]) -> float:
    """How long `work` takes, in the fastest of some rounds of at least `least` seconds each."""
    for _ in range(3 if least else 1):
        work()
    wait()
    times: list[float] = []
    count = 1
    while len(times) < (ROUNDS if least else 1):
        start = time.perf_counter()
        for _ in range(count):
            work()
        wait()
        took = time.perf_counter() - start
        if took < least:
            count = max(count + 1, int(count * min(10, 1.2 * least / max(took, 1e-9))))
        else:
            times.append(took / count)
    return min(times)


class Bench:
    """Works at certain sizes; in a dry run they are done, but no times are kept."""

    def __init__(self, report: Results, arguments: Namespace) -> None:
        self.report, self.dry_run = report, bool(arguments.dry_run)
        self.sizes = TINY if self.dry_run else REAL
        self.backend = get_backend("cuda")
        self.torch = None if self.dry_run else peer.load()
        self.convolutions: dict[str, peer.Work] = {}

    def time(self, work: Callable[[], object] | None, wait: Callable[[], object]) -> float | None:
        """Seconds; None if there is nothing to measure."""
        if work is None:
            return None
        seconds = seconds_of(work, self.sizes.seconds, wait)
        return None if self.dry_run else seconds

    def row(
        self, what: str, unit: str, amount: float, ours: Callable[[], object], other: Any, against: str, target: float
    ) -> None:
        """A row of the table. One call of `ours` does `amount` units of work. `other` is PyTorch's workload, or a
        speed."""
        try:
            mine = self.time(ours, device().synchronize)
            if callable(other):
                seconds = self.time(other, peer.wait)
                other = amount / seconds if seconds else None
        except Exception as error:
            self.report.failure(f"speed of {what}", error)
        else:
            self.report.add(Speed(what, unit, amount / mine if mine else None, other, against, target))

    def array(self, *shape: int, dtype: str = "float32") -> Any:
        values = np.random.default_rng(0).standard_normal(shape, np.float32)
        return self.backend.from_numpy(values.astype(dtype, copy=False))


def run_speed(report: Results, arguments: Namespace) -> None:
    """All rows of the table."""
    bench = Bench(report, arguments)
    _memory(bench)
    _products(bench)
    _convolution(bench)
    _training(bench)
    _convolution_kernels(bench)
    if bench.torch is None and not arguments.dry_run:
        report.add("PyTorch is not installed here, so the columns of its speed are empty.")


def _memory(bench: Bench) -> None:
    """Workloads that are limited by memory, beside a copy from device to device."""
    n = bench.sizes.elements
    side = int(n**0.5)
    x, y = bench.array(n), bench.array(n)
    copied = peer.copy_work(x, 4 * n)
    seconds = bench.time(copied, device().synchronize)
    limit = 8 * n / seconds / 1e9 if seconds else None
    if limit:
        bench.report.add(f"A copy of {n:,} float32 values from device to device runs at {limit:,.0f} GB/s.")
    square, image = bench.backend.reshape(x, (side, n // side)), bench.backend.reshape(x, (1, 1, side, n // side))
    window = Window((2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1))
    pooled = n // 4
    backend = bench.backend
    works: dict[str, tuple[int, Callable[[], object]]] = {
        "add": (12 * n, lambda: backend.elementwise(OPS["add"], x, y)),
        "exp": (8 * n, lambda: backend.elementwise(OPS["exp"], x)),
        "sum of all": (4 * n, lambda: backend.reduce(REDUCTIONS["sum"], x, (0,))),
        "sum of rows": (4 * n, lambda: backend.reduce(REDUCTIONS["sum"], square, (1,))),
        "sum of columns": (4 * n, lambda: backend.reduce(REDUCTIONS["sum"], square, (0,))),
        "softmax of rows": (8 * n, lambda: backend.softmax(square, 1)),
        "log-softmax of rows": (8 * n, lambda: backend.log_softmax(square, 1)),
        "max pooling 2x2": (4 * n + 8 * pooled, lambda: backend.max_pool2d(image, window)),
        "average pooling 2x2": (4 * n + 4 * pooled, lambda: backend.avg_pool2d(image, window)),
    }
    for what, (size, work) in works.items():
        bench.row(f"{what}, {n:.0e} values", "GB/s", size / 1e9, work, limit, "copy", 0.8)


def _products(bench: Bench) -> None:
    n = bench.sizes.square
    a, b = bench.array(n, n), bench.array(n, n)
    other = bench.torch.matmul(n) if bench.torch else None
    work = lambda: bench.backend.matmul(a, b)  # noqa: E731
    bench.row(f"matmul {n} square", "GFLOP/s", 2 * n**3 / 1e9, work, other, "cuBLAS", 0.6)


def _convolution(bench: Bench) -> None:
    sizes, backend = bench.sizes, bench.backend
    shape = sizes.images, sizes.channels, sizes.side, sizes.side
    x, g = bench.array(*shape), bench.array(*shape)
    weight = bench.array(sizes.channels, sizes.channels, 3, 3)
    window = Window((3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1))
    flops = 2 * 9 * sizes.channels * np.prod(shape) / 1e9
    ours: dict[str, Callable[[], object]] = {
        "forward": lambda: backend.conv2d(x, weight, None, window, 1, False),
        "gradient of the input": lambda: backend.conv2d_input_grad(g, weight, shape[2:], window, 1),
        "gradient of the weight": lambda: backend.conv2d_weight_grad(x, g, window, 1),
    }
    name = f"conv2d {'x'.join(map(str, shape))} to {sizes.channels}, 3x3"
    for part, work in ours.items():
        others = bench.torch.convolution(shape, part) if bench.torch else {"cuDNN": None}
        for against, other in others.items():
            bench.row(f"{name}, {part}", "GFLOP/s", flops, work, other, against, 0.5)
            if other:
                bench.convolutions[f"{part}, {against}"] = other


def _convolution_kernels(bench: Bench) -> None:
    """The names of cuDNN's kernels, which show where it uses Winograd's algorithm."""
    if bench.torch:
        for what, work in bench.convolutions.items():
            bench.report.add(f"The kernels of conv2d, {what}: {bench.torch.kernels(work)}.")


def _training(bench: Bench) -> None:
    """A captured step of AdamW on a batch that stays on the device."""
    for batch in bench.sizes.batches:
        rng = np.random.default_rng(0)
        images = from_numpy(rng.standard_normal((batch, 1, 28, 28), np.float32), backend="cuda")
        labels = from_numpy(rng.integers(0, 10, batch), backend="cuda")
        model = model_to_train(bench.dry_run)
        step = capture(learning_step(model, nn.AdamW(model.parameters(), lr=0.001, weight_decay=0.01)))
        what = f"lenet5 training, batch {batch}"
        others: peer.Steps = {"PyTorch, eager": (None, 3.0), "PyTorch, graph": (None, 1.0)}
        if bench.torch:
            others = bench.torch.training(batch)
        for against, (other, target) in others.items():
            bench.row(what, "images/s", batch, lambda: step(images, labels), other, against, target)  # noqa: B023
