"""Training by several ranks: statistics, compression, data, totals, files and errors."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ranks import (
    EXAMPLES,
    HERE,
    adam,
    case,
    convolutional,
    examples,
    expect_close,
    expect_equal,
    momentum,
    perceptron,
    spread,
    trained,
)

import stackgrad.tensor as sg
from stackgrad import nn
from stackgrad.nn import distributed
from stackgrad.nn.distributed._wire import from_bfloat16, to_bfloat16

# --- bfloat16


@case
def compressed_gradients_are_close(folder: Path) -> None:
    found = trained(perceptron, momentum, "numpy", compress="bfloat16")
    expect_close(found, trained(perceptron, momentum, "numpy", alone=True), 0.1, 0.01)
    expect_equal(trained(perceptron, momentum, "numpy", compress="bfloat16", bucket_bytes=60), found)


@case
def bfloat16_rounds_to_nearest_and_keeps_non_finite_values(folder: Path) -> None:
    @settings(max_examples=300, deadline=None)
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
def synchronised_batch_norm_equals_the_whole_batch(folder: Path) -> None:
    shape = (2, 6, 6)
    for captured in (False, True):
        found = trained(convolutional, momentum, "cpu", shape, 3, captured, convert=True)
        expect_close(found, trained(convolutional, momentum, "cpu", shape, 3, alone=True), 1e-3, 1e-4)
    found = trained(convolutional, momentum, "numpy", shape, 3, convert=True)
    expect_close(found, trained(convolutional, momentum, "numpy", shape, 3, alone=True), 1e-3, 1e-4)


@case
def batch_norm_by_rank_uses_the_statistics_of_the_share(folder: Path) -> None:
    layer = nn.BatchNorm1d(6)
    x, _ = examples("numpy")
    mine = x[distributed.share(EXAMPLES)]
    np.testing.assert_allclose(layer(mine).mean(0).detach().numpy(), 0, atol=1e-5)


@case
def synchronised_batch_norm_of_one_value_raises(folder: Path) -> None:
    layer = distributed.convert_sync_batchnorm(nn.BatchNorm1d(6))
    x, _ = examples("numpy")
    with pytest.raises(ValueError, match=r"batch_norm over all ranks has 1 values per channel: expected 2 or more"):
        layer(x[: HERE.rank == 0])
    layer.eval()
    assert layer(x[:1]).shape == (1, 6)


# --- beginning, data, numbers, files


@case
def broadcast_copies_the_state_of_rank_0(folder: Path) -> None:
    model = perceptron("cpu", seed=HERE.rank)
    optimizer = spread(adam(model.parameters()))
    generator = sg.Generator(HERE.rank)
    schedule = nn.Cosine(optimizer, 10)
    for _ in range(HERE.rank + 1):
        sg.rand(2, generator=generator)
        x, y = examples("cpu")
        model.zero_grad()
        nn.cross_entropy(model(x), y).backward()
        optimizer.optimizer.step()  # this rank only
        schedule.step()
    distributed.broadcast(model, optimizer, schedule, generator)
    distributed.expect_same("the state", {"model": model.state_dict(), "optimizer": optimizer.state_dict()})
    assert (generator.seed, generator.call, schedule.steps, optimizer.steps) == (0, 1, 1, [1] * 6)
    with pytest.raises(TypeError, match="broadcast takes modules, optimizers, schedules and generators; got list"):
        distributed.broadcast([model])


@case
def shares_add_up_to_the_batches_of_one_process(folder: Path) -> None:
    for n, size, drop_last in ((50, 16, False), (50, 16, True), (7, 4, False), (0, 4, False)):
        shares = list(distributed.batches(n, size, sg.Generator(5), drop_last))
        everyone = distributed.gather(shares)
        whole = list(nn.batches(n, size, sg.Generator(5), drop_last))
        assert [np.concatenate(parts).tolist() for parts in zip(*everyone, strict=True)] == [b.tolist() for b in whole]
        assert all(max(map(len, p)) - min(map(len, p)) <= 1 for p in zip(*everyone, strict=True))
    with pytest.raises(ValueError, match=r"batch_size 1 for \d ranks: it counts the examples of all of them"):
        distributed.batches(5, 1)


@case
def the_loader_yields_shares(folder: Path) -> None:
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
def totals_and_means_over_ranks(folder: Path) -> None:
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
def rank_0_writes_and_all_ranks_raise_its_errors(folder: Path) -> None:
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
def a_plain_backward_pass_is_rejected(folder: Path) -> None:
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
def invalid_arguments_are_rejected(folder: Path) -> None:
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
def settings_reach_the_inner_optimizer(folder: Path) -> None:
    optimizer = spread(momentum(perceptron("numpy").parameters()))
    optimizer.lr, optimizer.momentum = 0.5, 0.25
    assert (optimizer.optimizer.lr, optimizer.optimizer.momentum, optimizer.lr) == (0.5, 0.25, 0.5)
    assert repr(optimizer).startswith("DistributedOptimizer(SGD(6 parameters, lr=0.5")
    assert optimizer.step(lambda: 3) == 3
