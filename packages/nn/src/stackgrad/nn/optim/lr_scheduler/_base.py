"""The base of the schedules, and functions that several of them use."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import stackgrad.tensor as sg

from ..._arguments import expect_keys, not_negative, whole
from .._optimizer import Optimizer


class Schedule:
    """The base, PyTorch's LRScheduler. A subclass defines `rate`, without `group` if it supports only one group.

    >>> class Halved(nn.Schedule):
    ...     def rate(self, step, group=0):
    ...         return self.initial_lr(group) * 0.5**step
    >>> optimizer = optim.SGD([nn.Parameter(ones(1))], lr=1.0)
    >>> Halved(optimizer).step()
    >>> optimizer.lr
    0.5
    """

    def __init__(self, optimizer: Optimizer) -> None:
        expect_optimizer(optimizer)
        self.optimizer = optimizer
        self.steps = 0
        self._set(0)

    def __repr__(self) -> str:
        settings = [f"{name}={_shown(value)}" for name, value in vars(self).items() if name != "optimizer"]
        return f"{type(self).__name__}({', '.join(settings)})"

    def rate(self, step: int, group: int = 0) -> float:
        """The learning rate at this step, counted from 0, for the parameter group at this index.

        >>> nn.StepDecay(optim.SGD([nn.Parameter(ones(1))], lr=1.0), every=2).rate(1)
        1.0
        """
        raise NotImplementedError(f"{type(self).__name__} must define rate(step, group)")

    def step(self) -> None:
        """Advance by one step and set the optimizer's learning rates; in a captured function, at each replay.

        >>> optimizer = optim.SGD([nn.Parameter(ones(1))], lr=1.0)
        >>> nn.StepDecay(optimizer, every=1, factor=0.5).step()
        >>> optimizer.lr
        0.5
        """

        def advance() -> None:
            self._set(self.steps + 1)
            self.steps += 1

        sg.each_time(advance, ahead=True)

    def get_last_lr(self) -> list[float]:
        """The learning rate of each parameter group.

        Raises:
            RuntimeError: in a captured function, whose replays would not read the rates.

        >>> nn.Constant(optim.SGD([nn.Parameter(ones(1))], lr=0.1)).get_last_lr()
        [0.1]
        """
        if sg.capturing.tape is not None:
            raise RuntimeError("get_last_lr() in a captured function: read optimizer.lr there, or call it outside")
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """The counter: `{"steps": int}`.

        >>> nn.Constant(optim.SGD([nn.Parameter(ones(1))], lr=0.1)).state_dict()
        {'steps': 0}
        """
        return {"steps": self.steps}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Resume from `state`, and set the learning rates. If it raises, nothing has changed.

        Raises:
            TypeError: a `steps` that is not an int.
            ValueError: a state without `steps`, a negative `steps`.

        >>> optimizer = optim.SGD([nn.Parameter(ones(1))], lr=1.0)
        >>> nn.StepDecay(optimizer, every=1, factor=0.5).load_state_dict({"steps": 2})
        >>> optimizer.lr
        0.25
        """
        expect_keys("a schedule's state", state, ("steps",))
        steps = whole("the steps of a schedule", state["steps"])
        self._set(steps)
        self.steps = steps

    def initial_lr(self, group: int) -> float:
        """The learning rate that the group at this index starts from.

        >>> nn.StepDecay(optim.SGD([nn.Parameter(ones(1))], lr=0.1), every=1).initial_lr(0)
        0.1
        """
        if not isinstance(group, int):
            raise TypeError(f"initial_lr: group must be an int, the index of a group; got {type(group).__name__}")
        return self.optimizer.param_groups[group]["initial_lr"]  # type: ignore[no-any-return]

    def _set(self, step: int) -> None:
        groups = self.optimizer.param_groups
        found = [self.rate(step, index) if index else self.rate(step) for index in range(len(groups))]
        rates = [not_negative("lr", rate) for rate in found]
        for group, rate in zip(groups, rates, strict=True):
            group.schedule(lr=rate)


def _shown(value: Any) -> str:
    """A setting in a representation: functions by their names."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_shown, value))}]"
    return value.__name__ if hasattr(value, "__name__") else repr(value)


def line(start: float, end: float, step: float, length: float) -> float:
    """Interpolate from start to end linearly."""
    return start + (end - start) * step / length


def cosine(start: float, end: float, step: float, length: float) -> float:
    """Interpolate from start to end along half a cosine."""
    return end + (start - end) * (1 + math.cos(math.pi * (step / length))) / 2


def positive(name: str, value: Any) -> float:
    """`value` as a float; raises as `not_negative`, and ValueError for 0."""
    if not_negative(name, value) == 0:
        raise ValueError(f"{name} must be positive; got {value}")
    return float(value)


def count(name: str, value: Any) -> int:
    """`value` as an int; raises as `whole`, and ValueError for 0."""
    if whole(name, value) < 1:
        raise ValueError(f"{name} must be at least 1; got {value}")
    return int(value)


def expect_optimizer(value: object) -> None:
    """TypeError unless `value` has the groups of an optimizer, such as a model given in its place."""
    if not hasattr(value, "param_groups"):
        raise TypeError(f"a schedule takes an optimizer; got {type(value).__name__}")


def each_group(what: str, given: Any, optimizer: Optimizer) -> list[Any]:
    """One value for each parameter group, from a single value or a list of values."""
    expect_optimizer(optimizer)
    groups = len(optimizer.param_groups)
    values = list(given) if isinstance(given, list | tuple) else [given] * groups
    if len(values) != groups:
        raise ValueError(f"{what} has {len(values)} values for {groups} parameter groups: expected one for each")
    return values
