"""RMSprop: steps divided by the root of the running mean square of the gradient."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import stackgrad.tensor as sg
from stackgrad.tensor import Tensor

from .._arguments import flag, not_negative
from ._coefficients import coefficients
from ._groups import Group, Params, Settings
from ._optimizer import Optimizer, setting


class RMSprop(Optimizer):
    """RMSprop: divides the gradient by the root of the running mean of its square.

        d = grad + weight_decay * p;  v = alpha * v + (1 - alpha) * d * d;  p -= lr * d / (sqrt(v) + eps)

    With `centered`, the square of the running mean of d is subtracted from v, which makes it a variance. With
    momentum, p moves by lr times a velocity, `u = momentum * u + d / (sqrt(v) + eps)`. Sources: Tieleman and Hinton,
    "Lecture 6.5 - RMSProp", 2012; centered, Graves, "Generating Sequences With Recurrent Neural Networks", 2013
    (arXiv:1308.0850).

    Raises:
        TypeError: a setting that is not a number, a parameter that is not a Tensor.
        ValueError: a negative setting, an alpha above 1, no parameters.

    >>> optimizer = optim.RMSprop(nn.Linear(2, 1).parameters(), momentum=0.9)
    """

    alpha = setting("alpha")
    eps = setting("eps")
    momentum = setting("momentum")
    centered = setting("centered")

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "alpha": alpha,
                "eps": eps,
                "weight_decay": weight_decay,
                "momentum": momentum,
                "centered": centered,
                "maximize": maximize,
            },
        )

    @classmethod
    def check(cls, settings: Settings) -> None:
        super().check(settings)
        for name in ("alpha", "eps", "momentum"):
            settings[name] = not_negative(name, settings[name])
        if settings["alpha"] > 1:
            raise ValueError(f"alpha must be at most 1; got {settings['alpha']}")
        settings["centered"] = flag("centered", settings["centered"])

    def update(self, group: Group, indices: list[int], params: list[Tensor], grads: list[Tensor]) -> None:
        if group["weight_decay"]:
            grads = [grad.clone() for grad in grads]
            sg.sgd_step(grads, params, None, self.numbers(lambda: sg.sgd_numbers(-group["weight_decay"])))
        squares = self.slot("square", indices)
        if group["centered"]:
            means = self.slot("mean", indices)

            def update_means() -> NDArray[np.float64]:
                weights = group["alpha"], 1 - group["alpha"]
                return coefficients(0, mean=weights, square=weights, eps=1)

            sg.adam_step(params, grads, means, squares, self.numbers(update_means))
            squares = [square - mean * mean for square, mean in zip(squares, means, strict=True)]

        def make() -> NDArray[np.float64]:
            square = (1.0, 0.0) if group["centered"] else (group["alpha"], 1 - group["alpha"])
            rate, shrink = (-1.0, group["momentum"]) if group["momentum"] else (group["lr"], 1.0)
            return coefficients(rate, square=square, eps=group["eps"], shrink=shrink)

        moved = self.slot("velocity", indices) if group["momentum"] else params
        sg.adam_step(moved, grads, self.slot("_slopes", indices), squares, self.numbers(make))
        if group["momentum"]:
            sg.sgd_step(params, moved, None, self.numbers(lambda: sg.sgd_numbers(group["lr"])))
