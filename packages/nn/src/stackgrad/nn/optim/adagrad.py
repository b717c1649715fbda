"""Adagrad: steps divided by the root of the summed squares of the gradient."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import stackgrad.tensor as sg
from stackgrad.tensor import Tensor

from .._arguments import not_negative
from ._coefficients import coefficients
from ._groups import Group, Params, Settings
from ._optimizer import Optimizer, setting


class Adagrad(Optimizer):
    """Adagrad: divides the gradient by the root of the sum of its squares over all steps.

        d = grad + weight_decay * p;  v += d * d;  p -= lr / (1 + steps_before * lr_decay) * d / (sqrt(v) + eps)

    Source: Duchi, Hazan and Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization",
    JMLR 2011.

    Raises:
        TypeError: a setting that is not a number, a parameter that is not a Tensor.
        ValueError: a negative setting, no parameters.

    >>> optimizer = optim.Adagrad(nn.Linear(2, 1).parameters(), lr=0.1)
    """

    lr_decay = setting("lr_decay")
    eps = setting("eps")

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "lr_decay": lr_decay,
                "eps": eps,
                "weight_decay": weight_decay,
                "initial_accumulator_value": initial_accumulator_value,
                "maximize": maximize,
            },
        )

    @classmethod
    def check(cls, settings: Settings) -> None:
        super().check(settings)
        for name in ("lr_decay", "eps", "initial_accumulator_value"):
            settings[name] = not_negative(name, settings[name])

    def update(self, group: Group, indices: list[int], params: list[Tensor], grads: list[Tensor]) -> None:
        def make() -> NDArray[np.float64]:
            rate = group["lr"] / (1 + (self.steps[indices[0]] - 1) * group["lr_decay"])
            return coefficients(rate, square=(1, 1), eps=group["eps"], decay=group["weight_decay"])

        squares = self.slot("square", indices, group["initial_accumulator_value"])
        sg.adam_step(params, grads, self.slot("_slopes", indices), squares, self.numbers(make))
