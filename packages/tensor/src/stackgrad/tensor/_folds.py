"""The differentiable reductions except the sum, which is in _ops with broadcasting: each is the other's gradient."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ._autograd import BuiltinFunction, Context
from ._mode import here, is_recording
from ._ops import Copy, Expand, Permute, Sum, concatenate, elementwise, expand, reduced
from ._optable import OPS
from ._plans import Plans
from ._shape import reduced_shape
from ._source import Source
from ._types import Shape
from ._views import reshape

if TYPE_CHECKING:
    from ._tensor import Tensor


class Mean(BuiltinFunction):
    """The sum over `dims` divided by `count`, as one function: it saves nothing, so backward may pass twice."""

    @staticmethod
    def forward(ctx: Context, x: Tensor, dims: Shape, count: int) -> Tensor:
        ctx.shape, ctx.dims, ctx.count = x.data.shape, dims, count
        return _divided(reduced("sum", x, dims) if dims else x, count)

    @staticmethod
    def backward(ctx: Context, g: Tensor) -> Tensor:
        part = g / ctx.count if is_recording() else _divided(g, ctx.count)
        if part.data.shape != ():
            part = reshape(part, reduced_shape(ctx.shape, ctx.dims))
        elif not is_recording():  # nobody else has it, so its view needs no source
            return Expand.forward(Context(), part, ctx.shape)
        return expand(part, ctx.shape)


def _divided(x: Tensor, count: int) -> Tensor:
    """x / count, not recorded."""
    plan = _divisions.find((x.layout, count), x, count)
    out = x.new(plan[0](x.memory()), None, plan[1])
    if plan[1] is None:
        plan[1] = out.layout
    return out


def _division(x: Tensor, count: int) -> list[Any]:
    """A function that divides arrays like that of x by `count`, and the layout of the result, known after a call."""
    divisor = x.backend.constant(count, x.dtype)
    divide = x.backend.plan_elementwise(OPS["div"], x.data, divisor)
    return [lambda array: divide(array, divisor), None]


_divisions: Plans[list[Any]] = Plans(_division)


class Prod(BuiltinFunction):
    """The product along the last dimension. Its gradient multiplies the other elements, so zeros are safe."""

    @staticmethod
    def forward(ctx: Context, x: Tensor) -> Tensor:
        ctx.save(x)
        return reduced("prod", x, (x.ndim - 1,))

    @staticmethod
    def backward(ctx: Context, g: Tensor) -> Tensor:
        (x,) = ctx.saved
        before = _products_before(x)
        after = _products_before(x[..., ::-1])[..., ::-1]
        return g.unsqueeze(-1) * before * after


def _products_before(x: Tensor) -> Tensor:
    """For each element along the last dimension, the product of the elements before it."""
    return running_products(_shifted(x, 1))


def running_products(x: Tensor) -> Tensor:
    """For each element along the last dimension, the product up to and including it, in log2(n) doublings."""
    shift, out = 1, x
    while shift < x.shape[-1]:
        out = out * _shifted(out, shift)
        shift *= 2
    return out


def _shifted(x: Tensor, by: int) -> Tensor:
    """`x` shifted by `by` along the last dimension, with ones shifted in."""
    ones = x.new(x.backend.full((*x.shape[:-1], min(by, x.shape[-1])), 1, x.dtype))
    return concatenate([ones, x[..., : max(x.shape[-1] - by, 0)]], x.ndim - 1)


class Extreme(BuiltinFunction):
    """The largest ("max") or smallest ("min") over `dims`, or NaN if there is one.

    With `to_first`, the gradient goes to the first of equal elements in C order, else they share it; NaN equals NaN.
    """

    @staticmethod
    def forward(ctx: Context, x: Tensor, name: str, dims: Shape, to_first: bool) -> Tensor:
        ctx.extreme, ctx.dims = name, dims
        out = reduced(name, x, dims)
        ctx.save(x, *([] if to_first else [out]))
        return out

    @staticmethod
    def backward(ctx: Context, g: Tensor) -> Tensor:
        x, *out = (saved.detach() for saved in ctx.saved)
        if out:
            kept = reduced_shape(x.shape, ctx.dims)
            equal = (x == reshape(out[0], kept)) | (x != x)
            return equal.where(reshape(g / equal.sum(ctx.dims), kept), 0.0)
        last = _with_last(x, ctx.dims)
        first = last.argmax(-1, True) if ctx.extreme == "max" else last.argmin(-1, True)
        index = first.new(x.backend.full((last.shape[-1],), 1, first.dtype)).cumsum(0) - 1
        order = (*_kept(x, ctx.dims), *ctx.dims)
        spread = reshape(elementwise("where", index == first, g.unsqueeze(-1), 0), tuple(x.shape[i] for i in order))
        return Permute.apply(spread, tuple(order.index(i) for i in range(x.ndim)))


def _kept(x: Tensor, dims: Shape) -> Shape:
    return tuple(i for i in range(x.ndim) if i not in dims)


def _with_last(x: Tensor, dims: Shape) -> Tensor:
    """`x` with `dims` merged into one, the last."""
    kept = _kept(x, dims)
    size = math.prod([x.shape[i] for i in dims])
    return reshape(Permute.apply(x, kept + dims), (*(x.shape[i] for i in kept), size))


def reduce(name: str, x: Tensor, dims: Shape, to_first: bool = False) -> Tensor:
    """The reduction of that name over `dims`, which are removed; `to_first` is for `Extreme`.

    Raises ValueError for the max or min of no elements.
    """
    if not dims:
        return Copy.apply(x)
    mode = here.mode
    seen = mode.observer is not None or (mode.recording and (x._requires_grad or Source.written))
    if not seen and x.data.size and name != "prod":
        return reduced(name, x, dims)
    if name == "sum":
        return Sum.apply(x, dims)
    if name == "prod":
        return Prod.apply(_with_last(x, dims))
    if not all(x.shape[dim] for dim in dims):
        raise ValueError(f"{name} over dim {dims} of shape {x.shape}: there is nothing to take the {name} of")
    return Extreme.apply(x, name, dims, to_first)


def centre(x: Tensor, dims: Shape) -> Tensor:
    """`x` minus its mean over `dims`, twice: the rounding error of the mean may be as large as the deviation.

    No gradient flows through the second mean, which is 0 up to rounding.
    """
    centred = x - x.mean(dims, keepdim=True)
    return centred - centred.detach().mean(dims, keepdim=True)


class CumSum(BuiltinFunction):
    @staticmethod
    def forward(ctx: Context, x: Tensor, dim: int) -> Tensor:
        ctx.dim = dim
        return x.new(x.backend.cumsum(x.data, dim))

    @staticmethod
    def backward(ctx: Context, g: Tensor) -> Tensor:
        flip = (slice(None),) * ctx.dim + (slice(None, None, -1),)
        return CumSum.apply(g[flip], ctx.dim)[flip]
