"""Coefficients of `adam_step` for other optimizers, which share the kernel of Adam.

A step computes for each element, with p the value, g the gradient, m and v the state:

    p = shrink * p;  g = g + decay * p;  m = m0 * m + m1 * g;  v = v0 * v + v1 * g * g
    p -= rate * m / (sqrt(scale * v) + eps)
"""

import numpy as np
from numpy.typing import NDArray


def coefficients(
    rate: float,
    mean: tuple[float, float] = (0.0, 1.0),
    square: tuple[float, float] = (1.0, 0.0),
    scale: float = 1.0,
    eps: float = 0.0,
    decay: float = 0.0,
    shrink: float = 1.0,
) -> NDArray[np.float64]:
    """The coefficients above, shape (9,), float64: `mean` is m0 and m1, `square` is v0 and v1."""
    return np.array([rate, *mean, *square, scale, eps, decay, shrink], np.float64)
