"""Elementwise losses: the distance of a prediction from its target, as one scalar or one value per element."""

from collections.abc import Callable
from functools import wraps
from typing import Literal, TypeAlias

from stackgrad.tensor import Context, Function, Tensor, fuse
from stackgrad.tensor._checks import expect_numbers, expect_optional, expect_tensors

from ._activation import softplus_of

Reduction: TypeAlias = Literal["mean", "sum", "none"]
"""What a loss returns: the mean or the sum of the losses of all elements, or all of them."""

# --------------------------------------- formulas, each fused with its reduction: x the prediction, y its target


def _fused(formula: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A function of a reduction, a weight or None, and the formula's operands, which returns the reduced losses."""

    @fuse
    @wraps(formula)
    def loss(reduction: str, weight: Tensor | None, *operands: Tensor | float) -> Tensor:
        losses = formula(*operands)
        return reduced(losses if weight is None else losses * weight, reduction)

    return loss


@_fused
def _absolute(x: Tensor, y: Tensor) -> Tensor:
    return (x - y).abs()


@_fused
def _squared(x: Tensor, y: Tensor) -> Tensor:
    difference = x - y
    return difference * difference


@_fused
def _huber(x: Tensor, y: Tensor, delta: float, scale: float) -> Tensor:
    difference = x - y
    near = difference.clip(-delta, delta)
    return near * (difference - near * 0.5) / scale


@_fused
def _with_logits(x: Tensor, y: Tensor) -> Tensor:
    return (1 - y) * x + softplus_of(-x)


@_fused
def _with_weighted_logits(x: Tensor, y: Tensor, pos_weight: Tensor) -> Tensor:
    return (1 - y) * x + softplus_of(-x) * ((pos_weight - 1) * y + 1)


@_fused
def _divergence(x: Tensor, y: Tensor) -> Tensor:
    return (y == 0).where(0.0, y * y.log()) - y * x


@_fused
def _divergence_of_logs(x: Tensor, y: Tensor) -> Tensor:
    return y.exp() * (y - x)


@fuse
def _binary_cross_entropy(x: Tensor, y: Tensor) -> Tensor:
    return (y - 1) * (-x).log1p().clip(min=-100.0) - y * x.log().clip(min=-100.0)


@fuse
def _binary_cross_entropy_grads(g: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    return g * (x - y) / ((1 - x) * x).clip(min=1e-12), g * ((-x).log1p() - x.log())


class _BinaryCrossEntropy(Function):
    """As in PyTorch, logarithms are clipped at -100, and their derivatives stay finite at 0 and 1."""

    @staticmethod
    def forward(ctx: Context, x: Tensor, y: Tensor) -> Tensor:
        ctx.save(x, y)
        return _binary_cross_entropy(x, y)

    @staticmethod
    def backward(ctx: Context, g: Tensor) -> tuple[Tensor | None, ...]:
        grads = _binary_cross_entropy_grads(g, *ctx.saved)
        return tuple([grad if need else None for grad, need in zip(grads, ctx.needs, strict=True)])


# ---------------------------------------------------------------------------------------------------------- functions


def l1_loss(input: Tensor, target: Tensor, *, reduction: Reduction = "mean") -> Tensor:
    """The absolute value of input - target, elementwise; where the two are equal the gradient is 0.

    Args:
        input: any shape.
        target: the same shape.
        reduction: "mean" or "sum" over all elements, or "none".

    Returns:
        (), or the input's shape with reduction "none".

    Raises:
        TypeError: an argument that is not a Tensor.
        ValueError: shapes that differ (losses do not broadcast), an unknown reduction.

    >>> F.l1_loss(tensor([0.0, 0.0]), tensor([1.0, 3.0]))
    tensor(2.)
    """
    _expect_same_shape("l1_loss", input, target)
    return _absolute(reduction, None, input, target)


def mse_loss(input: Tensor, target: Tensor, *, reduction: Reduction = "mean") -> Tensor:
    """(input - target) squared, elementwise. Arguments, result and errors as in `l1_loss`.

    >>> F.mse_loss(tensor([0.0, 0.0]), tensor([1.0, 3.0]))
    tensor(5.)
    """
    _expect_same_shape("mse_loss", input, target)
    return _squared(reduction, None, input, target)


def huber_loss(input: Tensor, target: Tensor, *, reduction: Reduction = "mean", delta: float = 1.0) -> Tensor:
    """Half the square of input - target where it is at most `delta`, else delta * (|input - target| - delta / 2).

    Source: Huber, "Robust estimation of a location parameter", 1964.

    Args:
        input, target, reduction: as in `l1_loss`.
        delta: the difference up to which the loss is quadratic, above 0.

    Returns and raises as `l1_loss`; ValueError for a `delta` that is not above 0.

    >>> F.huber_loss(tensor([0.0]), tensor([3.0]), delta=2.0)
    tensor(4.)
    """
    _expect_same_shape("huber_loss", input, target)
    expect_numbers("huber_loss", delta=delta)
    if not delta > 0:
        raise ValueError(f"huber_loss: delta must be above 0; got {delta}")
    return _huber(reduction, None, input, target, delta, 1.0)


def smooth_l1_loss(input: Tensor, target: Tensor, *, reduction: Reduction = "mean", beta: float = 1.0) -> Tensor:
    """`huber_loss` with delta = beta, divided by beta, so that its linear parts have slope 1. With 0 it is `l1_loss`.

    Source: Girshick, "Fast R-CNN", arXiv:1504.08083.

    Args:
        input, target, reduction: as in `l1_loss`.
        beta: the difference up to which the loss is quadratic, 0 or more.

    Returns and raises as `l1_loss`; ValueError for a `beta` below 0.

    >>> F.smooth_l1_loss(tensor([0.0]), tensor([3.0]))
    tensor(2.5)
    """
    _expect_same_shape("smooth_l1_loss", input, target)
    expect_numbers("smooth_l1_loss", beta=beta)
    if not beta >= 0:
        raise ValueError(f"smooth_l1_loss: beta must be 0 or more; got {beta}")
    if not beta:
        return _absolute(reduction, None, input, target)
    return _huber(reduction, None, input, target, beta, beta)


def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, *, reduction: Reduction = "mean"
) -> Tensor:
    """-(target * log(input) + (1 - target) * log(1 - input)) of probabilities; logarithms are clipped at -100.

    Args:
        input: any shape, from 0 to 1; values outside give NaN. For logits, `binary_cross_entropy_with_logits` is more
            accurate.
        target: the same shape, from 0 to 1.
        weight: a factor for the losses; it broadcasts to their shape.
        reduction: as in `l1_loss`.

    Returns and raises as `l1_loss`.

    >>> F.binary_cross_entropy(tensor([0.5]), tensor([1.0])).round(decimals=4)
    tensor(0.6931)
    """
    _expect_same_shape("binary_cross_entropy", input, target)
    expect_optional("binary_cross_entropy", weight=weight)
    losses = _BinaryCrossEntropy.apply(input, target)
    return reduced(losses if weight is None else losses * weight, reduction)


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    reduction: Reduction = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """`binary_cross_entropy` of sigmoid(input), accurate for large logits too.

    Args:
        input: any shape, logits: the output of the last linear layer, without sigmoid.
        target: the same shape, from 0 to 1.
        weight: a factor for the losses; it broadcasts to their shape.
        reduction: as in `l1_loss`.
        pos_weight: a factor for the term of target 1, often one for each class; it broadcasts likewise.

    Returns and raises as `l1_loss`.

    >>> F.binary_cross_entropy_with_logits(tensor([0.0]), tensor([1.0])).round(decimals=4)
    tensor(0.6931)
    """
    function = "binary_cross_entropy_with_logits"
    _expect_same_shape(function, input, target)
    expect_optional(function, weight=weight, pos_weight=pos_weight)
    if pos_weight is None:
        return _with_logits(reduction, weight, input, target)
    return _with_weighted_logits(reduction, weight, input, target, pos_weight)


def kl_div(
    input: Tensor,
    target: Tensor,
    *,
    reduction: Literal["mean", "sum", "none", "batchmean"] = "mean",
    log_target: bool = False,
) -> Tensor:
    """target * (log(target) - input), elementwise: the terms of the Kullback-Leibler divergence.

    Args:
        input: any shape, log-probabilities.
        target: the same shape, probabilities, or log-probabilities with `log_target`. A probability of 0 gives 0.
        reduction: as in `l1_loss`; "batchmean" divides the sum by the batch size, as the definition does.
        log_target: whether the target is a log-probability.

    Returns and raises as `l1_loss`.

    >>> F.kl_div(tensor([[0.5, 0.5]]).log(), tensor([[0.5, 0.5]]), reduction="batchmean")
    tensor(0.)
    """
    _expect_same_shape("kl_div", input, target)
    loss = _divergence_of_logs if log_target else _divergence
    _expect_reduction(reduction, "batchmean")
    if reduction != "batchmean":
        return loss(reduction, None, input, target)
    total = loss("sum", None, input, target)
    return total / input.shape[0] if input.ndim else total


# ------------------------------------------------------------------------------------------------------------ helpers


def reduced(losses: Tensor, reduction: str) -> Tensor:
    """Apply `reduction` to the losses.

    Raises:
        ValueError: an unknown reduction.
    """
    if reduction == "mean":
        return losses.mean()
    _expect_reduction(reduction)
    return losses if reduction == "none" else losses.sum()


def _expect_reduction(reduction: str, *others: str) -> None:
    *first, last = known = ("mean", "sum", "none", *others)
    if reduction not in known:
        named = ", ".join(f'"{name}"' for name in first)
        raise ValueError(f'reduction must be {named} or "{last}"; got {reduction!r}')


def _expect_same_shape(function: str, input: Tensor, target: Tensor) -> None:
    expect_tensors(function, input=input, target=target)
    if input.shape != target.shape:
        raise ValueError(f"{function} needs input and target of the same shape; got {input.shape} and {target.shape}")
