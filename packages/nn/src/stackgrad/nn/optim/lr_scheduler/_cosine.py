"""Schedules that fall along half a cosine."""

from __future__ import annotations

from ..._arguments import not_negative
from .._optimizer import Optimizer
from ._base import Schedule, cosine, count


class CosineAnnealingLR(Schedule):
    """From the initial learning rate to `eta_min`, along half a cosine over `T_max` steps; then back up, and so on.

    Source: Loshchilov and Hutter, "SGDR", ICLR 2017, without restarts.

    Raises:
        ValueError: fewer than one step, a negative `eta_min`.

    >>> schedule = optim.lr_scheduler.CosineAnnealingLR(optim.SGD([nn.Parameter(ones(1))], lr=0.1), T_max=10)
    >>> [round(schedule.rate(step), 3) for step in (0, 5, 10)]
    [0.1, 0.05, 0.0]
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:
        self.T_max = count("T_max", T_max)
        self.eta_min = not_negative("eta_min", eta_min)
        super().__init__(optimizer)

    def rate(self, step: int, group: int = 0) -> float:
        return cosine(self.initial_lr(group), self.eta_min, step, self.T_max)


class CosineAnnealingWarmRestarts(Schedule):
    """From the initial learning rate to `eta_min` along half a cosine, with restarts: the first cycle takes `T_0`
    steps, each later one `T_mult` times as many as the one before.

    Source: Loshchilov and Hutter, "SGDR", ICLR 2017.

    Raises:
        ValueError: fewer than one step, a `T_mult` below 1, a negative `eta_min`.

    >>> schedule = optim.lr_scheduler.CosineAnnealingWarmRestarts(optim.SGD([nn.Parameter(ones(1))], lr=0.1), T_0=4)
    >>> [round(schedule.rate(step), 3) for step in (0, 2, 4)]
    [0.1, 0.05, 0.1]
    """

    def __init__(self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0) -> None:
        self.T_0 = count("T_0", T_0)
        self.T_mult = count("T_mult", T_mult)
        self.eta_min = not_negative("eta_min", eta_min)
        super().__init__(optimizer)

    def rate(self, step: int, group: int = 0) -> float:
        length = self.T_0
        if self.T_mult == 1:
            step %= length
        while step >= length:
            step, length = step - length, length * self.T_mult
        return cosine(self.initial_lr(group), self.eta_min, step, length)


class Cosine(CosineAnnealingLR):
    """`CosineAnnealingLR` that stays at `min_lr` after `total_steps`.

    >>> schedule = optim.lr_scheduler.Cosine(optim.SGD([nn.Parameter(ones(1))], lr=0.1), total_steps=10)
    >>> [round(schedule.rate(step), 3) for step in (0, 5, 10, 20)]
    [0.1, 0.05, 0.0, 0.0]
    """

    def __init__(self, optimizer: Optimizer, total_steps: int, min_lr: float = 0.0) -> None:
        count("total_steps", total_steps)
        super().__init__(optimizer, total_steps, not_negative("min_lr", min_lr))

    def rate(self, step: int, group: int = 0) -> float:
        return super().rate(min(step, self.T_max), group)
