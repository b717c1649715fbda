"""A check of gradients by central differences in float64."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ._backward import gradients
from ._checks import expect_functions, expect_numbers, expect_tensors
from ._create import from_numpy
from ._dtypes import float64
from ._tensor import Tensor

Doubles = NDArray[np.float64]

# Factors of the offset: a larger one for when rounding hides the difference, a smaller one for strong curvature.
FACTORS = (1.0, 32.0, 1 / 32)


def grad_check(
    fn: Callable[..., Tensor], *inputs: Tensor, eps: float = 1e-6, atol: float = 1e-6, rtol: float = 1e-5
) -> None:
    """Compare the gradient of each element of `fn(*inputs)` for each element of each input with central differences.

    Inputs are converted to float64 on their own backend. They must be more than `eps` away from points where `fn` is
    not smooth. The offset at x is `eps` times max(1, abs(x)); if that does not agree, 32 and 1/32 times it are tried.
    Raises AssertionError, with the input, the output and both values, if these differ by more than
    atol + rtol * abs(difference).

    >>> grad_check(lambda x: x * x, tensor([1.0, 2.0], dtype=float64))
    """
    expect_functions("grad_check", fn=fn)
    for x in inputs:
        expect_tensors("grad_check", input=x)
    expect_numbers("grad_check", eps=eps, atol=atol, rtol=rtol)
    arrays = [np.array(x.detach().numpy(), float64) for x in inputs]

    def tensors() -> list[Tensor]:
        return [
            from_numpy(a.copy(), requires_grad=True, backend=x.backend) for a, x in zip(arrays, inputs, strict=True)
        ]

    def values() -> Doubles:
        return fn(*tensors()).detach().numpy().reshape(-1).astype(float64)

    leaves = tensors()
    out = fn(*leaves)
    if not out.requires_grad:
        raise AssertionError("the result of the function does not depend on any input through recorded operations")
    for i, (array, jacobian) in enumerate(zip(arrays, _jacobians(out, leaves), strict=True)):
        for index in np.ndindex(array.shape):
            found = jacobian[(slice(None), *index)]
            nearest, wrong = np.full(len(found), np.nan), np.full(len(found), True)
            for factor in FACTORS:
                difference = _difference(values, array, index, eps * factor)
                with np.errstate(invalid="ignore"):  # infinity minus infinity
                    away = np.abs(found - difference)
                    wrong &= ~(away <= atol + rtol * np.abs(difference))
                    nearest = np.where(~(np.abs(found - nearest) <= away), difference, nearest)
                if not wrong.any():
                    break
            else:
                k = int(np.argmax(wrong))
                at = tuple(int(n) for n in np.unravel_index(k, out.shape))
                raise AssertionError(
                    f"gradient of input {i} at {index}: {found[k]:.9g} for output {at}, "
                    f"by central differences {nearest[k]:.9g}"
                )


def _difference(values: Callable[[], Doubles], array: Doubles, index: tuple[int, ...], eps: float) -> Doubles:
    """The central difference of all `values` for one element of `array`, on which they depend."""
    centre = float(array[index])
    ends, found = [], []
    for sign in (1, -1):
        array[index] = centre + sign * eps * max(1.0, abs(centre))
        ends.append(float(array[index]))
        found.append(values())
    array[index] = centre
    with np.errstate(invalid="ignore"):
        return (found[0] - found[1]) / (ends[0] - ends[1])


def _jacobians(out: Tensor, leaves: list[Tensor]) -> list[Doubles]:
    """For each leaf the gradients of all elements of `out`: (out.numel(), *leaf.shape), zeros if it was not used."""
    found = [np.zeros((out.numel(), *leaf.shape)) for leaf in leaves]
    for k in range(out.numel()):
        one = np.zeros(out.numel(), out.dtype)
        one[k] = 1
        weight = from_numpy(one.reshape(out.shape), backend=out.backend)
        for rows, gradient in zip(found, gradients([out], leaves, [weight], retain_graph=True), strict=True):
            if gradient is not None:
                rows[k] = gradient.numpy()
    return found
