"""A learning rate that falls when a metric stops improving."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import stackgrad.tensor as sg
from stackgrad.tensor import Tensor

from ..._arguments import expect_keys, not_negative, whole
from .._optimizer import Optimizer
from ._base import Schedule, each_group


class ReduceLROnPlateau(Schedule):
    """Multiplies the learning rates by `factor` when a metric has not improved for more than `patience` epochs.

    Args:
        mode: "min" for a metric that should fall, such as a loss, "max" for one that should rise.
        patience: the number of epochs in a row that may bring no improvement; the next one lowers the rates.
        threshold: the least improvement: a fraction of the best value ("rel") or a difference ("abs").
        cooldown: the number of epochs after a reduction that do not count.
        min_lr: the lowest rate; one, or one for each parameter group.
        eps: a reduction of a rate by no more than this is skipped.

    Raises:
        TypeError: an argument that is not a number.
        ValueError: a negative argument, a factor that is not below 1, an unknown mode.

    >>> optimizer = optim.SGD([nn.Parameter(ones(1))], lr=1.0)
    >>> schedule = optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=1)
    >>> for loss in (0.5, 0.5, 0.5):
    ...     schedule.step(loss)
    >>> optimizer.lr
    0.1
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0.0,
        eps: float = 1e-8,
    ) -> None:
        if mode not in ("min", "max") or threshold_mode not in ("rel", "abs"):
            raise ValueError(
                f'mode must be "min" or "max", threshold_mode "rel" or "abs"; got {mode!r}, {threshold_mode!r}'
            )
        if not_negative("factor", factor) >= 1:
            raise ValueError(f"factor must be below 1; got {factor}")
        self.min_lrs = [not_negative("min_lr", rate) for rate in each_group("min_lr", min_lr, optimizer)]
        self.mode, self.threshold_mode, self.factor = mode, threshold_mode, factor
        self.patience, self.cooldown = whole("patience", patience), whole("cooldown", cooldown)
        self.threshold, self.eps = not_negative("threshold", threshold), not_negative("eps", eps)
        self.best = math.inf if mode == "min" else -math.inf
        self.bad_epochs = self.cooling = 0
        super().__init__(optimizer)

    def rate(self, step: int, group: int = 0) -> float:
        """The current learning rate of the group, which depends on the metrics, not on the step."""
        return self.optimizer.param_groups[group]["lr"]  # type: ignore[no-any-return]

    def step(self, metrics: float | Tensor) -> None:  # type: ignore[override]
        """Take the metric of one more epoch into account; in a captured function, at each replay.

        Args:
            metrics: a float, or a tensor with one element.
        """

        def record() -> None:
            self._record(float(metrics))
            self.steps += 1

        sg.each_time(record)

    def _record(self, value: float) -> None:
        if self._is_better(value):
            self.best, self.bad_epochs = value, 0
        else:
            self.bad_epochs += 1
        if self.cooling:
            self.cooling, self.bad_epochs = self.cooling - 1, 0
        if self.bad_epochs <= self.patience:
            return
        self.bad_epochs, self.cooling = 0, self.cooldown
        for group, lowest in zip(self.optimizer.param_groups, self.min_lrs, strict=True):
            rate = max(group["lr"] * self.factor, lowest)
            if group["lr"] - rate > self.eps:
                group.schedule(lr=rate)

    def _is_better(self, value: float) -> bool:
        sign = 1 if self.mode == "min" else -1
        if self.threshold_mode == "abs":
            return sign * value < sign * self.best - self.threshold
        return sign * value < sign * self.best * (1 - sign * self.threshold)

    def state_dict(self) -> dict[str, Any]:
        """The counters and the best metric; the optimizer saves the rates."""
        return {name: getattr(self, name) for name in ("steps", "best", "bad_epochs", "cooling")}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        expect_keys("a schedule's state", state, self.state_dict())
        counts = {name: whole(name, state[name]) for name in ("steps", "bad_epochs", "cooling")}
        if not isinstance(state["best"], int | float):
            raise TypeError(f"best must be a number; got {type(state['best']).__name__}")
        vars(self).update(counts, best=float(state["best"]))
