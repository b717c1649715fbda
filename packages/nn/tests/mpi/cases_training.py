"""Steps of several ranks against steps of one process: weights, gradients and masks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from ranks import (
    EXAMPLES,
    HERE,
    RATE,
    Run,
    adam,
    case,
    examples,
    expect_close,
    expect_equal,
    few_launches,
    messages,
    momentum,
    perceptron,
    spread,
    trained,
)

import stackgrad.tensor as sg
from stackgrad import nn
from stackgrad.nn import distributed
from stackgrad.nn.distributed import _buckets
from stackgrad.nn.distributed._world import ROWS
from stackgrad.tensor._random import RowsBefore

# --- training


@case
def two_hundred_steps_equal_one_process(folder: Path) -> None:
    for backend, optimizer in (("numpy", momentum), ("cpu", adam)):
        found = trained(perceptron, optimizer, backend, epochs=50)
        expect_close(found, trained(perceptron, optimizer, backend, epochs=50, alone=True))
        expect_equal(found, trained(perceptron, optimizer, backend, epochs=50))


def dropping(backend: str) -> nn.Module:
    sg.manual_seed(1)
    draws = sg.Generator(8)
    layers = (nn.Linear(6, 9), nn.Dropout(0.3, generator=draws), nn.Unflatten(1, (3, 3)), nn.Dropout1d(generator=draws))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(9, 3)).to(backend)


@case
def ranks_drop_the_elements_that_one_process_drops(folder: Path) -> None:
    expected = trained(dropping, momentum, "numpy", epochs=5, alone=True)
    for backend, captured in (("numpy", False), ("cpu", True)):
        expect_close(trained(dropping, momentum, backend, epochs=5, captured=captured), expected)


@case
def ranks_drop_different_elements_without_known_rows(folder: Path) -> None:
    RowsBefore.count = HERE.rank * ROWS
    masks = distributed.gather(sg.dropout(sg.ones(64), 0.5, sg.Generator(0)).tolist())
    assert len(set(map(tuple, masks))) == HERE.size


@case
def a_captured_step_equals_a_called_step(folder: Path) -> None:
    for options in ({}, {"bucket_bytes": 100}, {"compress": "bfloat16"}):
        called = trained(perceptron, momentum, "cpu", epochs=4, **options)
        expect_equal(trained(perceptron, momentum, "cpu", epochs=4, captured=True, **options), called)


@case
def the_bucket_size_does_not_change_results(folder: Path) -> None:
    expected = trained(perceptron, momentum, "numpy")
    for size in (1, 60, 200, 300, 10**9):
        expect_equal(trained(perceptron, momentum, "numpy", bucket_bytes=size), expected)


@case
def shared_memory_and_messages_give_the_same_bits(folder: Path) -> None:
    for backend, captured in (("numpy", False), ("cpu", True)):
        for size in (100, 10**9):
            found = trained(perceptron, momentum, backend, captured=captured, bucket_bytes=size)
            with messages():
                expect_equal(trained(perceptron, momentum, backend, captured=captured, bucket_bytes=size), found)


@case
def models_that_train_in_turns_share_memory_safely(folder: Path) -> None:
    def in_turns() -> list[Run]:
        data = examples("cpu", (6,))
        models = [perceptron("cpu", seed) for seed in (1, 2)]
        for parameter in (*models[1].parameters(),)[:2]:
            parameter.requires_grad_(False)
        runs = [Run(model, spread(adam(model.parameters())), data, captured=True) for model in models]
        for _ in range(4):
            for run in runs:
                run.epochs(1)
        return runs

    found = in_turns()
    with messages():
        for run, expected in zip(found, in_turns(), strict=True):
            expect_equal(run, expected)


@case
def backends_have_equal_sums(folder: Path) -> None:
    expect_close(trained(perceptron, momentum, "cpu"), trained(perceptron, momentum, "numpy"))


@contextmanager
def cuda_aware_mpi() -> Iterator[None]:
    """Pretend that MPI is CUDA-aware; the simulator's memory is host memory, which any MPI library reads."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_buckets, "is_cuda_aware", lambda: True)
        yield


