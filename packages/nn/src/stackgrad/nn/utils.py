"""Gradients that are made smaller, between `backward()` and the optimizer's step."""

from __future__ import annotations

from collections.abc import Iterable

import stackgrad.tensor as sg
from stackgrad.tensor import Tensor

from . import data as data  # as in torch.utils.data
from ._arguments import expect_tensor, not_negative


def clip_grad_norm_(
    parameters: Iterable[Tensor] | Tensor,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> Tensor:
    """Multiplies all gradients, in place, by one factor, such that their norm, as of one vector, is `max_norm` at most.

    Args:
        parameters: of any shapes; those without a gradient are passed over.
        max_norm: the largest norm; smaller gradients stay as they are.
        norm_type: which p-norm; `inf` for the largest magnitude.
        error_if_nonfinite: whether to raise for a norm that is NaN or infinite, which reads its value: a captured
            function cannot do that. Otherwise all gradients become NaN or 0.

    Returns:
        The norm before, a tensor of no dimensions.

    Raises:
        TypeError: a parameter that is not a Tensor, a limit that is not a number.
        ValueError: a negative number, a `norm_type` of 0.
        RuntimeError: a norm that is not finite, where asked for.
    """
    gradients = _gradients(parameters)
    most = not_negative("max_norm", max_norm)
    kind = norm_type if norm_type == float("inf") else not_negative("norm_type", norm_type)
    if kind == 0:
        raise ValueError("norm_type must be above 0; got 0")
    if not gradients:
        return sg.tensor(0.0)
    first = gradients[0]
    with sg.no_grad():
        sizes = [_size(gradient, kind).astype(first.dtype).to(first.backend) for gradient in gradients if gradient.size]
        if not sizes:
            total = sg.zeros((), dtype=first.dtype, backend=first.backend)
        elif kind == float("inf"):
            total = sg.stack(sizes).max()
        else:
            total = sg.stack(sizes).sum() ** (1 / kind)
        if error_if_nonfinite and not total.item() < float("inf"):
            raise RuntimeError(f"the norm of the gradients is {total.item()}: a gradient is NaN or infinite")
        factor = (most / (total + 1e-6)).clip(max=1.0)
        for gradient in gradients:
            gradient.mul_(factor.astype(gradient.dtype).to(gradient.backend))
    return total


def clip_grad_value_(parameters: Iterable[Tensor] | Tensor, clip_value: float) -> None:
    """Puts each element of the gradients, in place, between `-clip_value` and `clip_value`.

    Raises:
        TypeError: a parameter that is not a Tensor, a limit that is not a number.
        ValueError: a negative number.
    """
    most = not_negative("clip_value", clip_value)
    with sg.no_grad():
        for gradient in _gradients(parameters):
            gradient.clamp_(-most, most)


def _gradients(parameters: Iterable[Tensor] | Tensor) -> list[Tensor]:
    found = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    for index, parameter in enumerate(found):
        expect_tensor(f"parameter {index}", parameter)
    return [gradient for parameter in found if (gradient := parameter.grad) is not None]


def _size(x: Tensor, kind: float) -> Tensor:
    """What adds up to the norm to the power of `kind`; for the largest magnitude, that of x."""
    if kind == 2:
        return (x * x).sum()
    return x.abs().max() if kind == float("inf") else (x.abs() ** kind).sum()
