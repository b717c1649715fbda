"""Gradient descent. `Optimizer.step` calls `update`, and that `sg.sgd_step`, which changes the parameters in place."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import stackgrad.tensor as sg
from stackgrad.tensor import Tensor

from .._arguments import flag, not_negative
from ._groups import Group, Params, Settings
from ._optimizer import Optimizer, setting


class SGD(Optimizer):
    """Gradient descent, with PyTorch's form of momentum.

        d = grad + weight_decay * p;  v = momentum * v + (1 - dampening) * d;  p -= lr * v

    The first step sets v = d. Without momentum, p -= lr * d; with `nesterov`, p -= lr * (d + momentum * v). `maximize`
    negates the gradient first. Source: Sutskever et al., "On the importance of initialization and momentum in deep
    learning", ICML 2013.

    Raises:
        TypeError: a setting that is not a number, a parameter that is not a Tensor.
        ValueError: a negative setting, `nesterov` without momentum or with dampening, no parameters.

    >>> optimizer = optim.SGD(nn.Linear(2, 1).parameters(), lr=0.1, momentum=0.9)
    """

    momentum = setting("momentum")
    dampening = setting("dampening")
    nesterov = setting("nesterov")

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "dampening": dampening,
                "weight_decay": weight_decay,
                "nesterov": nesterov,
                "maximize": maximize,
            },
        )

    @classmethod
    def check(cls, settings: Settings) -> None:
        super().check(settings)
        for name in ("momentum", "dampening"):
            settings[name] = not_negative(name, settings[name])
        settings["nesterov"] = flag("nesterov", settings["nesterov"])
        if settings["nesterov"] and (settings["momentum"] == 0 or settings["dampening"]):
            raise ValueError(
                f"nesterov needs a momentum above 0 and no dampening; got {settings['momentum']} and "
                f"{settings['dampening']}"
            )

    def update(self, group: Group, indices: list[int], params: list[Tensor], grads: list[Tensor]) -> None:
        velocities = self.slot("velocity", indices) if group["momentum"] else None

        def make() -> NDArray[np.float64]:  # runs again in each replay of a captured step, where settings may differ
            dampening = group["dampening"] if self.steps[indices[0]] > 1 else 0.0
            return sg.sgd_numbers(group["lr"], group["momentum"], group["nesterov"], group["weight_decay"], dampening)

        sg.sgd_step(params, grads, velocities, self.numbers(make))
