"""The check that a gradient is right: central differences in float64."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ._backward import grad
from ._create import from_numpy
from ._dtypes import float64
from ._tensor import Tensor


def grad_check(
    fn: Callable[..., Tensor], *inputs: Tensor, eps: float = 1e-6, atol: float = 1e-6, rtol: float = 1e-5, seed: int = 0
) -> None:
    """Compare the gradients of `fn(*inputs)` with central differences along every element of every input.

    The result is weighted by fixed random numbers and summed, so that every element of it counts. Inputs are
    taken as float64 on their own backend and must lie further than `eps` from points where `fn` is not smooth.
    Raises AssertionError naming the input, the element and both values where they differ by more than
    atol + rtol * |difference|.
    """
    arrays = [np.array(x.detach().numpy(), float64) for x in inputs]
    backends = [x.backend for x in inputs]
    weights: list[Tensor] = []

    def scalar(xs: list[Tensor]) -> Tensor:
        out = fn(*xs)
        if not weights:
            drawn = np.random.default_rng(seed).uniform(0.5, 1.5, out.shape)
            weights.append(from_numpy(drawn.astype(out.dtype), backend=out.backend))
        return (out * weights[0]).sum()

    def tensors() -> list[Tensor]:
        return [from_numpy(a.copy(), requires_grad=True, backend=b) for a, b in zip(arrays, backends, strict=True)]

    leaves = tensors()
    out = scalar(leaves)
    if not out.requires_grad:
        raise AssertionError("the result of the function does not depend on any input through recorded operations")
    for i, (array, gradient) in enumerate(zip(arrays, grad(out, leaves), strict=True)):
        found = gradient.numpy()
        for place in np.ndindex(array.shape):
            values = []
            centre = array[place]
            for moved in (centre + eps, centre - eps):
                array[place] = moved
                values.append(scalar(tensors()).item())
            array[place] = centre
            difference = (values[0] - values[1]) / (2 * eps)
            if not abs(found[place] - difference) <= atol + rtol * abs(difference):
                raise AssertionError(
                    f"gradient of input {i} at {place}: {found[place]:.9g}, by central differences {difference:.9g}"
                )
