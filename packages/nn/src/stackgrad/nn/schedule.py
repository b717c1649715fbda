"""Learning rates that change from step to step.

A schedule is one pure function, `rate(step)`, and a counter. Making it sets the optimizer's learning rate for step 0;
`step()`, called after each `optimizer.step()`, sets that of the next. Where a rate starts from the optimizer's, it is
`optimizer.initial_lr`, which the optimizer saves: so the schedule may be made before or after the optimizer is loaded.
"""

import math
from collections.abc import Mapping
from typing import Any

import stackgrad.tensor as sg

from .optim import Optimizer, expect_keys, not_negative, whole


class Schedule:
    """The base: a subclass defines `rate`."""

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self.steps = 0
        optimizer.set_scheduled_lr(self.rate(0))

    def rate(self, step: int) -> float:
        """The learning rate of this step, counted from 0."""
        raise NotImplementedError(f"{type(self).__name__} must define rate(step)")

    def step(self) -> None:
        """Counts one step and sets the optimizer's learning rate; in a captured function, in each replay."""

        def advance() -> None:
            self.steps += 1
            self.optimizer.set_scheduled_lr(self.rate(self.steps))

        sg.each_time(advance, ahead=True)

    def state_dict(self) -> dict[str, Any]:
        """The counter: `{"steps": int}`."""
        return {"steps": self.steps}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on where `state` was taken, and sets the learning rate. Nothing is changed where it raises.

        Raises:
            TypeError: steps that are no int.
            ValueError: a state without `steps`, negative ones.
        """
        expect_keys("a schedule's state", state, ("steps",))
        steps = whole("the steps of a schedule", state["steps"])
        self.optimizer.set_scheduled_lr(self.rate(steps))
        self.steps = steps


class OneCycle(Schedule):
    """Up from `max_lr / start_divisor` in a line, then down along a cosine to that divided by `end_divisor`.

    Source: Smith and Topin, "Super-Convergence", 2018, with the cosine of PyTorch's OneCycleLR: the peak stands at
    step `warmup * total_steps - 1`, the end at `total_steps - 1`, and the rate stays there. Momentum is left alone.

    Raises:
        ValueError: a rate that is not positive, fewer than one step, a warm-up outside [0, 1], a divisor below 1.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float,
        total_steps: int,
        warmup: float = 0.3,
        start_divisor: float = 25.0,
        end_divisor: float = 1e4,
    ) -> None:
        if not_negative("max_lr", max_lr) == 0:
            raise ValueError(f"max_lr must be positive; got {max_lr}")
        _check_steps("total_steps", total_steps)
        if not 0 <= warmup <= 1:
            raise ValueError(f"warmup is a share of total_steps, between 0 and 1; got {warmup}")
        if start_divisor < 1 or end_divisor < 1:
            raise ValueError(f"divisors must be at least 1; got {start_divisor} and {end_divisor}")
        self.max_lr = max_lr
        self.first_lr = max_lr / start_divisor
        self.end_lr = self.first_lr / end_divisor
        self.peak = warmup * total_steps - 1
        self.last = total_steps - 1
        super().__init__(optimizer)

    def rate(self, step: int) -> float:
        if step < self.peak:
            return self.first_lr + (self.max_lr - self.first_lr) * step / self.peak
        peak = max(self.peak, 0)
        if step >= self.last:
            return self.end_lr
        return _cosine(self.max_lr, self.end_lr, (step - peak) / (self.last - peak))


class Cosine(Schedule):
    """From the optimizer's initial learning rate to `min_lr`, along half a cosine over `total_steps`; it stays there.

    Source: Loshchilov and Hutter, "SGDR", ICLR 2017, without restarts.

    Raises:
        ValueError: fewer than one step, a negative `min_lr`.
    """

    def __init__(self, optimizer: Optimizer, total_steps: int, min_lr: float = 0.0) -> None:
        _check_steps("total_steps", total_steps)
        self.min_lr = not_negative("min_lr", min_lr)
        self.total_steps = total_steps
        super().__init__(optimizer)

    def rate(self, step: int) -> float:
        return _cosine(self.optimizer.initial_lr, self.min_lr, min(step / self.total_steps, 1.0))


class Constant(Schedule):
    """The optimizer's initial learning rate."""

    def rate(self, step: int) -> float:
        return self.optimizer.initial_lr


class StepDecay(Schedule):
    """The optimizer's initial learning rate, multiplied by `factor` after every `every` steps.

    Raises:
        ValueError: fewer than one step, a factor that is not positive.
    """

    def __init__(self, optimizer: Optimizer, every: int, factor: float = 0.1) -> None:
        _check_steps("every", every)
        if not_negative("factor", factor) == 0:
            raise ValueError(f"factor must be positive; got {factor}")
        self.every = every
        self.factor = factor
        super().__init__(optimizer)

    def rate(self, step: int) -> float:
        return self.optimizer.initial_lr * self.factor ** (step // self.every)


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def _check_steps(name: str, value: int) -> None:
    if whole(name, value) < 1:
        raise ValueError(f"{name} must be at least 1; got {value}")