@case
def gpu_gradients_travel_through_the_host_or_directly(folder: Path) -> None:
    """In Numba's GPU simulator, which `test_mpi.py` enables."""
    expected = trained(few_launches, momentum, "numpy", epochs=1)
    through_host = trained(few_launches, momentum, "cuda", epochs=1, bucket_bytes=100)
    expect_close(through_host, expected)
    expect_equal(trained(few_launches, momentum, "cuda", epochs=1, bucket_bytes=200, captured=True), through_host)
    with cuda_aware_mpi():
        for options in ({"bucket_bytes": 200}, {"bucket_bytes": 100, "captured": True}):
            found = trained(few_launches, momentum, "cuda", epochs=1, **options)
            expect_equal(found, through_host)
            (planned,) = found.optimizer._averaging._buckets.values()
            assert all(bucket.on_device for bucket in planned[0])


@case
def compressed_gpu_gradients_travel_through_the_host(folder: Path) -> None:
    expected = trained(few_launches, momentum, "cuda", epochs=1, compress="bfloat16", count=18)
    with cuda_aware_mpi():
        expect_equal(trained(few_launches, momentum, "cuda", epochs=1, compress="bfloat16", count=18), expected)


@case
def parameter_groups_and_frozen_parameters(folder: Path) -> None:
    def make(model: nn.Module) -> nn.Optimizer:
        first, *rest, last = model.parameters()
        first.requires_grad_(False)
        last.requires_grad_(False)
        optimizer = nn.SGD([{"params": rest[:2], "lr": 0.2}, {"params": [first, last]}], RATE)
        optimizer.add_param_group({"params": rest[2:], "momentum": 0.5})
        return optimizer

    runs = []
    for alone in (False, True):
        model = perceptron("numpy")
        optimizer = make(model) if alone else spread(make(model), bucket_bytes=64)
        run = Run(model, optimizer, examples("numpy")).epochs(2)
        for parameter in model.parameters():
            parameter.requires_grad_(True)  # from now on in a bucket
        runs.append(run.epochs(2))
    expect_close(*runs)


@case
def a_group_added_later_is_averaged(folder: Path) -> None:
    model = perceptron("numpy")
    first, *rest = model.parameters()
    optimizer = spread(nn.SGD([first], RATE))
    optimizer.add_param_group({"params": rest})
    expect_close(
        Run(model, optimizer, examples("numpy")).epochs(2),
        trained(perceptron, lambda params: nn.SGD(params, RATE), "numpy", epochs=2, alone=True),
    )


@case
def float64_is_summed_as_float64(folder: Path) -> None:
    def optimizer_of(params: Any) -> nn.Optimizer:
        return nn.SGD(params, RATE)

    x, y = examples("numpy")
    runs = []
    for alone in (False, True):
        model = perceptron("numpy").astype(sg.float64)
        optimizer = optimizer_of(model.parameters())
        runs.append(Run(model, optimizer if alone else spread(optimizer), (x.double(), y)).epochs(3))
    expect_close(*runs, rtol=1e-12, atol=1e-13)


@case
def training_resumes_with_a_different_number_of_ranks(folder: Path) -> None:
    """Ranks resume from the state that one process saved, and one process from the state that ranks saved."""
    for first_alone in (True, False):
        before = trained(perceptron, adam, "numpy", epochs=2, alone=first_alone)
        path = folder / f"state-{first_alone}.safetensors"
        state = {"model": before.model.state_dict(), "optimizer": before.optimizer.state_dict()}
        distributed.save(path, state | {"schedule": before.schedule.state_dict()})
        model = perceptron("numpy", seed=9)
        optimizer = adam(model.parameters())
        run = Run(model, spread(optimizer) if first_alone else optimizer, examples("numpy"))
        loaded = nn.load(path, "numpy")
        model.load_state_dict(loaded["model"])
        run.optimizer.load_state_dict(loaded["optimizer"])
        run.schedule.load_state_dict(loaded["schedule"])
        run.generator.call = 2
        expect_close(run.epochs(2), trained(perceptron, adam, "numpy", epochs=4, alone=True))


