"""Linear, embedding, batch normalisation and dropout."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ._autograd import Context, Primitive
from ._checks import expect_float, expect_same_dtype
from ._dtypes import int64
from ._folds import centre
from ._indexing import Gather
from ._matmul import MatMul
from ._mode import is_recording
from ._ops import Permute, Sum, common_backend
from ._plans import Layout, Plans
from ._random import Generator, default_generator, next_draw

if TYPE_CHECKING:
    from ._tensor import Tensor


class Linear(Primitive):
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
            g = g.masked_by(out[0])
        grads = (
            MatMul.apply(g, weight) if needs[0] else None,
            MatMul.apply(Permute.apply(g, (1, 0)), x) if needs[1] else None,
            Sum.apply(g, (0,)) if needs[2] else None,
        )
        return grads[: 2 + len(rest)]


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None, relu: bool = False) -> Tensor:
    """x (..., i) times the transpose of weight (o, i), plus bias (o,): (..., o). `relu` fuses a relu into the result.

    Raises ValueError for shapes that do not match and TypeError for mixed or integer dtypes.

    >>> linear(ones(2, 3), ones(4, 3), ones(4)).shape
    (2, 4)
    """
    try:
        form = (x.layout, weight.layout, None if bias is None else bias.layout)
    except AttributeError:
        common_backend("linear", x, weight, *(() if bias is None else (bias,)))
        raise
    plan = _plans.find(form, x, weight, bias)
    if plan.is_matrix:
        out = Linear.apply(x, weight, bias, relu)
        if plan.result is None:
            plan.result = out.layout
        out._layout = plan.result
        return out
    flat = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
    return Linear.apply(flat, weight, bias, relu).reshape(*x.shape[:-1], weight.shape[0])


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
        if bias is not None and bias.shape != weight.shape[:1]:
            raise ValueError(f"linear: bias of shape {bias.shape}: expected ({weight.shape[0]},), one for each output")
        self.is_matrix = x.ndim == 2
        self.result: Layout | None = None


_plans: Plans[_Plan] = Plans(_Plan)


def embedding(index: Tensor, weight: Tensor) -> Tensor:
    """The rows of weight (r, k) at the indices, int64 in 0 .. r - 1: (*index.shape, k).

    Raises IndexError for an index out of range, ValueError for another shape of weight, TypeError for dtypes.

    >>> embedding(tensor([1, 0]), tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[3., 4.],
            [1., 2.]])
    """
    common_backend("embedding", index, weight)
    expect_float("embedding", weight)
    if weight.ndim != 2:
        raise ValueError(f"embedding: weight of shape {weight.shape}: expected (rows, features)")
    if index.dtype != int64:
        raise TypeError(f"embedding: indices of dtype {index.dtype}: expected int64; use .astype(int64)")
    rows, features = weight.shape
    message = f"embedding: index {{}} is out of range: expected 0 to {rows - 1}"
    index.backend.checked_index(index.memory(), 0, rows, IndexError, message)
    return Gather.apply(weight, index.reshape(index.size)).reshape(*index.shape, features)


class BatchNorm(Primitive):
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
            g = g.masked_by(normal * weight + bias.reshape(1, -1, 1))
        rest = g - g.mean((0, 2), keepdim=True) - normal * (g * normal).mean((0, 2), keepdim=True)
        return rest * scale * weight, (g * normal).sum((0, 2)), g.sum((0, 2))


def batch_norm(
    x: Tensor, weight: Tensor, bias: Tensor, eps: float = 1e-5, relu: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """x (n, c, ...) normalised to mean 0 and variance 1 in each channel, times weight (c,) plus bias (c,).

    `relu` fuses a relu into the result.

    Returns (out, mean (c,), biased variance (c,)); no gradient flows through the last two. The mean is accurate to 2
    eps of the largest magnitude and the variance to 256 eps of itself, even if the mean is far larger than the
    deviation; both are NaN for an empty x. Raises ValueError for shapes that do not match, for no channels and for one
    value per channel, TypeError for mixed or integer dtypes.
    S. Ioffe and C. Szegedy, "Batch normalization" (https://arxiv.org/abs/1502.03167).

    >>> batch_norm(tensor([[1.0], [3.0]]), ones(1), zeros(1), eps=0.0)
    (tensor([[-1.],
            [ 1.]]), tensor([2.]), tensor([1.]))
    """
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


class Dropout(Primitive):
    @staticmethod
    def forward(ctx: Context, x: Tensor, rate: float, draw: NDArray[np.uint64]) -> Tensor:
        out, mask = x.backend.dropout(x.data, rate, draw)
        ctx.save(x.new(mask))
        return x.new(out)

    @staticmethod
    def backward(ctx: Context, g: Tensor) -> Tensor:
        (mask,) = ctx.saved
        return g * mask


def dropout(x: Tensor, rate: float, generator: Generator | None = None) -> Tensor:
    """Replace each element by 0 with probability `rate` (0 to 1), and scale the others by 1 / (1 - rate).

    The mask depends on the generator and the element's index in C order alone. If several processes share a batch, that
    is the index in the whole batch. Raises ValueError for another rate and TypeError for integers.
    N. Srivastava et al., "Dropout" (https://jmlr.org/papers/v15/srivastava14a.html).

    >>> dropout(ones(4), 0.0)
    tensor([1., 1., 1., 1.])
    """
    if not 0 <= rate <= 1:
        raise ValueError(f"dropout: rate {rate}: expected 0 to 1")
    expect_float("dropout", x)
    row = math.prod(x.shape[1:])
    return Dropout.apply(x, rate, next_draw(generator or default_generator(), row))
