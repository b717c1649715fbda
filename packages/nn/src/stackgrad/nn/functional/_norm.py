"""Normalisation."""

import math
from collections.abc import Sequence

import stackgrad.tensor as sg
from stackgrad.tensor import Tensor, fuse
from stackgrad.tensor._checks import expect_activation, expect_ints, expect_numbers, expect_optional, expect_tensors
from stackgrad.tensor._types import Activation

from .._arguments import sizes


def batch_norm(
    input: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    activation: Activation = None,
) -> Tensor:
    """Subtract each channel's mean, divide by its standard deviation, then scale and shift.

    Source: Ioffe and Szegedy, "Batch Normalization", ICML 2015.

    Args:
        input: (batch, channels, ...).
        running_mean: (channels,); in training it moves in place towards the batch's mean, by the fraction `momentum`.
            An empty batch leaves it unchanged.
        running_var: (channels,); likewise for the batch's unbiased variance.
        weight: (channels,), the scale; 1 if None.
        bias: (channels,), the shift; 0 if None.
        training: whether to use the batch's statistics rather than the running ones.
        momentum: the weight of the batch in the running statistics.
        eps: added to the variance.
        activation: "relu" applies `relu` to the result in the same pass, which is faster; None applies nothing.

    Returns:
        The input's shape.

    Raises:
        ValueError: an input of fewer than two dimensions, no channels, channels that differ, training on one value per
            channel, an unknown activation.

    >>> F.batch_norm(tensor([[3.0]]), tensor([1.0]), tensor([4.0]), eps=0.0)
    tensor([[1.]])
    """
    if weight is None or bias is None:
        expect_tensors("batch_norm", running_mean=running_mean)
        weight = sg.ones_like(running_mean) if weight is None else weight
        bias = sg.zeros_like(running_mean) if bias is None else bias
    expect_tensors(
        "batch_norm", input=input, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias
    )
    if input.ndim < 2:
        raise ValueError(f"input must have at least 2 dimensions, (batch, channels, ...); got shape {input.shape}")
    expect_activation(activation)
    if type(momentum) is not float or type(eps) is not float:  # the usual case needs no call
        expect_numbers("batch_norm", momentum=momentum, eps=eps)
    channels, relu = input.shape[1], activation is not None
    if not channels:
        raise ValueError(f"batch_norm: input of shape {input.shape} has no channels: expected 1 or more")
    _expect_shape(
        "batch_norm",
        input,
        (channels,),
        running_mean=running_mean,
        running_var=running_var,
        weight=weight,
        bias=bias,
    )
    if not training:
        column = (channels,) + (1,) * (input.ndim - 2)
        mean, var, scale, shift = [x.reshape(*column) for x in (running_mean, running_var, weight, bias)]
        return _by_running(input, mean, var, scale, shift, eps, relu)
    out, mean, var = sg.batch_norm(input, weight, bias, eps, activation)
    count = input.size // channels
    if not count:
        return out
    with sg.no_grad():
        running_mean.copy_(running_mean * (1 - momentum) + mean * momentum)
        running_var.copy_(running_var * (1 - momentum) + var * (momentum * count / (count - 1)))
    return out


@fuse
def _by_running(x: Tensor, mean: Tensor, var: Tensor, weight: Tensor, bias: Tensor, eps: float, relu: bool) -> Tensor:
    """Batch normalisation with the running statistics."""
    scale = weight * (var + eps).rsqrt()
    out = x * scale + (bias - mean * scale)
    return out.relu() if relu else out


