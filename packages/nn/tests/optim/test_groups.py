"""Parameter groups: their own settings, changed at any time, saved and loaded."""

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import stackgrad.tensor as sg
from stackgrad import nn

MAKERS: list[Callable[[Any], nn.Optimizer]] = [
    lambda params: nn.SGD(params, 0.5, momentum=0.9),
    lambda params: nn.Adam(params, 0.5),
    lambda params: nn.AdamW(params, 0.5, amsgrad=True),
]
OWN: list[dict[str, Any]] = [{}, {"lr": 0.125}, {"lr": 0.25, "weight_decay": 0.5}]


def weights(seed: int = 0) -> list[nn.Parameter]:
    generator = sg.Generator(seed)
    return [nn.Parameter(sg.randn(3, generator=generator)) for _ in OWN]


def learn(params: list[nn.Parameter], *optimizers: nn.Optimizer, steps: int = 3) -> list[list[float]]:
    for step in range(steps):
        for parameter in params:
            parameter.grad = parameter.detach() * 2 + step
        for optimizer in optimizers:
            optimizer.step()
    return [parameter.tolist() for parameter in params]


def groups(params: list[nn.Parameter]) -> list[dict[str, Any]]:
    return [{"params": [p], **own} for p, own in zip(params, OWN, strict=True)]


@pytest.mark.parametrize("make", MAKERS)
def test_each_group_acts_like_its_own_optimizer(make: Callable[[Any], nn.Optimizer]) -> None:
    together, apart = weights(), weights()
    optimizers = [make([{"params": p, **own}]) for p, own in zip(apart, OWN, strict=True)]
    assert learn(together, make(groups(together))) == learn(apart, *optimizers)


def test_add_a_group_later() -> None:
    at_once, later = weights(), weights()
    optimizer = nn.Adam([later[0]], 0.5)
    for group in groups(later)[1:]:
        optimizer.add_param_group(group)
    assert learn(later, optimizer) == learn(at_once, nn.Adam(groups(at_once), 0.5))
    assert [len(group["params"]) for group in optimizer.param_groups] == [1, 1, 1]


def test_the_entries_of_a_group() -> None:
    params = weights()
    optimizer = nn.Adam(groups(params), lr=0.5, weight_decay=0.1)
    assert [(group["lr"], group["initial_lr"], group["weight_decay"]) for group in optimizer.param_groups] == [
        (0.5, 0.5, 0.1),
        (0.125, 0.125, 0.1),
        (0.25, 0.25, 0.5),
    ]
    assert [group["params"][0] is p for group, p in zip(optimizer.param_groups, params, strict=True)] == [True] * 3
    assert optimizer.param_groups[1]["betas"] == (0.9, 0.999)
    assert repr(nn.SGD([{"params": params[:2], "lr": 1}, {"params": params[2:]}])).startswith(
        "SGD(2 parameters, lr=1.0, momentum=0.0"
    )


def test_settings_change_by_group_and_for_all_groups() -> None:
    optimizer = nn.SGD(groups(weights()), 0.5, momentum=0.5)
    optimizer.param_groups[1]["lr"] = 1
    optimizer.param_groups[2].update(momentum=0, lr=2)
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 1.0, 2.0]
    assert [group["initial_lr"] for group in optimizer.param_groups] == [0.5, 1.0, 2.0]
    assert [group["momentum"] for group in optimizer.param_groups] == [0.5, 0.5, 0.0]
    optimizer.lr, optimizer.momentum = 0.25, 0.75
    assert [(group["lr"], group["momentum"]) for group in optimizer.param_groups] == [(0.25, 0.75)] * 3
    assert optimizer.lr == optimizer.initial_lr == 0.25


