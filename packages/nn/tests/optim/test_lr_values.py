"""Schedules under PyTorch's names, against values of PyTorch 2.13."""

import math
from collections.abc import Callable
from typing import Any

import pytest

import stackgrad.tensor as sg
from stackgrad import nn
from stackgrad.nn.optim import lr_scheduler

# The schedule, its arguments, the rates of two groups that start at 0.8 and 0.4, and the momentum of both.
PYTORCH: list[tuple[str, dict[str, Any], str, str, str | None]] = [
    (
        "StepLR",
        {"step_size": 3, "gamma": 0.5},
        "0.8 0.8 0.8 0.4 0.4 0.4 0.2 0.2 0.2",
        "0.4 0.4 0.4 0.2 0.2 0.2 0.1 0.1 0.1",
        None,
    ),
    (
        "MultiStepLR",
        {"milestones": [2, 5, 5], "gamma": 0.5},
        "0.8 0.8 0.4 0.4 0.4 0.1 0.1 0.1 0.1",
        "0.4 0.4 0.2 0.2 0.2 0.05 0.05 0.05 0.05",
        None,
    ),
    (
        "ExponentialLR",
        {"gamma": 0.8},
        "0.8 0.64 0.512 0.4096 0.32768 0.262144 0.2097152 0.16777216 0.13421773",
        "0.4 0.32 0.256 0.2048 0.16384 0.131072 0.1048576 0.08388608 0.067108864",
        None,
    ),
    (
        "LinearLR",
        {},
        "0.26666667 0.37333333 0.48 0.58666667 0.69333333 0.8 0.8 0.8 0.8",
        "0.13333333 0.18666667 0.24 0.29333333 0.34666667 0.4 0.4 0.4 0.4",
        None,
    ),
    (
        "LinearLR",
        {"start_factor": 0.25, "end_factor": 0.75, "total_iters": 4},
        "0.2 0.3 0.4 0.5 0.6 0.6 0.6 0.6 0.6",
        "0.1 0.15 0.2 0.25 0.3 0.3 0.3 0.3 0.3",
        None,
    ),
    (
        "CosineAnnealingLR",
        {"T_max": 4, "eta_min": 0.01},
        "0.8 0.68430718 0.405 0.12569282 0.01 0.12569282 0.405 0.68430718 0.8",
        "0.4 0.34288582 0.205 0.067114178 0.01 0.067114178 0.205 0.34288582 0.4",
        None,
    ),
    (
        "CosineAnnealingWarmRestarts",
        {"T_0": 3, "eta_min": 0.01},
        "0.8 0.6025 0.2075 0.8 0.6025 0.2075 0.8 0.6025 0.2075",
        "0.4 0.3025 0.1075 0.4 0.3025 0.1075 0.4 0.3025 0.1075",
        None,
    ),
    (
        "CosineAnnealingWarmRestarts",
        {"T_0": 2, "T_mult": 2},
        "0.8 0.4 0.8 0.68284271 0.4 0.11715729 0.8 0.76955181 0.68284271",
        "0.4 0.2 0.4 0.34142136 0.2 0.058578644 0.4 0.38477591 0.34142136",
        None,
    ),
    (
        "OneCycleLR",
        {"max_lr": 1.0, "total_steps": 9},
        "0.04 0.65135824 0.99441544 0.89856666 0.70564473 0.4626371 0.22872995 0.06089297 4e-06",
        "0.04 0.65135824 0.99441544 0.89856666 0.70564473 0.4626371 0.22872995 0.06089297 4e-06",
        "0.95 0.88631685 0.85055846 0.86014337 0.87943564 0.9037365 0.92712731 0.94391108 0.95",
    ),
    (
        "OneCycleLR",
        {
            "max_lr": [1.0, 0.5],
            "epochs": 3,
            "steps_per_epoch": 3,
            "anneal_strategy": "linear",
            "pct_start": 0.5,
            "div_factor": 10.0,
            "final_div_factor": 100.0,
        },
        "0.1 0.35714286 0.61428571 0.87142857 0.889 0.667 0.445 0.223 0.001",
        "0.05 0.17857143 0.30714286 0.43571429 0.4445 0.3335 0.2225 0.1115 0.0005",
        "0.95 0.92142857 0.89285714 0.86428571 0.86111111 0.88333333 0.90555556 0.92777778 0.95",
    ),
]