def layer_norm(
    input: Tensor,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Subtract the mean over the last dimensions, divide by the standard deviation, then scale and shift.

    Source: Ba et al., "Layer normalization", arXiv:1607.06450.

    Args:
        input: (..., *normalized_shape).
        normalized_shape: the sizes of the last dimensions, over which mean and (biased) variance are computed.
        weight: (*normalized_shape), the scale; 1 if None.
        bias: (*normalized_shape), the shift; 0 if None.
        eps: added to the variance.

    Returns:
        The input's shape.

    Raises:
        TypeError: an argument that is not a Tensor, an integer dtype, dtypes that differ.
        ValueError: shapes that do not match.

    >>> F.layer_norm(tensor([[1.0, 3.0]]), 2).round(decimals=3)
    tensor([[-1.,  1.]])
    """
    expect_tensors("layer_norm", input=input)
    expect_optional("layer_norm", weight=weight, bias=bias)
    if type(eps) is not float:  # the usual case needs no call
        expect_numbers("layer_norm", eps=eps)
    shape = sizes("layer_norm: normalized_shape", normalized_shape)
    first = input.ndim - len(shape)
    if not shape or first < 0 or input.shape[first:] != shape:
        raise ValueError(f"layer_norm: input of shape {input.shape}: expected the last dimensions {shape}")
    _expect_shape("layer_norm", input, shape, weight=weight, bias=bias)
    last = math.prod(shape)
    flat = input.reshape(*input.shape[:first], last)
    weight, bias = (None if x is None else x.reshape(last) for x in (weight, bias))
    return _standardised(flat, weight, bias, eps).reshape(*input.shape)


def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise each group of channels of each example to mean 0 and variance 1, then scale and shift.

    Source: Wu and He, "Group normalization", arXiv:1803.08494.

    Args:
        input: (batch, channels, ...).
        num_groups: a divisor of the channels.
        weight: (channels,), the scale; 1 if None.
        bias: (channels,), the shift; 0 if None.
        eps: added to the variance.

    Returns:
        The input's shape.

    Raises:
        TypeError: an argument that is not a Tensor, an integer dtype, dtypes that differ.
        ValueError: shapes that do not match, groups that do not divide the channels, one value per group.

    >>> F.group_norm(ones(4, 6, 8, 8), 2).shape
    (4, 6, 8, 8)
    """
    expect_tensors("group_norm", input=input)
    expect_optional("group_norm", weight=weight, bias=bias)
    if input.ndim < 2:
        raise ValueError(f"input must have at least 2 dimensions, (batch, channels, ...); got shape {input.shape}")
    expect_ints("group_norm", num_groups=num_groups)
    expect_numbers("group_norm", eps=eps)
    batch, channels, *rest = input.shape
    if num_groups < 1 or channels % num_groups:
        raise ValueError(f"group_norm: num_groups {num_groups} does not divide {channels} channels")
    if input.size == num_groups:
        raise ValueError(f"group_norm: input of shape {input.shape} has 1 value per group: expected 2 or more")
    _expect_shape("group_norm", input, (channels,), weight=weight, bias=bias)
    flat = input.reshape(batch, num_groups, channels // num_groups * math.prod(rest))
    column = (channels, *(1,) * len(rest))
    return _affine(
        _standardised(flat, None, None, eps).reshape(*input.shape),
        None if weight is None else weight.reshape(*column),
        None if bias is None else bias.reshape(*column),
    )


@fuse
def _standardised(x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
    """x minus its mean along the last dimension, divided by its standard deviation, scaled and shifted."""
    centred = x - x.mean(-1, keepdim=True)
    scale = ((centred * centred).mean(-1, keepdim=True) + eps).rsqrt()
    return _affine(centred * scale, weight, bias)


@fuse
def _affine(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    x = x if weight is None else x * weight
    return x if bias is None else x + bias


def _expect_shape(function: str, input: Tensor, shape: tuple[int, ...], **values: Tensor | None) -> None:
    """Raise unless each value is None or has this shape and the input's dtype."""
    for name, value in values.items():
        if value is None:
            continue
        if value.shape != shape:
            raise ValueError(f"{function}: {name} must have shape {shape}; got {value.shape}")
        if value.dtype != input.dtype:
            raise TypeError(
                f"{function}: input has dtype {input.dtype} and {name} {value.dtype}: expected the same; "
                "use .astype(...)"
            )
