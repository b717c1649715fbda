"""Losses of each element: how far a prediction is from what it should be, as one number or one an element."""

from typing import Literal, TypeAlias

from stackgrad.tensor import Context, Function, Tensor

from .._arguments import expect_optional, expect_tensors
from ._activation import softplus_of

Reduction: TypeAlias = Literal["mean", "sum", "none"]

# -------------------------------------------------------------------------- formulas: x the prediction, y its target


def _absolute(x: Tensor, y: Tensor) -> Tensor:
    return (x - y).abs()


def _squared(x: Tensor, y: Tensor) -> Tensor:
    difference = x - y
    return difference * difference


def _huber(x: Tensor, y: Tensor, delta: float) -> Tensor:
    difference = x - y
    near = difference.clip(-delta, delta)
    return near * (difference - near * 0.5)


def _smooth_absolute(x: Tensor, y: Tensor, beta: float) -> Tensor:
    return _huber(x, y, beta) / beta


def _with_logits(x: Tensor, y: Tensor) -> Tensor:
    return (1 - y) * x + softplus_of(-x)


def _with_weighted_logits(x: Tensor, y: Tensor, pos_weight: Tensor) -> Tensor:
    return (1 - y) * x + softplus_of(-x) * ((pos_weight - 1) * y + 1)


def _divergence(x: Tensor, y: Tensor) -> Tensor:
    return (y == 0).where(0.0, y * y.log()) - y * x


def _divergence_of_logs(x: Tensor, y: Tensor) -> Tensor:
    return y.exp() * (y - x)


class _CrossEntropyOfTwo(Function):
    """Logarithms count as -100 at least, and their derivatives stay finite at 0 and 1: as PyTorch has it."""

    @staticmethod
    def forward(ctx: Context, x: Tensor, y: Tensor) -> Tensor:
        ctx.save(x, y)
        return (y - 1) * (-x).log1p().clip(min=-100.0) - y * x.log().clip(min=-100.0)

    @staticmethod
    def backward(ctx: Context, g: Tensor) -> tuple[Tensor | None, ...]:
        x, y = ctx.saved
        return (
            g * (x - y) / ((1 - x) * x).clip(min=1e-12) if ctx.needs[0] else None,
            g * ((-x).log1p() - x.log()) if ctx.needs[1] else None,
        )


# ---------------------------------------------------------------------------------------------------------- functions


def l1_loss(input: Tensor, target: Tensor, *, reduction: Reduction = "mean") -> Tensor:
    """The absolute value of input - target, element by element; its gradient where they are equal is 0.

    Args:
        input: any shape.
        target: the same shape.
        reduction: "mean" or "sum" over all elements, or "none".

    Returns:
        (), or the input's shape where nothing is reduced.

    Raises:
        TypeError: what is no Tensor.
        ValueError: shapes that differ (nothing is broadcast here), an unknown reduction.
    """
    _expect_alike("l1_loss", input, target)
    return reduced(_absolute(input, target), reduction)


def mse_loss(input: Tensor, target: Tensor, *, reduction: Reduction = "mean") -> Tensor:
    """(input - target) squared, element by element. Arguments, result and errors as in `l1_loss`."""
    _expect_alike("mse_loss", input, target)
    return reduced(_squared(input, target), reduction)


def huber_loss(input: Tensor, target: Tensor, *, reduction: Reduction = "mean", delta: float = 1.0) -> Tensor:
    """Half the square of input - target where that is within `delta`, else delta * (|input - target| - delta / 2).

    Source: Huber, "Robust estimation of a location parameter", 1964.

    Args:
        input, target, reduction: as in `l1_loss`.
        delta: where the square ends, above 0.

    Returns and raises as `l1_loss`; ValueError for a `delta` that is not above 0.
    """
    _expect_alike("huber_loss", input, target)
    if not delta > 0:
        raise ValueError(f"huber_loss: delta must be above 0; got {delta}")
    return reduced(_huber(input, target, delta), reduction)


