"""Schedules that multiply the initial learning rate, and sequences of schedules."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence

from ..._arguments import not_negative, several, whole
from .._optimizer import Optimizer
from ._base import Schedule, count, each_group, line, positive


class LambdaLR(Schedule):
    """The initial learning rate times a function of the step; one function, or one for each group.

    Raises:
        TypeError: a `lr_lambda` that is not a function.
        ValueError: a number of functions that differs from the number of groups.

    >>> schedule = optim.lr_scheduler.LambdaLR(optim.SGD([nn.Parameter(ones(1))], lr=1.0), lambda step: 1 / (step + 1))
    >>> [schedule.rate(step) for step in range(2)]
    [1.0, 0.5]
    """

    def __init__(
        self, optimizer: Optimizer, lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]]
    ) -> None:
        self.lr_lambdas = each_group("lr_lambda", lr_lambda, optimizer)
        for function in self.lr_lambdas:
            if not callable(function):
                raise TypeError(f"lr_lambda must be a function of the step; got {type(function).__name__}")
        super().__init__(optimizer)

    def rate(self, step: int, group: int = 0) -> float:
        return float(self.initial_lr(group) * self.lr_lambdas[group](step))


class StepLR(Schedule):
    """The initial learning rate, multiplied by `gamma` after every `step_size` steps.

    Raises:
        ValueError: fewer than one step, a gamma that is not positive.

    >>> schedule = optim.lr_scheduler.StepLR(optim.SGD([nn.Parameter(ones(1))], lr=1.0), step_size=2, gamma=0.5)
    >>> [schedule.rate(step) for step in range(4)]
    [1.0, 1.0, 0.5, 0.5]
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        self.step_size = count("step_size", step_size)
        self.gamma = positive("gamma", gamma)
        super().__init__(optimizer)

    def rate(self, step: int, group: int = 0) -> float:
        return self.initial_lr(group) * self.gamma ** (step // self.step_size)


class MultiStepLR(Schedule):
    """The initial learning rate, multiplied by `gamma` at each of the `milestones`, which are steps.

    Raises:
        TypeError, ValueError: a milestone that is not an int or is negative, a gamma that is not positive.

    >>> schedule = optim.lr_scheduler.MultiStepLR(optim.SGD([nn.Parameter(ones(1))], lr=1.0), milestones=[2], gamma=0.5)
    >>> [schedule.rate(step) for step in range(4)]
    [1.0, 1.0, 0.5, 0.5]
    """

    def __init__(self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1) -> None:
        self.milestones = sorted([whole("a milestone", step) for step in several("milestones", milestones)])
        self.gamma = positive("gamma", gamma)
        super().__init__(optimizer)

    def rate(self, step: int, group: int = 0) -> float:
        return self.initial_lr(group) * self.gamma ** bisect_right(self.milestones, step)


class ExponentialLR(Schedule):
    """The initial learning rate, multiplied by `gamma` after every step.

    Raises:
        ValueError: a gamma that is not positive.

    >>> schedule = optim.lr_scheduler.ExponentialLR(optim.SGD([nn.Parameter(ones(1))], lr=1.0), gamma=0.5)
    >>> [schedule.rate(step) for step in range(3)]
    [1.0, 0.5, 0.25]
    """

    def __init__(self, optimizer: Optimizer, gamma: float) -> None:
        self.gamma = positive("gamma", gamma)
        super().__init__(optimizer)

    def rate(self, step: int, group: int = 0) -> float:
        return self.initial_lr(group) * self.gamma**step


class LinearLR(Schedule):
    """The initial learning rate times a factor that changes linearly from `start_factor` to `end_factor`, then stays.

    Raises:
        ValueError: fewer than one step, a negative factor.

    >>> optimizer = optim.SGD([nn.Parameter(ones(1))], lr=1.0)
    >>> schedule = optim.lr_scheduler.LinearLR(optimizer, start_factor=0.5, total_iters=2)
    >>> [schedule.rate(step) for step in range(4)]
    [0.5, 0.75, 1.0, 1.0]
    """

    def __init__(
        self, optimizer: Optimizer, start_factor: float = 1 / 3, end_factor: float = 1.0, total_iters: int = 5
    ) -> None:
        self.start_factor = not_negative("start_factor", start_factor)
        self.end_factor = not_negative("end_factor", end_factor)
        self.total_iters = count("total_iters", total_iters)
        super().__init__(optimizer)

    def rate(self, step: int, group: int = 0) -> float:
        done = min(step, self.total_iters)
        return self.initial_lr(group) * line(self.start_factor, self.end_factor, done, self.total_iters)


class StepDecay(StepLR):
    """`StepLR` with other names: multiplies the rate by `factor` after every `every` steps.

    >>> schedule = optim.lr_scheduler.StepDecay(optim.SGD([nn.Parameter(ones(1))], lr=1.0), every=2, factor=0.5)
    >>> [schedule.rate(step) for step in range(4)]
    [1.0, 1.0, 0.5, 0.5]
    """

    def __init__(self, optimizer: Optimizer, every: int, factor: float = 0.1) -> None:
        count("every", every)
        super().__init__(optimizer, every, positive("factor", factor))


class Constant(LambdaLR):
    """The initial learning rate.

    >>> optim.lr_scheduler.Constant(optim.SGD([nn.Parameter(ones(1))], lr=0.1)).rate(100)
    0.1
    """

    def __init__(self, optimizer: Optimizer) -> None:
        super().__init__(optimizer, lambda step: 1.0)


class SequentialLR(Schedule):
    """Several schedules in sequence: at each milestone the next one starts, from its step 0.

    Raises:
        ValueError: a schedule of another optimizer, milestones out of order or not one fewer than the schedules.

    >>> optimizer = optim.SGD([nn.Parameter(ones(1))], lr=1.0)
    >>> parts = [optim.lr_scheduler.ExponentialLR(optimizer, gamma) for gamma in (0.5, 1.0)]
    >>> schedule = optim.lr_scheduler.SequentialLR(optimizer, parts, milestones=[2])
    >>> [schedule.rate(step) for step in range(4)]
    [1.0, 0.5, 1.0, 1.0]
    """

    def __init__(self, optimizer: Optimizer, schedulers: Sequence[Schedule], milestones: Sequence[int]) -> None:
        self.schedulers = several("schedulers", schedulers)
        self.milestones = [whole("a milestone", step) for step in several("milestones", milestones)]
        if len(self.milestones) != len(self.schedulers) - 1 or sorted(self.milestones) != self.milestones:
            raise ValueError(
                f"milestones must be in order, and one fewer than the schedules, {len(self.schedulers)}; got "
                f"{self.milestones}"
            )
        for schedule in self.schedulers:
            if not isinstance(schedule, Schedule):
                raise TypeError(f"SequentialLR takes schedules; got {type(schedule).__name__}")
            if schedule.optimizer is not optimizer:
                raise ValueError("a schedule of another optimizer was given to SequentialLR: expected the same one")
        super().__init__(optimizer)

    def rate(self, step: int, group: int = 0) -> float:
        index = bisect_right(self.milestones, step)
        return self.schedulers[index].rate(step - (self.milestones[index - 1] if index else 0), group)