def two_groups() -> nn.SGD:
    first, second = (nn.Parameter(sg.ones(1)) for _ in range(2))
    return nn.SGD([{"params": first}, {"params": second, "lr": 0.4}], lr=0.8, momentum=0.9)


def close_to(text: str) -> Any:
    return pytest.approx([float(value) for value in text.split()], rel=2e-6)


@pytest.mark.parametrize(("name", "options", "first", "second", "momenta"), PYTORCH)
def test_rates_equal_pytorch(name: str, options: Any, first: str, second: str, momenta: str | None) -> None:
    own = two_groups()
    schedule = getattr(lr_scheduler, name)(own, **options)
    seen, momentum = [], []
    for _ in range(9):
        seen.append(schedule.get_last_lr())
        momentum.append(own.momentum)
        schedule.step()
    assert [rates[0] for rates in seen] == close_to(first)
    assert [rates[1] for rates in seen] == close_to(second)
    assert momentum == close_to(momenta or "0.9 " * 9)


# The options, the rates of the first group after each metric, and the last of the second.
METRICS = [5, 4, 4, 4, 4, 3, 3.5, 3.4, 3.3, 3.2, 2.9999, 3, 3, 3, 3, 3, 3]
PLATEAUS: list[tuple[dict[str, Any], str, float]] = [
    (
        {"patience": 2},
        "0.8 0.8 0.8 0.8 0.08 0.08 0.08 0.08 0.008 0.008 0.008 0.0008 0.0008 0.0008 8e-05 8e-05 8e-05",
        4e-05,
    ),
    (
        {"patience": 1, "mode": "max", "factor": 0.5, "cooldown": 2, "min_lr": [0.15, 0.1]},
        "0.8 0.8 0.4 0.4 0.4 0.4 0.2 0.2 0.2 0.2 0.15 0.15 0.15 0.15 0.15 0.15 0.15",
        0.1,
    ),
    (
        {"patience": 0, "threshold": 0.5, "threshold_mode": "abs", "factor": 0.9, "eps": 0.03},
        "0.8 0.8 0.72 0.648 0.5832 0.5832 0.52488 0.472392 0.425153 0.382638 "
        "0.344374 0.309936 0.278943 0.278943 0.278943 0.278943 0.278943",
        0.2916,
    ),
    (
        {"patience": 0, "threshold": 0.2, "mode": "max"},
        "0.8 0.08 0.008 0.0008 8e-05 8e-06 8e-07 8e-08 8e-09 8e-09 8e-09 8e-09 8e-09 8e-09 8e-09 8e-09 8e-09",
        4e-09,
    ),
    (
        {"patience": 0, "mode": "max", "threshold": 0.7, "threshold_mode": "abs", "cooldown": 1},
        "0.8 0.08 0.08 0.008 0.008 0.0008 0.0008 8e-05 8e-05 8e-06 8e-06 8e-07 8e-07 8e-08 8e-08 8e-09 8e-09",
        4e-09,
    ),
]


@pytest.mark.parametrize(("options", "expected", "last"), PLATEAUS)
def test_a_plateau_lowers_the_rates(options: dict[str, Any], expected: str, last: float) -> None:
    own = two_groups()
    schedule: Any = lr_scheduler.ReduceLROnPlateau(own, **options)
    found = []
    for index, metric in enumerate(METRICS):
        if index == 7:  # save and resume
            state, other = {"optimizer": own.state_dict(), "schedule": schedule.state_dict()}, two_groups()
            schedule = lr_scheduler.ReduceLROnPlateau(other, **options)
            schedule.load_state_dict(state["schedule"])
            own = other
            own.load_state_dict(state["optimizer"])
        schedule.step(metric if index % 2 else sg.tensor(float(metric), dtype="float64"))
        found.append(own.lr)
    assert found == close_to(expected)
    assert own.param_groups[1]["lr"] == pytest.approx(last)
    assert own.initial_lr == 0.8


