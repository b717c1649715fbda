"""Activation layers, which keep the shape. With `inplace`, the result overwrites the input."""

from typing import Literal

from stackgrad.tensor import Tensor
from stackgrad.tensor._checks import expect_numbers

from .. import functional as F
from ..functional._activation import gelu_formula
from ..module import Module


class _InPlace(Module):
    def __init__(self, inplace: bool = False) -> None:
        self.inplace = inplace

    def extra_repr(self) -> str:
        return "inplace=True" if self.inplace else ""


class ReLU(_InPlace):
    """max(input, 0).

    >>> nn.ReLU()(tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.relu(input, self.inplace)


class Sigmoid(Module):
    """1 / (1 + exp(-input)).

    >>> nn.Sigmoid()(tensor([0.0]))
    tensor([0.5])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.sigmoid(input)


class Tanh(Module):
    """The hyperbolic tangent.

    >>> nn.Tanh()(tensor([0.0]))
    tensor([0.])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.tanh(input)


class GELU(Module):
    """`functional.gelu`: input times the probability that a standard normal variable is below it.

    Raises:
        ValueError: an approximation other than "none" and "tanh".

    >>> nn.GELU()(tensor([0.0]))
    tensor([0.])
    """

    def __init__(self, approximate: Literal["none", "tanh"] = "none") -> None:
        gelu_formula(approximate)
        self.approximate: Literal["none", "tanh"] = approximate

    def forward(self, input: Tensor) -> Tensor:
        return F.gelu(input, self.approximate)

    def extra_repr(self) -> str:
        return f"approximate={self.approximate!r}"


class SiLU(_InPlace):
    """`functional.silu`: input * sigmoid(input).

    >>> nn.SiLU()(tensor([0.0]))
    tensor([0.])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.silu(input, self.inplace)


class Mish(_InPlace):
    """`functional.mish`: input * tanh(softplus(input)).

    >>> nn.Mish()(tensor([0.0]))
    tensor([0.])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.mish(input, self.inplace)


class LeakyReLU(_InPlace):
    """`functional.leaky_relu`: input where it is above 0, else input * negative_slope.

    >>> nn.LeakyReLU(0.5)(tensor([-2.0, 2.0]))
    tensor([-1.,  2.])
    """

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        expect_numbers("LeakyReLU", negative_slope=negative_slope)
        super().__init__(inplace)
        self.negative_slope = negative_slope

    def forward(self, input: Tensor) -> Tensor:
        return F.leaky_relu(input, self.negative_slope, self.inplace)

    def extra_repr(self) -> str:
        return _joined(f"negative_slope={self.negative_slope}", super().extra_repr())


class ELU(_InPlace):
    """`functional.elu`: input where it is above 0, else alpha * (exp(input) - 1).

    >>> nn.ELU()(tensor([0.0, 2.0]))
    tensor([0., 2.])
    """

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        expect_numbers("ELU", alpha=alpha)
        super().__init__(inplace)
        self.alpha = alpha

    def forward(self, input: Tensor) -> Tensor:
        return F.elu(input, self.alpha, self.inplace)

    def extra_repr(self) -> str:
        return _joined(f"alpha={self.alpha}", super().extra_repr())


class Softplus(Module):
    """`functional.softplus`: log(1 + exp(beta * input)) / beta, without overflow.

    >>> nn.Softplus()(tensor([0.0])).round(decimals=4)
    tensor([0.6931])
    """

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        expect_numbers("Softplus", beta=beta, threshold=threshold)
        self.beta = beta
        self.threshold = threshold

    def forward(self, input: Tensor) -> Tensor:
        return F.softplus(input, self.beta, self.threshold)

    def extra_repr(self) -> str:
        return f"beta={self.beta}, threshold={self.threshold}"


class LogSigmoid(Module):
    """`functional.logsigmoid`: log(1 / (1 + exp(-input))), without overflow.

    >>> nn.LogSigmoid()(tensor([0.0])).round(decimals=4)
    tensor([-0.6931])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.logsigmoid(input)


class Hardtanh(_InPlace):
    """`functional.hardtanh`: input clipped to the range from `min_val` to `max_val`.

    Raises:
        ValueError: a `min_val` that is not below `max_val`.

    >>> nn.Hardtanh()(tensor([-2.0, 0.5, 2.0]))
    tensor([-1. ,  0.5,  1. ])
    """

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        expect_numbers("Hardtanh", min_val=min_val, max_val=max_val)
        if not min_val < max_val:
            raise ValueError(f"Hardtanh: min_val must be below max_val; got {min_val} and {max_val}")
        super().__init__(inplace)
        self.min_val = min_val
        self.max_val = max_val

    def forward(self, input: Tensor) -> Tensor:
        return F.hardtanh(input, self.min_val, self.max_val, self.inplace)

    def extra_repr(self) -> str:
        return _joined(f"min_val={self.min_val}, max_val={self.max_val}", super().extra_repr())


class _AlongDim(Module):
    def __init__(self, dim: int = -1) -> None:
        self.dim = dim

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Softmax(_AlongDim):
    """`functional.softmax`: positive values with sum 1 along `dim`.

    >>> nn.Softmax(1)(tensor([[0.0, 0.0]]))
    tensor([[0.5, 0.5]])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.softmax(input, self.dim)


class LogSoftmax(_AlongDim):
    """`functional.log_softmax`: the logarithm of softmax along `dim`, by log-sum-exp.

    >>> nn.LogSoftmax(1)(tensor([[0.0, 0.0]])).round(decimals=4)
    tensor([[-0.6931, -0.6931]])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.log_softmax(input, self.dim)


def _joined(*parts: str) -> str:
    return ", ".join(filter(None, parts))
