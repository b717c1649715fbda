"""The fully connected layer. Its function and gradients are in `_linear.py` of stackgrad.tensor."""

from numpy.typing import DTypeLike

from stackgrad.tensor import Generator, Tensor
from stackgrad.tensor._checks import expect_activation, expect_ints
from stackgrad.tensor._types import Activation

from .. import functional as F
from .. import init
from ..module import Module
from ..parameter import Parameter
from ._settings import settings


class Linear(Module):
    """`input @ weight.T + bias`: (..., in_features) to (..., out_features).

    Args:
        in_features: the size of the input's last dimension.
        out_features: the size of the output's last dimension.
        bias: whether to add a bias.
        generator: the source of the initial weights; the default generator if None.
        activation: "relu" applies `relu` to the result in the same pass, which is faster than a separate layer.
        dtype: the weights' dtype, float32 or float64; float32 if None.

    Attributes:
        weight: (out_features, in_features).
        bias: (out_features,), or None.

    Raises:
        TypeError: a dtype other than float32 and float64.
        ValueError: fewer than 1 feature, an unknown activation.

    >>> nn.Linear(3, 4)(ones(2, 3)).shape
    (2, 4)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        generator: Generator | None = None,
        activation: Activation = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        expect_ints("Linear", in_features=in_features, out_features=out_features)
        if in_features < 1 or out_features < 1:
            raise ValueError(
                f"Linear needs at least one input and one output feature; got {in_features} and {out_features}"
            )
        self.in_features = in_features
        self.out_features = out_features
        weight, offset = init.layer_weight_and_bias((out_features, in_features), bias, generator, dtype)
        self.weight = Parameter(weight)
        self.bias = None if offset is None else Parameter(offset)
        expect_activation(activation)
        self.activation = activation

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.weight, self.bias, self.activation)

    def extra_repr(self) -> str:
        shown = settings(self, bias=True, activation=None)
        return f"{self.in_features}, {self.out_features}" + (f", {shown}" if shown else "")
