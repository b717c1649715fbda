"""Losses: how far a prediction is from what it should be, as one number or one an example."""

from typing import Literal, TypeAlias

import stackgrad.tensor as sg
from stackgrad.tensor import Tensor

from ._arguments import expect_tensors

Reduction: TypeAlias = Literal["mean", "sum", "none"]


def cross_entropy(input: Tensor, target: Tensor, reduction: Reduction = "mean") -> Tensor:
    """-log(softmax(input)) at each target class, computed by log-sum-exp.

    Args:
        input: (batch, classes), logits: what the last linear layer gives, without softmax.
        target: (batch,), int64, each from 0 to classes - 1.
        reduction: "mean" or "sum" over the batch, or "none": one loss an example.

    Returns:
        (), or (batch,) where nothing is reduced.

    Raises:
        ValueError: shapes that do not fit, a class out of range, an unknown reduction.
        TypeError: what is no Tensor, a target that is not int64.
    """
    expect_tensors("cross_entropy", input=input, target=target)
    return _reduce(sg.cross_entropy(input, target), reduction)


def nll_loss(input: Tensor, target: Tensor, reduction: Reduction = "mean") -> Tensor:
    """-input at each target class; after `log_softmax` this is `cross_entropy` of the logits.

    Args:
        input: (batch, classes), logarithms of probabilities.
        target: (batch,), int64, each from 0 to classes - 1.
        reduction: "mean" or "sum" over the batch, or "none": one loss an example.

    Returns and raises as `cross_entropy`.
    """
    expect_tensors("nll_loss", input=input, target=target)
    return _reduce(sg.nll_loss(input, target), reduction)


def mse_loss(input: Tensor, target: Tensor, reduction: Reduction = "mean") -> Tensor:
    """(input - target) squared, element by element.

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
    expect_tensors("mse_loss", input=input, target=target)
    if input.shape != target.shape:
        raise ValueError(f"mse_loss needs input and target of one shape; got {input.shape} and {target.shape}")
    difference = input - target
    return _reduce(difference * difference, reduction)


def _reduce(losses: Tensor, reduction: str) -> Tensor:
    if reduction == "mean":
        return losses.mean()
    if reduction == "sum":
        return losses.sum()
    if reduction == "none":
        return losses
    raise ValueError(f'reduction must be "mean", "sum" or "none"; got {reduction!r}')
