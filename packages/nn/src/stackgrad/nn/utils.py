"""Gradient clipping, between `backward()` and the optimizer's step."""

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
    """Scale all gradients in place by one factor, so that their joint norm is at most `max_norm`.

    Args:
        parameters: any shapes; those without a gradient are skipped.
        max_norm: the largest norm allowed; smaller gradients do not change.
        norm_type: the p of the p-norm; `inf` for the largest magnitude.
        error_if_nonfinite: whether to raise if the norm is NaN or infinite. This reads its value, which a captured
            function cannot do. Otherwise all gradients become NaN or 0.

    Returns:
        The norm before clipping, shape ().

    Raises:
        TypeError: a parameter that is not a Tensor, a limit that is not a number.
        ValueError: a negative limit, a `norm_type` of 0.
        RuntimeError: a norm that is not finite, with `error_if_nonfinite`.

    >>> weight = nn.Parameter(ones(1))
    >>> (weight * 8).sum().backward()
    >>> norm = utils.clip_grad_norm_([weight], max_norm=2.0)
    >>> norm, weight.grad.round(decimals=3)
    (tensor(8.), tensor([2.]))
    """
    gradients = _gradients(parameters)
    limit = not_negative("max_norm", max_norm)
    p = norm_type if norm_type == float("inf") else not_negative("norm_type", norm_type)
    if p == 0:
        raise ValueError("norm_type must be above 0; got 0")
    if not gradients:
        return sg.tensor(0.0)
    first = gradients[0]
    with sg.no_grad():
        powers = [_power(gradient, p).astype(first.dtype).to(first.backend) for gradient in gradients if gradient.size]
        if not powers:
            total = sg.zeros((), dtype=first.dtype, backend=first.backend)
        elif p == float("inf"):
            total = sg.stack(powers).max()
        else:
            total = sg.stack(powers).sum() ** (1 / p)
        if error_if_nonfinite and not total.item() < float("inf"):
            raise RuntimeError(f"the norm of the gradients is {total.item()}: a gradient is NaN or infinite")
        factor = (limit / (total + 1e-6)).clip(max=1.0)
        for gradient in gradients:
            gradient.mul_(factor.astype(gradient.dtype).to(gradient.backend))
    return total


def clip_grad_value_(parameters: Iterable[Tensor] | Tensor, clip_value: float) -> None:
    """Clip each element of the gradients, in place, to the range from `-clip_value` to `clip_value`.

    Raises:
        TypeError: a parameter that is not a Tensor, a limit that is not a number.
        ValueError: a negative limit.

    >>> weight = nn.Parameter(ones(1))
    >>> (weight * 8).sum().backward()
    >>> utils.clip_grad_value_([weight], 2.0)
    >>> weight.grad
    tensor([2.])
    """
    limit = not_negative("clip_value", clip_value)
    with sg.no_grad():
        for gradient in _gradients(parameters):
            gradient.clamp_(-limit, limit)


def _gradients(parameters: Iterable[Tensor] | Tensor) -> list[Tensor]:
    try:
        found = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    except TypeError:
        raise TypeError(
            f"gradients of {type(parameters).__name__}: expected parameters, such as model.parameters()"
        ) from None
    for index, parameter in enumerate(found):
        expect_tensor(f"parameter {index}", parameter)
    return [gradient for parameter in found if (gradient := parameter.grad) is not None]


def _power(x: Tensor, p: float) -> Tensor:
    """The p-th power of the norm of x; for p = inf its largest magnitude."""
    if p == 2:
        return (x * x).sum()
    return x.abs().max() if p == float("inf") else (x.abs() ** p).sum()