@case
def two_passes_accumulate(folder: Path) -> None:
    x, y = examples("numpy")
    mine = distributed.share(EXAMPLES)
    model, other = perceptron("numpy"), perceptron("numpy")
    optimizer = spread(momentum(model.parameters()))
    for a, b in ((0, 20), (20, 50)):
        nn.cross_entropy(other(x[a:b]), y[a:b]).backward()
        part = distributed.share(b - a)
        some = slice(a + part.start, a + part.stop)
        optimizer.backward(nn.cross_entropy(model(x[some]), y[some]), part.stop - part.start)
    for ours, its in zip(model.parameters(), other.parameters(), strict=True):
        np.testing.assert_allclose(ours.grad.numpy(), its.grad.numpy(), 1e-5, 1e-6)
    assert mine.stop - mine.start in (EXAMPLES // HERE.size, EXAMPLES // HERE.size + 1)


@case
def gradients_of_any_shares_equal_the_whole_batch(folder: Path) -> None:
    widths = st.lists(st.integers(1, 7), min_size=1, max_size=3)
    shares = st.lists(st.integers(0, 5), min_size=HERE.size, max_size=HERE.size).filter(any)
    names, backends = st.sampled_from(["float32", "float64"]), st.sampled_from(["numpy", "cpu"])

    @settings(
        max_examples=60, derandomize=True, database=None, deadline=None, phases=[Phase.generate]
    )  # equal on all ranks
    @given(widths, shares, st.integers(1, 200), names, backends, st.booleans())
    def check(widths: list[int], shares: list[int], size: int, dtype: str, backend: str, normalised: bool) -> None:
        source = np.random.default_rng(sum(widths))
        x = sg.tensor(source.standard_normal((sum(shares), 4)), dtype=getattr(sg, dtype), backend=backend)
        start = sum(shares[: HERE.rank])
        grads = []
        normalised = normalised and sum(shares) > 1
        for part in (x, x[start : start + shares[HERE.rank]]):
            sg.manual_seed(7)
            layers: list[nn.Module] = []
            for before, width in pairwise([4, *widths]):
                layers += [nn.Linear(before, width), nn.BatchNorm1d(width) if normalised else nn.Identity(), nn.Tanh()]
            model = nn.Sequential(*layers).astype(dtype).to(backend)
            if part is x:
                (model(x) ** 2).mean().backward()
            else:
                distributed.convert_sync_batchnorm(model)
                optimizer = spread(momentum(model.parameters()), bucket_bytes=size)
                optimizer.backward((model(part) ** 2).sum() / max(1, len(part) * widths[-1]), len(part))
            grads.append([p.grad.numpy() for p in model.parameters()])
        tolerance = 1e-4 if dtype == "float32" else 1e-10
        close = [np.allclose(ours, its, 10 * tolerance, tolerance) for its, ours in zip(*grads, strict=True)]
        assert all(map(all, distributed.gather(close))), (widths, shares, size, dtype, backend, normalised)

    check()


@case
def gradients_that_were_read_do_not_change(folder: Path) -> None:
    x, y = examples("cpu")
    model = perceptron("cpu")
    optimizer = spread(momentum(model.parameters()))
    kept = []
    for _ in range(2):
        optimizer.zero_grad()
        optimizer.backward(nn.cross_entropy(model(x), y), len(x))
        kept.append([(p.grad, p.grad.numpy().copy()) for p in model.parameters()])
        optimizer.step()
    assert all(np.array_equal(grad.numpy(), copy) for grads in kept for grad, copy in grads)


class Branches(nn.Module):
    """Uses a layer on some ranks only."""

    def __init__(self, ranks: set[int]) -> None:
        self.ranks = ranks
        self.always, self.sometimes, self.never = nn.Linear(6, 3), nn.Linear(6, 3), nn.Linear(6, 3)

    def forward(self, input: sg.Tensor) -> sg.Tensor:
        out = self.always(input)
        return out + self.sometimes(input) if HERE.rank in self.ranks else out


@case
def a_parameter_used_on_some_ranks_has_a_gradient_on_all(folder: Path) -> None:
    expect_gradients_of_some_ranks("numpy")


@case
def a_gpu_parameter_used_on_some_ranks_has_a_gradient_on_all(folder: Path) -> None:
    expect_gradients_of_some_ranks("cuda")
    with cuda_aware_mpi():
        expect_gradients_of_some_ranks("cuda")


def expect_gradients_of_some_ranks(backend: str) -> None:
    x, y = examples(backend, count=8)
    for size in (1, 10**6):
        sg.manual_seed(4)
        model = Branches({HERE.size - 1}).to(backend)
        optimizer = spread(momentum(model.parameters()), bucket_bytes=size)
        optimizer.backward(nn.cross_entropy(model(x), y), len(x))
        optimizer.step()
        distributed.expect_same("the weights", model)
        assert model.always.weight.grad is not None
        assert model.sometimes.weight.grad is not None
        assert model.never.weight.grad is None
        found = distributed.gather(model.sometimes.weight.grad.numpy())
        assert all(np.array_equal(found[0], other) for other in found)
        assert np.abs(found[0]).max() > 0