def test_lambdas_by_group() -> None:
    own = two_groups()
    schedule = lr_scheduler.LambdaLR(own, [lambda step: 1 / (1 + step), lambda step: 0.5**step])
    schedule.step()
    schedule.step()
    assert schedule.get_last_lr() == pytest.approx([0.8 / 3, 0.1])
    for_all = lr_scheduler.LambdaLR(two_groups(), lambda step: 0.5)
    assert for_all.get_last_lr() == [0.4, 0.2]


def test_schedules_in_sequence() -> None:
    own = two_groups()
    warm, rest = lr_scheduler.LinearLR(own, 0.25, total_iters=3), lr_scheduler.CosineAnnealingLR(own, 4)
    schedule = lr_scheduler.SequentialLR(own, [warm, rest], [3])
    found = []
    for _ in range(7):
        found.append(own.lr)
        schedule.step()
    assert found == pytest.approx([0.2, 0.4, 0.6, *[0.4 * (1 + math.cos(math.pi * t / 4)) for t in range(4)]])


def test_momentum_cycles_as_the_first_beta() -> None:
    own = nn.Adam([nn.Parameter(sg.ones(1))])
    schedule = lr_scheduler.OneCycleLR(own, 1.0, 5, pct_start=0.4)
    assert own.betas == (0.95, 0.999)
    schedule.step()
    assert own.betas == (pytest.approx(0.85), 0.999)


def test_a_captured_function_cannot_read_the_last_rates() -> None:
    weight = nn.Parameter(sg.ones(1, backend="cpu"))
    schedule = nn.Constant(nn.SGD([weight], 0.5))

    @sg.capture
    def step(x: sg.Tensor) -> sg.Tensor:
        return x * schedule.get_last_lr()[0]

    assert step(sg.ones(1, backend="cpu")).tolist() == [0.5]
    with pytest.raises(RuntimeError, match=r"read optimizer\.lr there, or call it outside"):
        step(sg.ones(1, backend="cpu"))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda o: lr_scheduler.LambdaLR(o, [abs]), ValueError, "lr_lambda has 1 values for 2 parameter groups"),
        (lambda o: lr_scheduler.LambdaLR(o, 3), TypeError, "lr_lambda must be a function of the step; got int"),
        (lambda o: lr_scheduler.MultiStepLR(o, [1.5]), TypeError, "a milestone must be an int; got float"),
        (lambda o: lr_scheduler.ExponentialLR(o, 0), ValueError, "gamma must be positive; got 0"),
        (lambda o: lr_scheduler.LinearLR(o, total_iters=0), ValueError, "total_iters must be at least 1; got 0"),
        (lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 0), ValueError, "T_0 must be at least 1; got 0"),
        (lambda o: lr_scheduler.OneCycleLR(o, [1.0], 9), ValueError, "max_lr has 1 values for 2 parameter groups"),
        (lambda o: lr_scheduler.OneCycleLR(o, 1.0), ValueError, "needs total_steps, or epochs and steps_per_epoch"),
        (lambda o: lr_scheduler.OneCycleLR(o, 1.0, 9, anneal_strategy="exp"), ValueError, "got 'exp'"),
        (
            lambda o: lr_scheduler.OneCycleLR(nn.SGD(o.params), 1.0, 9),
            ValueError,
            "no momentum to cycle: set one, or pass cycle_momentum=False",
        ),
        (lambda o: lr_scheduler.SequentialLR(o, [nn.Constant(o)], [1]), ValueError, "one fewer than the schedules, 1"),
        (
            lambda o: lr_scheduler.SequentialLR(o, [nn.Constant(two_groups())], []),
            ValueError,
            "a schedule of another optimizer",
        ),
        (lambda o: lr_scheduler.ReduceLROnPlateau(o, "least"), ValueError, "mode must be"),
        (lambda o: lr_scheduler.ReduceLROnPlateau(o, factor=1.0), ValueError, "factor must be below 1; got 1.0"),
        (lambda o: lr_scheduler.ReduceLROnPlateau(o, patience=1.5), TypeError, "patience must be an int; got float"),
        (
            lambda o: lr_scheduler.ReduceLROnPlateau(o).load_state_dict({"steps": 1}),
            ValueError,
            r"has the keys \['bad_epochs', 'best', 'cooling', 'steps'\]",
        ),
    ],
)
def test_errors_of_pytorch_schedules(make: Callable[[nn.Optimizer], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make(two_groups())
