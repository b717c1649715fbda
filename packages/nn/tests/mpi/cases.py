"""What each of several ranks does, run by `test_mpi.py` under mpiexec: a case is a function that asserts.

One process with the whole batch is the reference: it is computed on each rank, by what knows nothing of ranks.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import stackgrad.tensor as sg
from stackgrad import nn
from stackgrad.nn import distributed
from stackgrad.nn.distributed._wire import from_bfloat16, to_bfloat16
from stackgrad.nn.distributed._world import ROWS
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


def examples(backend: str, features: tuple[int, ...] = (6,)) -> tuple[sg.Tensor, sg.Tensor]:
    source = np.random.default_rng(0)
    x = source.standard_normal((EXAMPLES, *features)).astype(np.float32)
    return sg.tensor(x, backend=backend), sg.tensor(source.integers(0, 3, EXAMPLES), backend=backend)


def perceptron(backend: str, seed: int = 1) -> nn.Module:
    sg.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 5), nn.ReLU(), nn.Linear(5, 3)).to(backend)


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
        RowsBefore.count = 0  # as one process has it
        for _ in range(count):
            for index in self.batches(EXAMPLES, BATCH, self.generator):
                self.learn(x[index], y[index])
                self.schedule.step()
        return self

    def weights(self) -> dict[str, NDArray[Any]]:
        return {name: tensor.detach().numpy().copy() for name, tensor in self.model.state_dict().items()}


def spread(optimizer: nn.Optimizer, **options: Any) -> distributed.DistributedOptimizer:
    return distributed.DistributedOptimizer(optimizer, **options)


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
    **options: Any,
) -> Run:
    model = make(backend)
    if convert:
        distributed.convert_sync_batchnorm(model)
    own = optimizer(model.parameters())
    run = Run(model, own if alone else spread(own, **options), examples(backend, features), captured)
    return run.epochs(epochs)


# --- training


@case
def two_hundred_steps_are_those_of_one_process(folder: Path) -> None:
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
def ranks_drop_what_one_process_would(folder: Path) -> None:
    expected = trained(dropping, momentum, "numpy", epochs=5, alone=True)
    for backend, captured in (("numpy", False), ("cpu", True)):
        expect_close(trained(dropping, momentum, backend, epochs=5, captured=captured), expected)


@case
def ranks_drop_other_elements_where_nothing_says_which_rows_they_have(folder: Path) -> None:
    RowsBefore.count = HERE.rank * ROWS
    masks = distributed.gather(sg.dropout(sg.ones(64), 0.5, sg.Generator(0)).tolist())
    assert len(set(map(tuple, masks))) == HERE.size


@case
def a_captured_step_has_the_bits_of_a_called_one(folder: Path) -> None:
    for options in ({}, {"bucket_bytes": 100}, {"compress": "bfloat16"}):
        called = trained(perceptron, momentum, "cpu", epochs=4, **options)
        expect_equal(trained(perceptron, momentum, "cpu", epochs=4, captured=True, **options), called)


@case
def the_size_of_buckets_changes_no_bit(folder: Path) -> None:
    expected = trained(perceptron, momentum, "numpy")
    for size in (1, 60, 200, 300, 10**9):
        expect_equal(trained(perceptron, momentum, "numpy", bucket_bytes=size), expected)


@case
def backends_have_the_same_sum(folder: Path) -> None:
    expect_close(trained(perceptron, momentum, "cpu"), trained(perceptron, momentum, "numpy"))


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
def a_group_that_is_added_later_is_averaged(folder: Path) -> None:
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
def training_goes_on_with_another_number_of_ranks(folder: Path) -> None:
    """From the state that one process saved; and one process goes on with what the ranks saved."""
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
def two_passes_add_up(folder: Path) -> None:
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
def gradients_that_were_read_stay_as_they_were(folder: Path) -> None:
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
    """Uses a layer on some ranks alone."""

    def __init__(self, ranks: set[int]) -> None:
        self.ranks = ranks
        self.always, self.sometimes, self.never = nn.Linear(6, 3), nn.Linear(6, 3), nn.Linear(6, 3)

    def forward(self, input: sg.Tensor) -> sg.Tensor:
        out = self.always(input)
        return out + self.sometimes(input) if HERE.rank in self.ranks else out


@case
def a_parameter_that_some_ranks_use_has_a_gradient_on_all(folder: Path) -> None:
    x, y = examples("numpy")
    for size in (1, 10**6):
        sg.manual_seed(4)
        model = Branches({HERE.size - 1})
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


# --- bfloat16


@case
def compressed_gradients_are_near(folder: Path) -> None:
    found = trained(perceptron, momentum, "numpy", compress="bfloat16")
    expect_close(found, trained(perceptron, momentum, "numpy", alone=True), 0.1, 0.01)
    expect_equal(trained(perceptron, momentum, "numpy", compress="bfloat16", bucket_bytes=60), found)


@case
def bfloat16_rounds_to_the_nearest_and_keeps_what_is_not_finite(folder: Path) -> None:
    @settings(max_examples=300)
    @given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=8))
    def check(patterns: list[int]) -> None:
        values = np.array(patterns, np.uint32).view(np.float32)
        out = np.empty(len(values), np.uint16)
        to_bfloat16(values, out)
        found = from_bfloat16(out)
        for value, got in zip(values.tolist(), found.tolist(), strict=True):
            if value != value or abs(value) == float("inf"):
                assert got == value or got != got != (value == value)
                continue
            around = [(np.array([p], np.uint32) << 16).view(np.float32)[0] for p in neighbours(value)]
            errors = [
                abs(float(other) - value) if np.isfinite(other) else abs(2.0**128 - abs(value)) for other in around
            ]
            assert got in [float(other) for other, error in zip(around, errors, strict=True) if error == min(errors)]

    check()


def neighbours(value: float) -> Iterator[int]:
    upper = int(np.float32(value).view(np.uint32)) >> 16
    yield upper
    if (upper & 0x7FFF) < 0x7F80:
        yield upper + 1


# --- batch normalisation


@case
def synchronised_batch_norm_is_that_of_the_whole_batch(folder: Path) -> None:
    shape = (2, 6, 6)
    for captured in (False, True):
        found = trained(convolutional, momentum, "cpu", shape, 3, captured, convert=True)
        expect_close(found, trained(convolutional, momentum, "cpu", shape, 3, alone=True), 1e-3, 1e-4)
    found = trained(convolutional, momentum, "numpy", shape, 3, convert=True)
    expect_close(found, trained(convolutional, momentum, "numpy", shape, 3, alone=True), 1e-3, 1e-4)


@case
def batch_norm_by_rank_takes_the_statistics_of_the_share(folder: Path) -> None:
    layer = nn.BatchNorm1d(6)
    x, _ = examples("numpy")
    mine = x[distributed.share(EXAMPLES)]
    np.testing.assert_allclose(layer(mine).mean(0).detach().numpy(), 0, atol=1e-5)


@case
def synchronised_batch_norm_of_one_value_raises(folder: Path) -> None:
    layer = distributed.convert_sync_batchnorm(nn.BatchNorm1d(6))
    x, _ = examples("numpy")
    with pytest.raises(ValueError, match=r"batch_norm over all ranks has 1 values a channel: expected 2 or more"):
        layer(x[: HERE.rank == 0])
    layer.eval()
    assert layer(x[:1]).shape == (1, 6)


# --- beginning, data, numbers, files


@case
def broadcast_gives_what_rank_0_has(folder: Path) -> None:
    model = perceptron("cpu", seed=HERE.rank)
    optimizer = spread(adam(model.parameters()))
    generator = sg.Generator(HERE.rank)
    schedule = nn.Cosine(optimizer, 10)
    for _ in range(HERE.rank + 1):
        sg.rand(2, generator=generator)
        x, y = examples("cpu")
        model.zero_grad()
        nn.cross_entropy(model(x), y).backward()
        optimizer.optimizer.step()  # what a rank does alone
        schedule.step()
    distributed.broadcast(model, optimizer, schedule, generator)
    distributed.expect_same("the state", {"model": model.state_dict(), "optimizer": optimizer.state_dict()})
    assert (generator.seed, generator.call, schedule.steps, optimizer.steps) == (0, 1, 1, [1] * 6)
    with pytest.raises(TypeError, match="broadcast takes modules, optimizers, schedules and generators; got list"):
        distributed.broadcast([model])


@case
def shares_of_batches_are_the_batches_of_one_process(folder: Path) -> None:
    for n, size, drop_last in ((50, 16, False), (50, 16, True), (7, 4, False), (0, 4, False)):
        shares = list(distributed.batches(n, size, sg.Generator(5), drop_last))
        everyone = distributed.gather(shares)
        whole = list(nn.batches(n, size, sg.Generator(5), drop_last))
        assert [np.concatenate(parts).tolist() for parts in zip(*everyone, strict=True)] == [b.tolist() for b in whole]
        assert all(max(map(len, p)) - min(map(len, p)) <= 1 for p in zip(*everyone, strict=True))
    with pytest.raises(ValueError, match=r"batch_size 1 for \d ranks: it counts the examples of all of them"):
        distributed.batches(5, 1)


@case
def the_loader_gives_shares(folder: Path) -> None:
    data = [(np.float32(i), {"label": i}, "text") for i in range(9)]
    tensors = nn.TensorDataset(sg.arange(9), sg.arange(9))
    for dataset, workers in ((data, 0), (data, 2), (tensors, 0)):
        loader = distributed.DataLoader(dataset, 4, shuffle=True, generator=sg.Generator(6), num_workers=workers)
        own = [batch[0].numpy().tolist() for batch in loader]
        everyone = distributed.gather(own)
        whole = nn.DataLoader(dataset, 4, shuffle=True, generator=sg.Generator(6))
        expected = [batch[0].numpy().tolist() for batch in whole]
        assert [sum(map(list, parts), []) for parts in zip(*everyone, strict=True)] == expected  # noqa: RUF017
        assert len(loader) == len(own) == len(whole)


@case
def numbers_of_all_ranks(folder: Path) -> None:
    n = HERE.size
    assert distributed.gather(HERE.rank) == list(range(n))
    assert distributed.total({"right": 2**60 + HERE.rank, "loss": 0.1}) == {
        "right": n * 2**60 + n * (n - 1) // 2,
        "loss": 0.1 * n,
    }
    with pytest.raises(ValueError, match="expected the same names"):
        distributed.total({str(HERE.rank): 1})
    assert distributed.mean(float(HERE.rank), HERE.rank) == pytest.approx(sum(r * r for r in range(n)) / sum(range(n)))
    assert distributed.mean(float("nan"), 0) != distributed.mean(1.0, 1)
    distributed.agree("the version", "1.0")
    with pytest.raises(
        distributed.DisagreementError,
        match=rf"the seed: rank 0 has 0, rank 1 has 1; other than rank 0: .*{n - 1} of {n}",
    ):
        distributed.agree("the seed", HERE.rank)


@case
def rank_0_writes_and_all_know(folder: Path) -> None:
    model = perceptron("numpy")
    distributed.save(folder / "model.safetensors", model, {"by": "all"})
    assert distributed.digest(nn.load(folder / "model.safetensors")) == distributed.digest(model)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        distributed.save(folder / "none" / "model.safetensors", model)
    assert distributed.by_first(lambda: HERE.rank) == 0
    if HERE.rank == HERE.size - 1:
        next(iter(model.parameters())).detach()[0] = 7.0
    with pytest.raises(distributed.DisagreementError, match=r"the digest of what is saved as .*: rank 0 has"):
        distributed.save(folder / "other.safetensors", model)
    assert not (folder / "other.safetensors").exists()


# --- what is refused


@case
def a_backward_pass_of_ones_own_is_refused(folder: Path) -> None:
    x, y = examples("cpu")
    model = perceptron("cpu")
    optimizer = spread(momentum(model.parameters()))

    def alone(x: sg.Tensor, y: sg.Tensor) -> None:
        nn.cross_entropy(model(x), y).backward()
        optimizer.step()

    for function in (alone, sg.capture(alone)):
        for _ in range(3):
            with pytest.raises(
                RuntimeError, match=r"step: the gradients of parameters \[0, 1, .* are those of this rank"
            ):
                function(x, y)
    optimizer.zero_grad()
    optimizer.backward(nn.cross_entropy(model(x), y), len(x))
    optimizer.step()
    distributed.expect_same("the weights", model)


@case
def what_does_not_fit_is_refused(folder: Path) -> None:
    x, y = examples("numpy")
    model = perceptron("numpy")
    optimizer = spread(momentum(model.parameters()))
    with pytest.raises(ValueError, match=rf"backward of 0 samples on each of {HERE.size} ranks"):
        optimizer.backward(nn.cross_entropy(model(x), y), 0)
    with pytest.raises(ValueError, match="expected one element"):
        optimizer.backward(model(x), 50)
    with pytest.raises(ValueError, match="samples"):
        optimizer.backward(nn.cross_entropy(model(x), y), -1)
    with pytest.raises(TypeError, match="samples"):
        optimizer.backward(nn.cross_entropy(model(x), y), 2.5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"takes an optimizer of nn\.optim; got DistributedOptimizer"):
        distributed.DistributedOptimizer(optimizer)
    with pytest.raises(ValueError, match="compress must be None or 'bfloat16'; got 'float16'"):
        spread(momentum(model.parameters()), compress="float16")
    with pytest.raises(ValueError, match="bucket_bytes must be at least 1; got 0"):
        spread(momentum(model.parameters()), bucket_bytes=0)
    with pytest.raises(TypeError, match="cannot be copied"):
        deepcopy(optimizer)


@case
def ranks_with_other_parameters_are_told(folder: Path) -> None:
    model = nn.Linear(6, 3 if HERE.rank else 4)
    optimizer = spread(momentum(model.parameters()))
    x, y = examples("numpy")
    with pytest.raises(distributed.DisagreementError, match=r"backward: ranks \[1.*\] of \d have parameters of other"):
        optimizer.backward(nn.cross_entropy(model(x), y), len(x))


@case
def settings_go_through(folder: Path) -> None:
    optimizer = spread(momentum(perceptron("numpy").parameters()))
    optimizer.lr, optimizer.momentum = 0.5, 0.25
    assert (optimizer.optimizer.lr, optimizer.optimizer.momentum, optimizer.lr) == (0.5, 0.25, 0.5)
    assert repr(optimizer).startswith("DistributedOptimizer(SGD(6 parameters, lr=0.5")
    assert optimizer.step(lambda: 3) == 3


def main(folder: Path, only: list[str]) -> None:
    """Do the cases in turn, and report on each; the first that fails ends all ranks, which wait for each other."""
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


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
