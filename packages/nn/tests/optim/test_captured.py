"""Schedules that change momentum or read metrics, in a captured function."""

from collections.abc import Callable
from typing import Any

import pytest

import stackgrad.tensor as sg
from stackgrad import nn

from ..test_captured import CALLS, MAKERS, run


@pytest.mark.parametrize("how", ["one cycle", "plateau"])
@pytest.mark.parametrize("make", MAKERS[:3])
def test_replays_follow_momentum_and_metrics(make: Any, how: str) -> None:
    def begin() -> tuple[Callable[..., Any], Callable[[], Any]]:
        weight = nn.Parameter(sg.ones(3, backend="cpu"))
        optimizer = make([weight])
        schedule: Any = (
            nn.optim.lr_scheduler.OneCycleLR(optimizer, 0.5, CALLS)
            if how == "one cycle"
            else nn.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0)
        )

        def step(x: sg.Tensor) -> sg.Tensor:
            optimizer.zero_grad()
            loss = (weight * x).mean()
            loss.backward()
            optimizer.step()
            schedule.step(*[loss.detach()][: how == "plateau"])
            return loss.detach()

        return step, lambda: (weight.tolist(), optimizer.state_dict()["param_groups"], schedule.state_dict())

    called = run(begin, captured=False)
    assert run(begin, captured=True) == called
    assert len({str(look[1]) for _, look in called}) > 1
