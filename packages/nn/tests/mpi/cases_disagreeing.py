"""Ranks whose calls differ: all raise, none waits forever, and all can continue."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from itertools import permutations, product
from pathlib import Path
from typing import Any

import pytest
from mpi4py import MPI
from ranks import HERE, case, examples, messages, momentum, perceptron, spread

import stackgrad.tensor as sg
from stackgrad import nn
from stackgrad.nn import distributed
from stackgrad.nn.distributed import DisagreementError

LAST = HERE.rank == HERE.size - 1
SIZES = (100, 10**6)  # of buckets, in bytes: several, one
WAYS = (nullcontext, messages)  # gradients travel through shared memory, or by MPI


def step_of(optimizer: distributed.DistributedOptimizer, model: nn.Module) -> Callable[[sg.Tensor, sg.Tensor], None]:
    def step(x: sg.Tensor, y: sg.Tensor) -> None:
        optimizer.zero_grad()
        optimizer.backward(nn.cross_entropy(model(x), y), len(x))
        optimizer.step()

    return step


def expect_disagreement(
    call: Callable[[], Any], message: str = r"backward: ranks \[.*\] of \d differ from rank 0 in the"
) -> None:
    with pytest.raises(DisagreementError, match=message):
        call()


@case
def ranks_with_different_parameters_raise(folder: Path) -> None:
    x, y = examples("cpu")
    sg.manual_seed(1)
    for models in (
        lambda: nn.Linear(6, 4 if LAST else 3),  # of another shape
        lambda: nn.Sequential(nn.Linear(6, 3), nn.Linear(3, 3) if LAST else nn.Identity()),  # more of them
        lambda: nn.Linear(6, 3, bias=not LAST),  # fewer
    ):
        for way, size, captured in product(WAYS, SIZES, (False, True)):
            with way():
                model = models().to("cpu")
                step = step_of(spread(momentum(model.parameters()), bucket_bytes=size), model)
                expect_disagreement(partial(sg.capture(step) if captured else step, x, y))


@case
def ranks_with_different_bucket_sizes_raise(folder: Path) -> None:
    x, y = examples("cpu")
    model = perceptron("cpu")
    step = step_of(spread(momentum(model.parameters()), bucket_bytes=60 if LAST else 200), model)
    expect_disagreement(partial(step, x, y))


@case
def ranks_that_freeze_different_parameters_raise_and_continue(folder: Path) -> None:
    x, y = examples("cpu")
    for way, size, captured, before in product(WAYS, SIZES, (False, True), (0, 2)):  # the second step is replayed
        with way():
            model = perceptron("cpu")
            step = step_of(spread(momentum(model.parameters()), bucket_bytes=size), model)
            step = sg.capture(step) if captured else step
            for _ in range(before):
                step(x, y)
            parameters = list(model.parameters())
            for frozen in (parameters[:1], parameters[-1:], parameters):
                for parameter in frozen:
                    parameter.requires_grad_(not LAST)
                expect_disagreement(partial(step, x, y))
                for parameter in parameters:
                    parameter.requires_grad_(True)
            for _ in range(3):
                step(x, y)
            distributed.expect_same("the weights", model)


@case
def ranks_with_backward_of_different_optimizers_raise(folder: Path) -> None:
    x, y = examples("cpu")
    models = [perceptron("cpu", seed) for seed in (1, 2)]
    for captured in (False, True):
        steps = [step_of(spread(momentum(model.parameters())), model) for model in models]
        steps = [sg.capture(step) for step in steps] if captured else steps
        for _ in range(3):
            for step in reversed(steps) if LAST else steps:
                expect_disagreement(partial(step, x, y))
            for step in steps:
                step(x, y)
        for model in models:
            distributed.expect_same("the weights", model)


@case
def ranks_that_call_different_functions_raise(folder: Path) -> None:
    x, y = examples("numpy")
    model = perceptron("numpy")
    optimizer = spread(momentum(model.parameters()))
    normalise = distributed.convert_sync_batchnorm(nn.BatchNorm1d(6))
    calls: dict[str, Callable[[], Any]] = {
        "backward": lambda: optimizer.backward(nn.cross_entropy(model(x), y), len(x)),
        "gather": lambda: distributed.gather(1),
        "agree": lambda: distributed.agree("it", 1),
        "total": lambda: distributed.mean(1.0, 1),
        "broadcast": lambda: distributed.broadcast(model),
        "by_first": lambda: distributed.by_first(lambda: 1),
        "sync_batch_norm": lambda: normalise(x),
    }
    others = list(range(HERE.size - 1))
    for name, other in permutations(calls, 2):
        found = {name: [HERE.size - 1], other: others}
        message = ", ".join(f"{call} on ranks {found[call]}" for call in calls if call in found)
        with pytest.raises(DisagreementError) as told:
            calls[name if LAST else other]()
        assert str(told.value).startswith(f"the ranks call different functions: {message} of {HERE.size}: ")
    for call in calls.values():
        call()


@case
def the_library_reports_whether_it_is_cuda_aware(folder: Path) -> None:
    if MPI.get_vendor()[0] in ("MPICH", "Open MPI"):
        assert ctypes.CDLL(MPI.__file__).MPIX_Query_cuda_support() in (0, 1)
