"""Helpers of the MPI cases: a small problem, training by one process or by all, and a runner of the cases.

One process with the whole batch is the reference: it is computed on each rank, by what knows nothing of ranks.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import stackgrad.tensor as sg
from stackgrad import nn
from stackgrad.nn import distributed
from stackgrad.nn.distributed import _shared
from stackgrad.tensor._random import RowsBefore

HERE = distributed.world()
CASES: dict[str, Callable[[Path], None]] = {}
EXAMPLES = 50  # 16 + 16 + 16 + 2: with four ranks the last batch has none for two of them
BATCH = 16
RATE = 0.05


def case(function: Callable[[Path], None]) -> Callable[[Path], None]:
    CASES[function.__name__] = function
    return function


# --- a small problem


def examples(backend: str, features: tuple[int, ...] = (6,), count: int = EXAMPLES) -> tuple[sg.Tensor, sg.Tensor]:
    source = np.random.default_rng(0)
    x = source.standard_normal((count, *features)).astype(np.float32)
    return sg.tensor(x, backend=backend), sg.tensor(source.integers(0, 3, count), backend=backend)


def perceptron(backend: str, seed: int = 1) -> nn.Module:
    sg.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 5), nn.ReLU(), nn.Linear(5, 3)).to(backend)


def few_launches(backend: str) -> nn.Module:
    """For the GPU simulator, where launches take long."""
    sg.manual_seed(1)
    return nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 3)).to(backend)


def convolutional(backend: str) -> nn.Module:
    sg.manual_seed(2)
    layers = (nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4, activation="relu"), nn.Flatten(), nn.Linear(64, 5))
    return nn.Sequential(*layers, nn.BatchNorm1d(5), nn.Linear(5, 3)).to(backend)


def momentum(params: Any) -> nn.Optimizer:
    return nn.SGD(params, RATE, momentum=0.9, weight_decay=1e-3)


def adam(params: Any) -> nn.Optimizer:
    return nn.AdamW(params, RATE / 10)


class Run:
    """Training by one process, or by all ranks, step by step."""

    def __init__(
        self,
        model: nn.Module,
        optimizer: nn.Optimizer,
        data: tuple[sg.Tensor, sg.Tensor],
        captured: bool = False,
        around: Callable[[nn.Module, Any], None] = lambda model, loss: None,
    ) -> None:
        self.model, self.optimizer, self.data = model, optimizer, data
        self.schedule = nn.Cosine(optimizer, 300)
        self.spread = isinstance(optimizer, distributed.DistributedOptimizer)
        self.batches = distributed.batches if self.spread else nn.batches
        self.generator = sg.Generator(3)
        self.around = around
        self.learn = sg.capture(self._learn) if captured else self._learn

    def _learn(self, x: sg.Tensor, y: sg.Tensor) -> sg.Tensor:
        self.optimizer.zero_grad()
        loss = nn.cross_entropy(self.model(x), y)
        if isinstance(self.optimizer, distributed.DistributedOptimizer):
            self.optimizer.backward(loss, len(x))
        else:
            loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
        self.optimizer.step()
        return loss.detach()

    def epochs(self, count: int) -> Run:
        x, y = self.data
        RowsBefore.count = 0  # as in one process
        for _ in range(count):
            for index in self.batches(len(y), BATCH, self.generator):
                self.learn(x[index], y[index])
                self.schedule.step()
        return self

    def weights(self) -> dict[str, NDArray[Any]]:
        return {name: tensor.detach().numpy().copy() for name, tensor in self.model.state_dict().items()}


def spread(optimizer: nn.Optimizer, **options: Any) -> distributed.DistributedOptimizer:
    return distributed.DistributedOptimizer(optimizer, **options)


@contextmanager
def messages() -> Iterator[None]:
    """Send gradients as on several machines, without shared memory."""
    found = _shared.shared
    _shared.shared = lambda: None  # type: ignore[assignment]
    try:
        yield
    finally:
        _shared.shared = found


def expect_close(found: Run, expected: Run, rtol: float = 1e-4, atol: float = 1e-5) -> None:
    distributed.expect_same("the weights", found.model)
    for name, value in expected.weights().items():
        np.testing.assert_allclose(found.weights()[name], value, rtol, atol, err_msg=name)


def expect_equal(found: Run, expected: Run) -> None:
    assert distributed.digest(found.model) == distributed.digest(expected.model)


def trained(
    make: Callable[[str], nn.Module],
    optimizer: Callable[[Any], nn.Optimizer],
    backend: str,
    features: tuple[int, ...] = (6,),
    epochs: int = 3,
    captured: bool = False,
    alone: bool = False,
    convert: bool = False,
    count: int = EXAMPLES,
    **options: Any,
) -> Run:
    model = make(backend)
    if convert:
        distributed.convert_sync_batchnorm(model)
    own = optimizer(model.parameters())
    run = Run(model, own if alone else spread(own, **options), examples(backend, features, count), captured)
    return run.epochs(epochs)


def main(folder: Path, only: list[str]) -> None:
    """Run the cases in turn and report each. The first failure ends all ranks, since they wait for each other."""
    for name in only or CASES:
        try:
            CASES[name](folder)
            found = "passed"
        except BaseException:
            found = traceback.format_exc()
        with (folder / f"rank{HERE.rank}.txt").open("a", encoding="utf-8") as file:
            file.write(f"=== {name}\n{found}\n")
        if found != "passed":
            HERE.comm.Abort(1)
