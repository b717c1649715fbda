"""Elementwise activations. With `inplace`, the result overwrites the input."""

import math
from collections.abc import Callable
from typing import Literal

from stackgrad.tensor import Tensor, fuse
from stackgrad.tensor._checks import expect_numbers, expect_tensors

# ---------------------------------------------------------------------------------- formulas, for tensors and scalars
# A branch that `where` does not select gets gradient 0. Its derivative must be finite: 0 times infinity is NaN.

LINEAR_FROM = 40.0  # above this softplus is the identity to all digits of a float64; exp is still far from overflow


@fuse
def _gelu(x: Tensor) -> Tensor:
    return x * x.normal_cdf()


@fuse
def _gelu_tanh(x: Tensor) -> Tensor:
    return x * ((x * (x * x * 0.044715 + 1) * math.sqrt(2 / math.pi)).tanh() + 1) * 0.5


@fuse
def _silu(x: Tensor) -> Tensor:
    return x * x.sigmoid()


@fuse
def _leaky_relu(x: Tensor, negative_slope: float) -> Tensor:
    return (x > 0).where(x, x * negative_slope)


@fuse
def _elu(x: Tensor, alpha: float) -> Tensor:
    below = x <= 0
    return below.where(below.where(x, 0.0).expm1() * alpha, x)


@fuse
def softplus_of(x: Tensor, beta: float = 1.0, threshold: float = LINEAR_FROM) -> Tensor:
    """log(1 + exp(beta x)) / beta, or x where beta x exceeds the threshold."""
    scaled = x * beta
    above = scaled > threshold
    return above.where(x, above.where(0.0, scaled).exp().log1p() / beta)


@fuse
def _mish(x: Tensor) -> Tensor:
    # tanh(log(1 + e)) of e = exp(x) is e (e + 2) / (e (e + 2) + 2): one function call instead of three
    e = x.minimum(LINEAR_FROM / 2).exp()
    n = e * (e + 2)
    return x * (n / (n + 2))


@fuse
def _hardtanh(x: Tensor, min_val: float, max_val: float) -> Tensor:
    return ((x > min_val) & (x < max_val)).where(x, x.detach().clip(min_val, max_val))


# ---------------------------------------------------------------------------------------------------------- functions


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(input, 0), elementwise; the gradient at 0 is 0.

    >>> F.relu(tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    expect_tensors("relu", input=input)
    return input.relu_() if inplace else input.relu()


def sigmoid(input: Tensor) -> Tensor:
    """1 / (1 + exp(-input)), elementwise.

    >>> F.sigmoid(tensor([0.0]))
    tensor([0.5])
    """
    expect_tensors("sigmoid", input=input)
    return input.sigmoid()


def tanh(input: Tensor) -> Tensor:
    """The hyperbolic tangent, elementwise.

    >>> F.tanh(tensor([0.0]))
    tensor([0.])
    """
    expect_tensors("tanh", input=input)
    return input.tanh()


def gelu(input: Tensor, approximate: Literal["none", "tanh"] = "none") -> Tensor:
    """input times the probability that a standard normal variable is below it, elementwise.

    Source: Hendrycks and Gimpel, "Gaussian error linear units", arXiv:1606.08415.

    Args:
        input: any shape.
        approximate: "none" uses the error function; "tanh" is the paper's approximation, which GPT-2 uses.

    Raises:
        TypeError: an argument that is not a Tensor.
        ValueError: an unknown approximation.

    >>> F.gelu(tensor([0.0, 1.0])).round(decimals=4)
    tensor([0.    , 0.8413])
    """
    expect_tensors("gelu", input=input)
    return gelu_formula(approximate)(input)


def gelu_formula(approximate: str) -> Callable[[Tensor], Tensor]:
    """The formula for `approximate`; raises as `gelu`."""
    if approximate not in ("none", "tanh"):
        raise ValueError(f'gelu: approximate must be "none" or "tanh"; got {approximate!r}')
    return _gelu if approximate == "none" else _gelu_tanh


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """input * sigmoid(input), elementwise; also known as swish.

    Source: Elfwing et al., "Sigmoid-weighted linear units", arXiv:1702.03118.

    >>> F.silu(tensor([0.0, 1.0])).round(decimals=4)
    tensor([0.    , 0.7311])
    """
    expect_tensors("silu", input=input)
    return _result(_silu, input, inplace)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """input where it is above 0, else input * negative_slope; the gradient at 0 is the slope.

    >>> F.leaky_relu(tensor([-2.0, 2.0]), 0.5)
    tensor([-1.,  2.])
    """
    expect_tensors("leaky_relu", input=input)
    expect_numbers("leaky_relu", negative_slope=negative_slope)
    return _result(_leaky_relu, input, inplace, negative_slope)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """input where it is above 0, else alpha * (exp(input) - 1).

    Source: Clevert et al., "Exponential linear units", arXiv:1511.07289.

    >>> F.elu(tensor([0.0, 2.0]))
    tensor([0., 2.])
    """
    expect_tensors("elu", input=input)
    expect_numbers("elu", alpha=alpha)
    return _result(_elu, input, inplace, alpha)


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """log(1 + exp(beta * input)) / beta, elementwise.

    Args:
        input: any shape.
        beta: the sharpness of the bend; a large value comes close to relu.
        threshold: where beta * input exceeds it, the result is the input. Above 40 the two are equal to all digits, so
            a larger threshold changes nothing and does not overflow.

    >>> F.softplus(tensor([0.0])).round(decimals=4)
    tensor([0.6931])
    """
    expect_tensors("softplus", input=input)
    expect_numbers("softplus", beta=beta, threshold=threshold)
    return softplus_of(input, beta, min(threshold, LINEAR_FROM))


def logsigmoid(input: Tensor) -> Tensor:
    """log(1 / (1 + exp(-input))), elementwise, without overflow.

    >>> F.logsigmoid(tensor([0.0])).round(decimals=4)
    tensor([-0.6931])
    """
    expect_tensors("logsigmoid", input=input)
    return -softplus_of(-input)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """input * tanh(softplus(input)), elementwise.

    Source: Misra, "Mish", arXiv:1908.08681.

    >>> F.mish(tensor([0.0, 1.0])).round(decimals=4)
    tensor([0.    , 0.8651])
    """
    expect_tensors("mish", input=input)
    return _result(_mish, input, inplace)


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """input clipped to the range from `min_val` to `max_val`; the gradient is 0 at the limits and beyond.

    Raises:
        TypeError: an argument that is not a Tensor.
        ValueError: a `min_val` above `max_val`.

    >>> F.hardtanh(tensor([-2.0, 0.5, 2.0]))
    tensor([-1. ,  0.5,  1. ])
    """
    expect_tensors("hardtanh", input=input)
    expect_numbers("hardtanh", min_val=min_val, max_val=max_val)
    if min_val > max_val:
        raise ValueError(f"hardtanh: min_val {min_val} is above max_val {max_val}")
    return _result(_hardtanh, input, inplace, min_val, max_val)


def _result(formula: Callable[..., Tensor], input: Tensor, inplace: bool, *scalars: float) -> Tensor:
    """The formula's result. In place, the formula reads a copy of the input, which backward needs."""
    return input.copy_(formula(input.clone(), *scalars)) if inplace else formula(input, *scalars)
