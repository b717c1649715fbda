"""Batch normalisation."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ._autograd import BuiltinFunction, Context
from ._checks import expect_activation, expect_float, expect_numbers, expect_same_dtype
from ._folds import centre
from ._mode import is_recording
from ._ops import common_backend
from ._types import Activation

if TYPE_CHECKING:
    from ._tensor import Tensor


class BatchNorm(BuiltinFunction):
    @staticmethod
    def forward(
        ctx: Context, x: Tensor, weight: Tensor, bias: Tensor, eps: float, relu: bool, statistics: list[Tensor]
    ) -> Tensor:
        out, mean, var = x.backend.batch_norm(x.data, weight.data, bias.data, eps, relu)
        statistics[:] = [x.new(mean), x.new(var)]
        ctx.eps, ctx.relu = eps, relu
        ctx.save(x, weight, bias, *statistics)
        return x.new(out)

    @staticmethod
    def backward(ctx: Context, g: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias, mean, var = ctx.saved
        if not is_recording():
            grads = g.backend.batch_norm_grad(
                g.data, x.data, weight.data, bias.data, mean.data, var.data, ctx.eps, ctx.relu
            )
            return tuple(g.new(data) for data in grads)
        centred = centre(x, (0, 2))
        scale = ((centred * centred).mean((0, 2), keepdim=True) + ctx.eps).rsqrt()
        normal, weight = centred * scale, weight.reshape(1, -1, 1)
        if ctx.relu:
            g = g.relu_grad(normal * weight + bias.reshape(1, -1, 1))
        rest = g - g.mean((0, 2), keepdim=True) - normal * (g * normal).mean((0, 2), keepdim=True)
        return rest * scale * weight, (g * normal).sum((0, 2)), g.sum((0, 2))


def batch_norm(
    x: Tensor, weight: Tensor, bias: Tensor, eps: float = 1e-5, activation: Activation = None
) -> tuple[Tensor, Tensor, Tensor]:
    """x (n, c, ...) normalised to mean 0 and variance 1 in each channel, times weight (c,) plus bias (c,).

    `activation` is "relu", which is applied in the same pass, or None.

    Returns (out, mean (c,), biased variance (c,)); no gradient flows through the last two. The mean is accurate to 2
    eps of the largest magnitude and the variance to 256 eps of itself, even if the mean is far larger than the
    deviation; both are NaN for an empty x. Raises ValueError for shapes that do not match, for no channels and for one
    value per channel, TypeError for mixed or integer dtypes.
    S. Ioffe and C. Szegedy, "Batch normalization" (https://arxiv.org/abs/1502.03167).

    >>> batch_norm(tensor([[1.0], [3.0]]), ones(1), zeros(1), eps=0.0)
    (tensor([[-1.],
            [ 1.]]), tensor([2.]), tensor([1.]))
    """
    expect_activation(activation)
    if type(eps) is not float:  # the usual case needs no call
        expect_numbers("batch_norm", eps=eps)
    relu = activation is not None
    common_backend("batch_norm", x, weight, bias)
    expect_same_dtype("batch_norm", x, weight=weight, bias=bias)
    expect_float("batch_norm", x)
    if x.ndim < 2 or weight.shape != x.shape[1:2] or bias.shape != weight.shape:
        raise ValueError(
            f"batch_norm: input of shape {x.shape}, weight {weight.shape}, bias {bias.shape}: "
            "expected (batch, channels, ...) and one weight and bias for each channel"
        )
    n, c = x.shape[:2]
    pixels = x.numel() // (n * c) if n * c else 0
    if not c or n * pixels == 1:
        wrong = "1 value per channel: expected 2 or more, or none" if c else "no channels: expected 1 or more"
        raise ValueError(f"batch_norm: input of shape {x.shape} has {wrong}")
    if not x.numel():
        column = (c,) + (1,) * (x.ndim - 2)
        out = x * weight.reshape(*column) + bias.reshape(*column)
        nothing = x.new(x.backend.full((c,), math.nan, x.dtype))
        return out.relu() if relu else out, nothing, nothing.clone()
    statistics: list[Tensor] = []  # filled by forward, whose only differentiable result is the output
    out = BatchNorm.apply(x.reshape(n, c, pixels), weight, bias, eps, relu, statistics)
    mean, var = statistics
    return out.reshape(*x.shape), mean, var
