"""Adam and AdamW: steps scaled by running means of the gradient and its square."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import stackgrad.tensor as sg
from stackgrad.tensor import Tensor

from .._arguments import flag, not_negative
from ._coefficients import coefficients
from ._groups import Group, Params, Settings
from ._optimizer import Optimizer, setting


class Adam(Optimizer):
    """Adam: scales steps by running means of the gradient and its square; weight decay adds to the gradient.

    Source: Kingma and Ba, "Adam", ICLR 2015; for `amsgrad`, which divides by the largest mean square so far,
    Reddi et al., "On the Convergence of Adam and Beyond", ICLR 2018.

    Raises:
        TypeError: a setting that is not a number, a parameter that is not a Tensor.
        ValueError: a negative setting, a beta outside [0, 1), no parameters.

    >>> optimizer = optim.Adam(nn.Linear(2, 1).parameters(), lr=0.001)
    """

    decoupled = False
    betas = setting("betas")
    eps = setting("eps")
    amsgrad = setting("amsgrad")

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "amsgrad": amsgrad,
                "maximize": maximize,
            },
        )

    @classmethod
    def check(cls, settings: Settings) -> None:
        super().check(settings)
        try:
            beta1, beta2 = settings["betas"]
        except (TypeError, ValueError):
            raise TypeError(f"betas must be two numbers; got {settings['betas']!r}") from None
        settings["betas"] = betas = not_negative("beta1", beta1), not_negative("beta2", beta2)
        if max(betas) >= 1:
            raise ValueError(f"betas must be at least 0 and below 1; got {betas}")
        settings["eps"] = not_negative("eps", settings["eps"])
        settings["amsgrad"] = flag("amsgrad", settings["amsgrad"])

    def update(self, group: Group, indices: list[int], params: list[Tensor], grads: list[Tensor]) -> None:
        def make() -> NDArray[np.float64]:
            decay = group["weight_decay"]
            step = self.steps[indices[0]]
            return sg.adam_numbers(step, group["lr"], group["betas"], group["eps"], decay, self.decoupled)

        mean, square = self.slot("mean", indices), self.slot("square", indices)
        if not group["amsgrad"]:
            sg.adam_step(params, grads, mean, square, self.numbers(make))
            return

        def update_means() -> NDArray[np.float64]:
            return np.array([0.0, *make()[1:]])  # learning rate 0

        def divide_by_largest() -> NDArray[np.float64]:
            rate, *_, scale, eps, _, _ = make()
            return coefficients(rate, scale=scale, eps=eps)

        sg.adam_step(params, grads, mean, square, self.numbers(update_means))
        largest = self.slot("largest", indices)
        for maximum, current in zip(largest, square, strict=True):
            maximum.copy_(sg.maximum(maximum, current))
        sg.adam_step(params, mean, self.slot("_slopes", indices), largest, self.numbers(divide_by_largest))


class AdamW(Adam):
    """Adam with decoupled weight decay, which scales the parameter by 1 - lr * weight_decay before the step.

    Source: Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019.

    Raises:
        TypeError, ValueError: as `Adam`.

    >>> optimizer = optim.AdamW(nn.Linear(2, 1).parameters(), weight_decay=0.1)
    """

    decoupled = True

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)
