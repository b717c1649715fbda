"""Schedules against their closed formulas."""

import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import stackgrad.tensor as sg
from stackgrad import nn


def optimizer(lr: float = 1.0) -> nn.SGD:
    return nn.SGD([nn.Parameter(sg.ones(1))], lr)


def rates(schedule: nn.Schedule, steps: int) -> list[float]:
    """The optimizer's own learning rate at each step."""
    found = []
    for _ in range(steps):
        found.append(schedule.optimizer.lr)
        schedule.step()
    return found


@given(st.floats(1e-4, 10), st.integers(1, 30), st.floats(0, 1e-4))
def test_cosine(lr: float, total: int, least: float) -> None:
    expected = [least + (lr - least) / 2 * (1 + math.cos(math.pi * t / total)) for t in range(total + 1)]
    assert rates(nn.Cosine(optimizer(lr), total, least), total + 4) == pytest.approx([*expected, least, least, least])


@given(st.floats(1e-4, 10), st.integers(1, 5), st.floats(0.1, 1.0))
def test_step_decay(lr: float, every: int, factor: float) -> None:
    expected = [lr * factor**power for power in range(4) for _ in range(every)]
    assert rates(nn.StepDecay(optimizer(lr), every, factor), 4 * every) == pytest.approx(expected)


def test_constant() -> None:
    assert rates(nn.Constant(optimizer(0.3)), 5) == [0.3] * 5


def test_one_cycle() -> None:
    """Ten steps, half of them up: from 0.1 to the peak at step 4, then down along a cosine to 0.01 at step 9."""
    schedule = nn.OneCycle(optimizer(), 1.0, 10, warmup=0.5, start_divisor=10.0, end_divisor=10.0)
    up = [0.1 + 0.9 * t / 4 for t in range(5)]
    down = [0.01 + 0.99 * (1 + math.cos(math.pi * t / 5)) / 2 for t in range(1, 6)]
    assert rates(schedule, 12) == pytest.approx([*up, *down, 0.01, 0.01])


@given(st.floats(1e-3, 10), st.integers(2, 200), st.floats(0, 1))
def test_one_cycle_rises_to_the_peak_and_falls_to_the_end(max_lr: float, total: int, warmup: float) -> None:
    schedule = nn.OneCycle(optimizer(), max_lr, total, warmup)
    values = [schedule.rate(t) for t in range(total)]
    top = values.index(max(values))
    assert values[: top + 1] == sorted(values[: top + 1])
    assert values[top:] == sorted(values[top:], reverse=True)
    assert max(values) <= max_lr * (1 + 1e-9)
    assert abs(top - max(warmup * total - 1, 0)) <= 1
    assert values[-1] == pytest.approx(max_lr / 25 / 1e4)


def test_one_cycle_defaults() -> None:
    schedule = nn.OneCycle(optimizer(), 1.0, 100)
    assert schedule.rate(0) == pytest.approx(1 / 25)
    assert schedule.rate(29) == pytest.approx(1.0)
    assert schedule.rate(99) == pytest.approx(1 / 25 / 1e4)


def _possible(order: tuple[str, ...]) -> bool:
    """A schedule is made before its state is loaded."""
    return order.index("make") < order.index("load schedule")


MAKERS: list[Callable[[nn.Optimizer], nn.Schedule]] = [
    lambda o: nn.OneCycle(o, 2.0, 10),
    lambda o: nn.Cosine(o, 10),
    lambda o: nn.StepDecay(o, 3),
    lambda o: nn.Constant(o),
]


