"""The matrix product of a fully connected layer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ._autograd import BuiltinFunction, Context
from ._checks import expect_activation, expect_bias, expect_float, expect_optional, expect_same_dtype, expect_tensors
from ._matmul import MatMul
from ._mode import is_recording
from ._ops import Permute, Sum, common_backend
from ._plans import Layout, Plans
from ._types import Activation

if TYPE_CHECKING:
    from ._tensor import Tensor


class Linear(BuiltinFunction):
    @staticmethod
    def forward(ctx: Context, x: Tensor, weight: Tensor, bias: Tensor | None, relu: bool) -> Tensor:
        offset = None if bias is None else bias.data
        out = x.new(x.backend.linear(x.data, weight.data, offset, relu))
        ctx.save(x, weight, *([out] if relu else []))
        return out

    @staticmethod
    def backward(ctx: Context, g: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, *out = ctx.saved
        first, second, *rest = ctx.needs
        needs = first, second, True in rest
        if not is_recording():
            after_relu = out[0].data if out else None
            found = g.backend.linear_grads(g.data, x.data, weight.data, after_relu, needs)
            return tuple([None if grad is None else g.new(grad) for grad in found[: 2 + len(rest)]])
        if out:
            g = g.relu_grad(out[0])
        grads = (
            MatMul.apply(g, weight) if needs[0] else None,
            MatMul.apply(Permute.apply(g, (1, 0)), x) if needs[1] else None,
            Sum.apply(g, (0,)) if needs[2] else None,
        )
        return grads[: 2 + len(rest)]


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
        TypeError: an argument that is not a tensor, mixed or integer dtypes.
        ValueError: shapes that do not match, an unknown activation.

    >>> linear(ones(2, 3), ones(4, 3), ones(4)).shape
    (2, 4)
    """
    relu = activation is not None
    if relu:
        expect_activation(activation)
    try:
        form = (input.layout, weight.layout, None if bias is None else bias.layout)
    except AttributeError:
        expect_tensors("linear", input=input, weight=weight)
        expect_optional("linear", bias=bias)
        raise
    plan = _plans.find(form, input, weight, bias)
    if plan.is_matrix:
        out = Linear.apply(input, weight, bias, relu)
        if plan.result is None:
            plan.result = out.layout
        out._layout = plan.result
        return out
    *lead, features = input.shape
    return Linear.apply(input.reshape(math.prod(lead), features), weight, bias, relu).reshape(*lead, weight.shape[0])


class _Plan:
    """Whether x is a matrix, and then the layout of the result, known after the first call."""

    __slots__ = ("is_matrix", "result")

    def __init__(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> None:
        common_backend("linear", x, weight, *(() if bias is None else (bias,)))
        expect_same_dtype("linear", x, weight=weight, bias=bias)
        expect_float("linear", x)
        if weight.ndim != 2 or not x.ndim or x.shape[-1] != weight.shape[1]:
            raise ValueError(
                f"linear: input of shape {x.shape} and weight of shape {weight.shape}: expected (..., in) and (out, in)"
            )
        expect_bias("linear", bias, weight.shape[0])
        self.is_matrix = x.ndim == 2
        self.result: Layout | None = None


_plans: Plans[_Plan] = Plans(_Plan)