def smooth_l1_loss(input: Tensor, target: Tensor, *, reduction: Reduction = "mean", beta: float = 1.0) -> Tensor:
    """`huber_loss` with that delta, divided by it: 1 is the slope of its straight parts. With 0 it is `l1_loss`.

    Source: Girshick, "Fast R-CNN", arXiv:1504.08083.

    Args:
        input, target, reduction: as in `l1_loss`.
        beta: where the square ends, 0 or more.

    Returns and raises as `l1_loss`; ValueError for a `beta` below 0.
    """
    _expect_alike("smooth_l1_loss", input, target)
    if not beta >= 0:
        raise ValueError(f"smooth_l1_loss: beta must be 0 or more; got {beta}")
    losses = _smooth_absolute(input, target, beta) if beta else _absolute(input, target)
    return reduced(losses, reduction)


def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, *, reduction: Reduction = "mean"
) -> Tensor:
    """-(target * log(input) + (1 - target) * log(1 - input)), of probabilities; each logarithm counts as -100 at least.

    Args:
        input: any shape, from 0 to 1; what is outside gives NaN. Of logits, `binary_cross_entropy_with_logits` is
            more exact.
        target: the same shape, from 0 to 1.
        weight: what the losses are multiplied by; it broadcasts to their shape.
        reduction: as in `l1_loss`.

    Returns and raises as `l1_loss`.
    """
    _expect_alike("binary_cross_entropy", input, target)
    expect_optional("binary_cross_entropy", weight=weight)
    return reduced(_weighted(_CrossEntropyOfTwo.apply(input, target), weight), reduction)


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    reduction: Reduction = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """`binary_cross_entropy` of sigmoid(input), computed such that large logits lose nothing.

    Args:
        input: any shape, logits: what the last linear layer gives, without sigmoid.
        target: the same shape, from 0 to 1.
        weight: what the losses are multiplied by; it broadcasts to their shape.
        reduction: as in `l1_loss`.
        pos_weight: what the part of target 1 is multiplied by, often one for each class; it broadcasts likewise.

    Returns and raises as `l1_loss`.
    """
    what = "binary_cross_entropy_with_logits"
    _expect_alike(what, input, target)
    expect_optional(what, weight=weight, pos_weight=pos_weight)
    losses = _with_logits(input, target) if pos_weight is None else _with_weighted_logits(input, target, pos_weight)
    return reduced(_weighted(losses, weight), reduction)


def kl_div(
    input: Tensor,
    target: Tensor,
    *,
    reduction: Literal["mean", "sum", "none", "batchmean"] = "mean",
    log_target: bool = False,
) -> Tensor:
    """target * (log(target) - input), element by element: summed, the divergence of Kullback and Leibler.

    Args:
        input: any shape, logarithms of probabilities.
        target: the same shape, probabilities, or their logarithms where `log_target`. 0 gives 0.
        reduction: as in `l1_loss`; "batchmean" divides the sum by the first size, as the definition has it.
        log_target: whether the target is in logarithms, too.

    Returns and raises as `l1_loss`.
    """
    _expect_alike("kl_div", input, target)
    losses = _divergence_of_logs(input, target) if log_target else _divergence(input, target)
    if reduction != "batchmean":
        return reduced(losses, reduction, "batchmean")
    return losses.sum() / input.shape[0] if input.ndim else losses


# ------------------------------------------------------------------------------------------------------------ helpers


def reduced(losses: Tensor, reduction: str, *others: str) -> Tensor:
    """The losses as `reduction` says; `others` are known to the caller, for the message.

    Raises:
        ValueError: an unknown reduction.
    """
    if reduction == "mean":
        return losses.mean()
    if reduction == "sum":
        return losses.sum()
    if reduction == "none":
        return losses
    *first, last = (f'"{name}"' for name in ("mean", "sum", "none", *others))
    raise ValueError(f"reduction must be {', '.join(first)} or {last}; got {reduction!r}")


def _expect_alike(function: str, input: Tensor, target: Tensor) -> None:
    expect_tensors(function, input=input, target=target)
    if input.shape != target.shape:
        raise ValueError(f"{function} needs input and target of one shape; got {input.shape} and {target.shape}")


def _weighted(losses: Tensor, weight: Tensor | None) -> Tensor:
    return losses if weight is None else losses * weight