@pytest.mark.parametrize("make", MAKERS)
def test_a_new_schedule_sets_the_first_rate_and_resumes_from_a_state(
    make: Callable[[nn.Optimizer], nn.Schedule],
) -> None:
    first = make(optimizer(0.5))
    assert first.optimizer.lr == first.rate(0)
    for _ in range(4):
        first.step()
    assert first.state_dict() == {"steps": 4}
    second = make(optimizer(0.5))
    second.load_state_dict(first.state_dict())
    assert second.optimizer.lr == first.optimizer.lr
    assert rates(second, 5) == rates(first, 5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda o: nn.OneCycle(o, 0.0, 10), "max_lr must be positive; got 0.0"),
        (lambda o: nn.OneCycle(o, 1.0, 0), "total_steps must be at least 1; got 0"),
        (lambda o: nn.OneCycle(o, 1.0, 10, warmup=1.5), "between 0 and 1; got 1.5"),
        (lambda o: nn.OneCycle(o, 1.0, 10, start_divisor=0.5), "divisors must be at least 1; got 0.5 and 10000.0"),
        (lambda o: nn.Cosine(o, 0), "total_steps must be at least 1; got 0"),
        (lambda o: nn.Cosine(o, 5, min_lr=-1), "min_lr must be a finite number, not negative; got -1"),
        (lambda o: nn.StepDecay(o, 0), "every must be at least 1; got 0"),
        (lambda o: nn.StepDecay(o, 2, factor=0), "factor must be positive; got 0"),
        (lambda o: nn.Cosine(o, 5).load_state_dict({"step": 3}), r"has the keys \['steps'\]; got \['step'\]"),
        (lambda o: nn.Cosine(o, 5).load_state_dict({"steps": -1}), "steps of a schedule must not be negative; got -1"),
    ],
)
def test_errors(make: Callable[[nn.Optimizer], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(optimizer())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda o: nn.Cosine(o, 5).load_state_dict({"steps": 3.0}),
            "steps of a schedule must be an int; got float",
        ),
        (
            lambda o: nn.Cosine(o, 5).load_state_dict(3),
            "a schedule's state must map names to values; got int",
        ),
        (lambda o: nn.Cosine(o, 5.0), "total_steps must be an int; got float"),
        (lambda o: nn.OneCycle(o, "1", 5), "max_lr must be a number; got str"),
    ],
)
def test_type_errors(make: Callable[[nn.Optimizer], Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        make(optimizer())


# ------------------------------------------------------------------------------------------------ the order of loading

ORDERS = [order for order in itertools.permutations(("make", "load optimizer", "load schedule")) if _possible(order)]


@pytest.mark.parametrize("through_file", [False, True])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("make", MAKERS)
def test_the_order_of_loading_does_not_matter(
    make: Callable[[nn.Optimizer], nn.Schedule], order: tuple[str, ...], through_file: bool, tmp_path: Path
) -> None:
    first = make(optimizer(0.5))
    expected = rates(first, 9)
    first = make(optimizer(0.5))
    rates(first, 4)
    state = {"optimizer": first.optimizer.state_dict(), "schedule": first.state_dict()}
    if through_file:
        nn.save(tmp_path / "state.safetensors", state)
        state = nn.load(tmp_path / "state.safetensors")
    own = optimizer(123.0)
    for what in order:
        if what == "make":
            second = make(own)
        elif what == "load optimizer":
            own.load_state_dict(state["optimizer"])
        else:
            second.load_state_dict(state["schedule"])
    assert own.lr == first.optimizer.lr
    assert own.initial_lr == 0.5
    assert own.state_dict() == state["optimizer"]
    assert rates(second, 5) == expected[4:]


def test_schedules_start_at_a_rate_set_by_hand() -> None:
    own = optimizer(0.5)
    first = nn.StepDecay(own, 1)
    first.step()
    assert own.lr == pytest.approx(0.05)
    assert nn.StepDecay(own, 1).optimizer.lr == 0.5  # not where the first one stopped
    own.lr = 2.0
    first.step()
    assert own.lr == pytest.approx(0.02)


def test_a_mismatched_state_changes_nothing() -> None:
    class Falling(nn.Schedule):
        def rate(self, step: int) -> float:
            return 3.0 - step

    schedule = Falling(optimizer())
    schedule.step()
    with pytest.raises(ValueError, match="lr must be a finite number, not negative; got -1"):
        schedule.load_state_dict({"steps": 4})
    assert (schedule.steps, schedule.optimizer.lr) == (1, 2.0)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda o: nn.optim.lr_scheduler.StepLR(o, 2), "StepLR(step_size=2, gamma=0.1, steps=0)"),
        (lambda o: nn.optim.lr_scheduler.LambdaLR(o, [float]), "LambdaLR(lr_lambdas=[float], steps=0)"),
        (
            lambda o: nn.optim.lr_scheduler.SequentialLR(o, [nn.Cosine(o, 9), nn.StepDecay(o, 1)], [3]),
            "SequentialLR(schedulers=[Cosine(T_max=9, eta_min=0.0, steps=0), "
            "StepDecay(step_size=1, gamma=0.1, steps=0)], milestones=[3], steps=0)",
        ),
    ],
)
def test_a_schedule_says_what_it_is(make: Callable[[nn.Optimizer], nn.Schedule], text: str) -> None:
    assert repr(make(nn.SGD([nn.Parameter(sg.ones(1))], lr=0.1))) == text


@pytest.mark.parametrize("given", [nn.Linear(1, 1), None])
def test_a_schedule_takes_an_optimizer(given: Any) -> None:
    for make in (lambda x: nn.StepDecay(x, 2), lambda x: nn.Cosine(x, 5), lambda x: nn.OneCycle(x, 1.0, 10)):
        with pytest.raises(TypeError, match=f"a schedule takes an optimizer; got {type(given).__name__}"):
            make(given)
