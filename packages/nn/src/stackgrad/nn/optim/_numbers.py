"""What else an Adam step can do: the numbers of `adam_step` for other optimizers, which share its one kernel.

A step is, for each element, with p its value, g its gradient, m and v what is kept:

    p = shrink * p;  g = g + decay * p;  m = m0 * m + m1 * g;  v = v0 * v + v1 * g * g
    p -= rate * m / (sqrt(scale * v) + eps)
"""

import numpy as np
from numpy.typing import NDArray


def numbers(
    rate: float,
    mean: tuple[float, float] = (0.0, 1.0),
    square: tuple[float, float] = (1.0, 0.0),
    scale: float = 1.0,
    eps: float = 0.0,
    decay: float = 0.0,
    shrink: float = 1.0,
) -> NDArray[np.float64]:
    """The numbers with the names above: `mean` is m0 and m1, `square` v0 and v1."""
    return np.array([rate, *mean, *square, scale, eps, decay, shrink], np.float64)
