"""Averaged weights; the values of AveragedModel are those of PyTorch 2.13."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import stackgrad.tensor as sg
from stackgrad import nn
from stackgrad.nn.optim import swa_utils


def linear(backend: str = "numpy") -> nn.Linear:
    layer = nn.Linear(2, 1, bias=False).to(backend)
    with sg.no_grad():
        layer.weight.copy_(sg.tensor([[1.0, 2.0]], backend=backend))
    return layer


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [[2.0, 4.0], [3.5, 6.5], [6.333333, 11.0]]),
        ({"avg_fn": swa_utils.get_ema_avg_fn(0.75)}, [[2.0, 4.0], [2.75, 5.25], [5.0625, 8.9375]]),
        ({"multi_avg_fn": swa_utils.get_ema_multi_avg_fn(0.75)}, [[2.0, 4.0], [2.75, 5.25], [5.0625, 8.9375]]),
    ],
)
def test_an_averaged_model(options: dict[str, Any], expected: list[list[float]]) -> None:
    model = linear()
    averaged = nn.AveragedModel(model, **options)
    for step, values in enumerate(expected):
        with sg.no_grad():
            model.weight.copy_(model.weight * 2 + step)
        averaged.update_parameters(model)
        assert averaged.module.weight.tolist()[0] == pytest.approx(values, rel=1e-6)
    assert averaged.n_averaged.item() == 3
    assert averaged(sg.ones(1, 2)).tolist() == [[pytest.approx(sum(expected[-1]))]]
    other = nn.AveragedModel(linear(), **options)
    other.load_state_dict(averaged.state_dict())
    averaged.update_parameters(model)
    other.update_parameters(model)
    assert other.module.weight.tolist() == averaged.module.weight.tolist()


@pytest.mark.parametrize("use_buffers", [True, False])
def test_buffers_are_averaged_or_copied(use_buffers: bool) -> None:
    model = nn.BatchNorm1d(2)
    averaged = nn.AveragedModel(model, use_buffers=use_buffers)
    for step in range(2):
        model.running_mean.copy_(sg.full((2,), float(step + 1)))
        averaged.update_parameters(model)
    assert averaged.module.running_mean.tolist() == [1.5 if use_buffers else 2.0] * 2


def test_update_apply_and_restore_an_ema(tmp_path: Path) -> None:
    model = linear()
    ema = nn.EMA(model, 0.75)
    with sg.no_grad():
        model.weight.copy_(sg.tensor([[5.0, -2.0]]))
    ema.update()
    with ema.apply():
        assert model.weight.tolist() == [[2.0, 1.0]]
    assert model.weight.tolist() == [[5.0, -2.0]]
    ema.apply()
    assert model.weight.tolist() == [[2.0, 1.0]]
    ema.restore()
    nn.save(tmp_path / "ema.safetensors", ema.state_dict())
    other = nn.EMA(model, 0.5)
    other.load_state_dict(nn.load(tmp_path / "ema.safetensors"))
    for each in (ema, other):
        each.update()
        with each.apply():
            assert model.weight.tolist() == [[2.75, 0.25]]


def test_an_error_inside_with_restores_the_parameters() -> None:
    model = linear()
    ema = nn.EMA(model)
    with sg.no_grad():
        model.weight.mul_(3.0)
    with pytest.raises(KeyError), ema.apply():
        raise KeyError
    assert model.weight.tolist() == [[3.0, 6.0]]


@pytest.mark.parametrize("make", range(3))
def test_averages_in_a_captured_step(make: int) -> None:
    def learn(captured: bool) -> list[Any]:
        model = linear("cpu")
        optimizer = nn.SGD(model.parameters(), 0.1)
        ema = nn.EMA(model, 0.5)
        multi = swa_utils.get_ema_multi_avg_fn(0.5) if make == 2 else None
        averaged = nn.AveragedModel(model, multi_avg_fn=multi)

        def step(x: sg.Tensor) -> sg.Tensor:
            optimizer.zero_grad()
            (model(x) ** 2).mean().backward()
            optimizer.step()
            if make == 0:
                ema.update()
                return ema.state_dict()["averages"]["weight"].clone()  # type: ignore[no-any-return]
            averaged.update_parameters(model)
            return averaged.module.weight.detach().clone()  # type: ignore[no-any-return]

        step = sg.capture(step) if captured else step
        return [step(sg.randn(4, 2, generator=sg.Generator(t), backend="cpu")).tolist() for t in range(5)]

    assert learn(captured=True) == learn(captured=False)


def applied_twice(ema: nn.EMA) -> None:
    ema.apply()
    ema.apply()


def updated_while_applied(ema: nn.EMA) -> None:
    ema.apply()
    ema.update()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (applied_twice, RuntimeError, "already applied to the parameters: restore() first"),
        (updated_while_applied, RuntimeError, "restore() before update()"),
        (nn.EMA.restore, RuntimeError, "apply() before restore()"),
        (lambda ema: nn.EMA(linear(), 1.5), ValueError, "decay must be at most 1; got 1.5"),
        (lambda ema: nn.EMA(linear(), "0.9"), TypeError, "decay must be a number; got str"),
        (lambda ema: ema.load_state_dict({"decay": 0.5}), ValueError, "has the keys ['averages', 'decay']"),
        (
            lambda ema: ema.load_state_dict({"decay": 0.5, "averages": {"weight": sg.ones(3)}}),
            ValueError,
            "weight has shape (3,), expected (1, 2)",
        ),
        (
            lambda ema: nn.AveragedModel(linear(), lambda a, b, n: a, swa_utils.get_ema_multi_avg_fn()),
            ValueError,
            "AveragedModel takes avg_fn or multi_avg_fn; got both",
        ),
    ],
)
def test_errors(change: Callable[[Any], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        change(nn.EMA(linear()))


def test_statistics_of_batch_norms_for_averaged_weights() -> None:
    norm = nn.BatchNorm1d(1, momentum=0.3)
    model = nn.Sequential(norm, nn.Dropout(0.5)).eval()
    model[1].train()
    norm(sg.full((3, 1), 50.0))
    batches = [sg.tensor([[1.0], [3.0]]), (sg.tensor([[5.0], [9.0]]), None)]

    swa_utils.update_bn(batches, model)

    assert norm.running_mean.tolist() == pytest.approx([4.5])  # of 2 and 7
    assert norm.running_var.tolist() == pytest.approx([5.0])  # of 2 and 8
    assert norm.momentum == 0.3
    assert (model.training, norm.training, model[1].training) == (False, False, True)


def test_without_batch_norm_no_batches_are_read() -> None:
    swa_utils.update_bn(iter(()), linear())


def test_averages_say_what_they_are() -> None:
    ema = nn.EMA(nn.Linear(2, 1), 0.9)
    assert repr(ema) == "EMA(2 parameters, decay=0.9)"
    with ema.apply():
        assert repr(ema) == "EMA(2 parameters, decay=0.9, applied)"
