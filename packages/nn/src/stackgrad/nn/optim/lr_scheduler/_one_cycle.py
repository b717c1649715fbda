"""The one-cycle schedule: up to a high learning rate and down again."""

from __future__ import annotations

from collections.abc import Sequence

from ..._arguments import not_negative
from .._optimizer import Optimizer
from ._base import Schedule, cosine, count, each_group, line, positive


class OneCycleLR(Schedule):
    """Up from `max_lr / div_factor` to `max_lr`, then down to the first rate over `final_div_factor`, where it stays.

    The peak is at step `pct_start * total_steps - 1`, the end at `total_steps - 1`. With `cycle_momentum`, the
    optimizer's momentum, or first beta, goes from `max_momentum` to `base_momentum` and back. Source: Smith and Topin,
    "Super-Convergence", 2018.

    Args:
        max_lr: the highest rate; one, or one for each parameter group.
        total_steps: the number of steps; if None, `epochs` times `steps_per_epoch`.
        anneal_strategy: "cos" or "linear", for both phases.

    Raises:
        TypeError: an argument that is not a number.
        ValueError: a rate that is not positive, fewer than one step, a `pct_start` outside [0, 1], a divisor below 1,
            an unknown strategy, a wrong number of rates, `cycle_momentum` for an optimizer without momentum.

    >>> optimizer = optim.SGD([nn.Parameter(ones(1))], lr=1.0, momentum=0.9)
    >>> schedule = optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=10)
    >>> round(schedule.rate(0), 3), max(schedule.rate(step) for step in range(10))
    (0.04, 1.0)
    """

    up = down = staticmethod(cosine)

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float = 0.85,
        max_momentum: float = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
    ) -> None:
        self.max_lrs = [positive("max_lr", rate) for rate in each_group("max_lr", max_lr, optimizer)]
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError("OneCycleLR needs total_steps, or epochs and steps_per_epoch; got neither")
            total_steps = count("epochs", epochs) * count("steps_per_epoch", steps_per_epoch)
        not_negative("pct_start", pct_start)
        not_negative("div_factor", div_factor)
        not_negative("final_div_factor", final_div_factor)
        if not 0 <= pct_start <= 1:
            raise ValueError(f"pct_start is a fraction of total_steps, between 0 and 1; got {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f'anneal_strategy must be "cos" or "linear"; got {anneal_strategy!r}')
        if div_factor < 1 or final_div_factor < 1:
            raise ValueError(f"divisors must be at least 1; got {div_factor} and {final_div_factor}")
        if cycle_momentum and not all("betas" in group or group.get("momentum") for group in optimizer.param_groups):
            raise ValueError("the optimizer has no momentum to cycle: set one, or pass cycle_momentum=False")
        self.last = count("total_steps", total_steps) - 1
        self.peak = pct_start * total_steps - 1
        if anneal_strategy == "linear":
            self.up = self.down = line
        self.div_factor, self.final_div_factor = div_factor, final_div_factor
        self.momenta = (not_negative("max_momentum", max_momentum), not_negative("base_momentum", base_momentum))
        self.cycle_momentum = cycle_momentum
        super().__init__(optimizer)

    def rate(self, step: int, group: int = 0) -> float:
        first = self.max_lrs[group] / self.div_factor
        return self._at(step, first, self.max_lrs[group], first / self.final_div_factor)

    def _at(self, step: int, first: float, top: float, end: float) -> float:
        if step < self.peak:
            return self.up(first, top, step, self.peak)
        peak = max(self.peak, 0)
        return end if step >= self.last else self.down(top, end, step - peak, self.last - peak)

    def _set(self, step: int) -> None:
        super()._set(step)
        if not self.cycle_momentum:
            return
        highest, lowest = self.momenta
        momentum = self._at(step, highest, lowest, highest)
        for group in self.optimizer.param_groups:
            if "betas" in group:
                group.schedule(betas=(momentum, group["betas"][1]))
            else:
                group.schedule(momentum=momentum)


class OneCycle(OneCycleLR):
    """`OneCycleLR` that rises linearly, falls along a cosine, and does not change momentum.

    >>> schedule = optim.lr_scheduler.OneCycle(optim.SGD([nn.Parameter(ones(1))], lr=1.0), 1.0, total_steps=10)
    >>> max(schedule.rate(step) for step in range(10))
    1.0
    """

    up = staticmethod(line)

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float,
        total_steps: int,
        warmup: float = 0.3,
        start_divisor: float = 25.0,
        end_divisor: float = 1e4,
    ) -> None:
        not_negative("warmup", warmup)
        if not 0 <= warmup <= 1:
            raise ValueError(f"warmup is a fraction of total_steps, between 0 and 1; got {warmup}")
        super().__init__(
            optimizer,
            max_lr,
            total_steps,
            pct_start=warmup,
            cycle_momentum=False,
            div_factor=start_divisor,
            final_div_factor=end_divisor,
        )