@pytest.mark.parametrize("through_file", [False, True])
@pytest.mark.parametrize("make", MAKERS)
def test_training_resumes_from_a_state(make: Any, through_file: bool, tmp_path: Path) -> None:
    params = weights()
    expected = learn(params, make(groups(params)), steps=5)
    params = weights()
    optimizer = make(groups(params))
    optimizer.param_groups[0]["name"] = "first"
    learn(params, optimizer, steps=2)
    state = copy.deepcopy(optimizer.state_dict())
    if through_file:
        nn.save(tmp_path / "state.safetensors", state)
        state = nn.load(tmp_path / "state.safetensors")
    other = make(
        [{"params": [p], "lr": 7.0, "name": "any"} if i == 0 else {"params": [p]} for i, p in enumerate(params)]
    )
    other.load_state_dict(state)
    assert other.param_groups[0]["name"] == "first"
    for step in range(2, 5):
        for parameter in params:
            parameter.grad = parameter.detach() * 2 + step
        other.step()
    assert [parameter.tolist() for parameter in params] == expected
    assert [group["lr"] for group in other.param_groups] == [0.5, 0.125, 0.25]


def test_a_schedule_starts_each_group_at_its_own_rate() -> None:
    optimizer = nn.SGD(groups(weights()), 0.5)
    schedule = nn.StepDecay(optimizer, 1, 0.5)
    schedule.step()
    assert schedule.get_last_lr() == [group["lr"] for group in optimizer.param_groups] == [0.25, 0.0625, 0.125]
    optimizer.param_groups[1]["lr"] = 1.0
    schedule.step()
    assert schedule.get_last_lr() == [0.125, 0.25, 0.0625]
    assert schedule.rate(0, 2) == 0.25


def test_a_copy_of_model_and_optimizer_is_independent() -> None:
    params = weights()
    optimizer = nn.Adam(groups(params), 0.5)
    learn(params, optimizer)
    others, other = copy.deepcopy((params, optimizer))
    assert other.param_groups[0]["params"][0] is others[0]
    before = [parameter.tolist() for parameter in params]
    assert learn(others, other) != before
    assert [parameter.tolist() for parameter in params] == before
    assert learn(params, optimizer) == [parameter.tolist() for parameter in others]


def set_params(optimizer: nn.Optimizer) -> None:
    optimizer.param_groups[0]["params"] = []


def set_rate(value: Any) -> Callable[[nn.Optimizer], None]:
    return lambda optimizer: optimizer.param_groups[0].update(lr=value)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (set_rate(-1.0), ValueError, "lr must be a finite number, not negative; got -1.0"),
        (set_rate("1"), TypeError, "lr must be a number; got str"),
        (set_params, ValueError, "the parameters of a group stay the same: use optimizer.add_param_group(...)"),
        (lambda o: o.add_param_group({"params": o.params}), ValueError, "a parameter was given twice"),
        (lambda o: o.add_param_group([1]), TypeError, "a parameter group is a dict with params, a list of tensors"),
        (lambda o: o.add_param_group({"lr": 1.0}), TypeError, "a parameter group is a dict with params"),
        (lambda o: o.add_param_group({"params": 1}), TypeError, "are tensors, such as model.parameters(); got int"),
        (lambda o: o.add_param_group({"params": nn.Linear(1, 1)}), TypeError, "model.parameters(); got Linear"),
        (
            lambda o: o.add_param_group({"params": [], "weight_decya": 0.1}),
            ValueError,
            "a parameter group has the setting 'weight_decya': did you mean 'weight_decay'?",
        ),
        (lambda o: o.add_param_group({"params": [], "momentum": -1.0}), ValueError, "momentum must be a finite"),
        (lambda o: nn.SGD([{"params": []}, 1]), TypeError, "parameter group 1 must be a dict with params; got int"),
    ],
)
def test_errors(change: Callable[[Any], Any], error: type[Exception], message: str) -> None:
    optimizer = nn.SGD([nn.Parameter(sg.ones(2))], 0.5)
    before = optimizer.state_dict()
    with pytest.raises(error, match=re.escape(message)):
        change(optimizer)
    assert optimizer.state_dict() == before
