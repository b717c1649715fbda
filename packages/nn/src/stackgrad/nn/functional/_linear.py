"""The matrix product of a fully connected layer."""

import stackgrad.tensor as sg
from stackgrad.tensor import Tensor

from .._arguments import Activation, expect_tensors, is_relu


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None, activation: Activation = None) -> Tensor:
    """`input @ weight.T + bias`.

    Args:
        input: (..., in_features).
        weight: (out_features, in_features).
        bias: (out_features,), or None.
        activation: "relu" applies `relu` to the result in the same pass, which is faster; None applies nothing.

    Returns:
        (..., out_features).

    Raises:
        ValueError: shapes that do not match, an unknown activation.
    """
    expect_tensors("linear", input=input, weight=weight, bias=bias)
    return sg.linear(input, weight, bias, is_relu(activation))
