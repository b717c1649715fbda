"""The differentiable operations behind the methods of Tensor: elementwise, casts, views, reductions, joining."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

from ._autograd import Context, Function, Value
from ._backend import Backend, DType
from ._dtypes import float32, promote
from ._errors import no_tensor
from ._optable import OPS, REDUCTIONS, Op
from ._shape import Shape, broadcast_shapes, reduced_shape
from ._tape import expect_readable
from ._views import View, reshape

if TYPE_CHECKING:
    from ._tensor import Tensor

Operand: TypeAlias = Value | bool | int | float  # a Value is always a Tensor


def common_backend(what: str, *tensors: Value) -> Backend:
    """The one backend all `tensors` are on. Raises ValueError when they mix, TypeError for what is no tensor."""
    x = tensors[0]
    try:
        backend = x.backend
        for x in tensors[1:]:
            if x.backend is not backend:
                raise ValueError(
                    f"{what}: tensors on backends {backend.name!r} and {x.backend.name!r} do not mix: "
                    f"bring one over with .to({backend.name!r})"
                )
    except AttributeError:
        raise no_tensor(what, x) from None
    return backend


# --- elementwise


class Elementwise(Function):
    @staticmethod
    def forward(ctx: Context, op: Op, *operands: Tensor) -> Tensor:
        first = operands[0]
        out = first.new(first.backend.elementwise(op, *[x.data for x in operands]))
        ctx.op = op
        if True in ctx.needs:
            ctx.shapes = [x.data.shape for x in operands]
            ctx.kept = _kept_for(op, ctx.needs)
            if ctx.kept:
                known = (*operands, out)
                ctx.save(*[known[i] for _, i in ctx.kept])
        return out

    @staticmethod
    def backward(ctx: Context, g: Tensor) -> tuple[Tensor | None, ...]:
        known = {"g": g}
        for (name, _), x in zip(ctx.kept, ctx.saved, strict=True):
            known[name] = x
        return tuple(
            sum_to(grad(*[known[name] for name in names]), shape) if need and grad is not None else None
            for need, grad, names, shape in zip(ctx.needs, ctx.op.grads, ctx.op.needs, ctx.shapes, strict=True)
        )

    @classmethod
    def _describe(cls, ctx: Context) -> str:
        return ctx.op.name  # type: ignore[no-any-return]


@cache
def _kept_for(op: Op, needs: tuple[bool, ...]) -> tuple[tuple[str, int], ...]:
    """What the gradients that are wanted ask for besides g: the names, and their indices in (*operands, out)."""
    wanted = {name for need, names in zip(needs, op.needs, strict=True) if need for name in names}
    return tuple([(name, i) for i, name in enumerate((*op.operands, "out")) if name in wanted])


def elementwise(name: str, *operands: Operand) -> Tensor:
    """The op of that name, of tensors (at least one) and plain numbers, which broadcast and take a common dtype."""
    op = OPS[name]
    ready = _as_they_are(op, operands)
    if ready:
        return Elementwise.apply(op, *ready)
    tensors = [x for x in operands if isinstance(x, Value)]
    if not tensors:
        raise TypeError(f"{name} of numbers alone: expected a tensor among them")
    common_backend(name, *tensors)
    if len(tensors) > 1:
        broadcast_shapes(*[x.shape for x in tensors])
    if name == "where":  # the condition takes no part in the dtype
        dtype = common_dtype(op, operands[1:])
        return Elementwise.apply(op, operands[0], *[_operand(x, dtype, tensors[0]) for x in operands[1:]])
    dtype = common_dtype(op, operands)
    return Elementwise.apply(op, *[_operand(x, dtype, tensors[0]) for x in operands])


def _as_they_are(op: Op, operands: Sequence[Operand]) -> Sequence[Operand] | None:
    """The operands where nothing need be cast: tensors of one backend and dtype, which `op` takes, or a float and them.

    None for all other operands: what follows is the rule, and this a short cut to it.
    """
    first = operands[0]
    if not isinstance(first, Value) or op.name == "where":
        return None
    data, backend = first.data, first.backend
    dtype, shape = data.dtype, data.shape
    if dtype.kind not in op.accepts:
        return None
    alike = True
    for x in operands[1:]:
        if isinstance(x, Value):
            other = x.data
            if x.backend is not backend or other.dtype != dtype:
                return None
            if other.shape != shape:
                alike = False
        elif type(x) is float and dtype.kind == "f" and len(operands) == 2:
            return first, first.new(backend.constant(x, dtype))
        else:
            return None
    if not alike:
        broadcast_shapes(*[x.data.shape for x in operands])  # type: ignore[union-attr]
    return operands


def common_dtype(op: Op, operands: Sequence[Operand]) -> DType:
    """The dtype in which `op` is done: the operands' common one, or float32 where `op` is for floats alone."""
    tensors = [x for x in operands if isinstance(x, Value)]
    numbers = [x for x in operands if not isinstance(x, Value)]
    dtypes = [x.dtype for x in tensors if x.ndim]
    weak = [x.dtype for x in tensors if not x.ndim]
    dtype = promote(dtypes, numbers, weak) if dtypes else promote(weak, numbers)
    if dtype.kind in op.accepts:
        return dtype
    if op.accepts != "f":
        raise TypeError(f"{op.name} of {dtype}: expected {_accepted(op)}")
    return float32


def _operand(x: Operand, dtype: DType, like: Value) -> Tensor:
    if isinstance(x, Value):
        return cast(x, dtype)  # type: ignore[arg-type]
    return like.new(like.backend.constant(x, dtype))


def _accepted(op: Op) -> str:
    names = {"b": "bool", "i": "int64", "f": "float32 or float64"}
    return " or ".join(names[kind] for kind in op.accepts)


def sum_to(g: Tensor, shape: Shape) -> Tensor:
    """`g` summed over the dimensions that broadcasting from `shape` added or repeated."""
    if g.shape == shape:
        return g
    new = g.ndim - len(shape)
    dims = tuple(i for i in range(g.ndim) if i < new or (shape[i - new] == 1 and g.shape[i] != 1))
    return reshape(Sum.apply(g, dims), shape)


class Cast(Function):
    @staticmethod
    def forward(ctx: Context, x: Tensor, dtype: DType) -> Tensor:
        ctx.dtype = x.dtype
        return x.new(x.backend.copy(x.data, dtype))

    @staticmethod
    def backward(ctx: Context, g: Tensor) -> Tensor:
        return cast(g, ctx.dtype)


def cast(x: Tensor, dtype: DType) -> Tensor:
    """`x` as `dtype`; a gradient flows between float dtypes."""
    if x.dtype is dtype or x.dtype == dtype:
        return x
    return Cast.apply(x, dtype)


class Copy(Function):
    @staticmethod
    def forward(ctx: Context, x: Tensor) -> Tensor:
        return x.new(x.backend.copy(x.data))

    @staticmethod
    def backward(ctx: Context, g: Tensor) -> Tensor:
        return g


class To(View):
    """To another backend and, for the gradient, back. Between backends of the host a view."""

    @staticmethod
    def forward(ctx: Context, x: Tensor, backend: Backend) -> Tensor:
        ctx.backend = x.backend
        expect_readable(f"to({backend.name!r})")
        data = backend.from_numpy(x.backend.to_numpy(x.data))
        out = x.new(data, x.version if data is x.data else None)
        out.backend = backend
        return out

    @staticmethod
    def backward(ctx: Context, g: Tensor) -> Tensor:
        return To.apply(g, ctx.backend)

    @classmethod
    def strides(cls, x: Value, strides: Shape, *args: Any) -> Shape:
        return strides


# --- views


class Permute(View):
    @staticmethod
    def forward(ctx: Context, x: Tensor, dims: Shape) -> Tensor:
        ctx.inverse = tuple(dims.index(i) for i in range(len(dims)))
        return x.new(x.backend.permute(x.data, dims), x.version)

    @staticmethod
    def backward(ctx: Context, g: Tensor) -> Tensor:
        return Permute.apply(g, ctx.inverse)


class Expand(View):
    @staticmethod
    def forward(ctx: Context, x: Tensor, shape: Shape) -> Tensor:
        ctx.shape = x.shape
        return x.new(x.backend.expand(x.data, shape), x.version)

    @staticmethod
    def backward(ctx: Context, g: Tensor) -> Tensor:
        return sum_to(g, ctx.shape)


def expand(x: Tensor, shape: Shape) -> Tensor:
    return x if x.shape == shape else Expand.apply(x, shape)


# --- reductions


class Sum(Function):
    @staticmethod
    def forward(ctx: Context, x: Tensor, dims: Shape) -> Tensor:
        ctx.shape = x.shape
        ctx.kept = reduced_shape(x.shape, dims)
        return x.new(x.backend.reduce(REDUCTIONS["sum"], x.data, dims))

    @staticmethod
    def backward(ctx: Context, g: Tensor) -> Tensor:
        return expand(reshape(g, ctx.kept), ctx.shape)


class Mean(Function):
    """The sum over `dims` divided by `count`, as one: it saves nothing, so that backward may pass twice."""

    @staticmethod
    def forward(ctx: Context, x: Tensor, dims: Shape, count: int) -> Tensor:
        ctx.shape, ctx.count = x.shape, count
        ctx.kept = reduced_shape(x.shape, dims)
        return elementwise("div", x.new(x.backend.reduce(REDUCTIONS["sum"], x.data, dims) if dims else x.data), count)

    @staticmethod
    def backward(ctx: Context, g: Tensor) -> Tensor:
        return expand(reshape(g / ctx.count, ctx.kept), ctx.shape)


class Prod(Function):
    """The product along the last dimension. Its gradient multiplies all the others, so that zeros are no trouble."""

    @staticmethod
    def forward(ctx: Context, x: Tensor) -> Tensor:
        ctx.save(x)
        return x.new(x.backend.reduce(REDUCTIONS["prod"], x.data, (x.ndim - 1,)))

    @staticmethod
    def backward(ctx: Context, g: Tensor) -> Tensor:
        (x,) = ctx.saved
        before = _products_before(x)
        after = _products_before(x[..., ::-1])[..., ::-1]
        return g.unsqueeze(-1) * before * after


def _products_before(x: Tensor) -> Tensor:
    """For each element along the last dimension the product of those before it, in log2(n) doublings."""
    shift, out = 1, _shifted(x, 1)
    while shift < x.shape[-1]:
        out = out * _shifted(out, shift)
        shift *= 2
    return out


def _shifted(x: Tensor, by: int) -> Tensor:
    """`x` moved `by` places along the last dimension, ones moved in."""
    ones = x.new(x.backend.full((*x.shape[:-1], min(by, x.shape[-1])), 1, x.dtype))
    return concatenate([ones, x[..., : max(x.shape[-1] - by, 0)]], x.ndim - 1)


class Extreme(Function):
    """The largest ("max") or smallest ("min") over `dims`, and NaN where there is one.

    The gradient goes to the first of equals in C order where `to_first`, else they share it; NaN equals NaN.
    """

    @staticmethod
    def forward(ctx: Context, x: Tensor, name: str, dims: Shape, to_first: bool) -> Tensor:
        ctx.extreme, ctx.dims = name, dims
        out = x.new(x.backend.reduce(REDUCTIONS[name], x.data, dims))
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
        place = first.new(x.backend.full((last.shape[-1],), 1, first.dtype)).cumsum(0) - 1
        order = (*_kept(x, ctx.dims), *ctx.dims)
        spread = reshape(elementwise("where", place == first, g.unsqueeze(-1), 0), tuple(x.shape[i] for i in order))
        return Permute.apply(spread, tuple(order.index(i) for i in range(x.ndim)))


def _kept(x: Tensor, dims: Shape) -> Shape:
    return tuple(i for i in range(x.ndim) if i not in dims)


def _with_last(x: Tensor, dims: Shape) -> Tensor:
    """`x` with `dims` as one, the last."""
    kept = _kept(x, dims)
    size = math.prod([x.shape[i] for i in dims])
    return reshape(Permute.apply(x, kept + dims), (*(x.shape[i] for i in kept), size))


def reduce(name: str, x: Tensor, dims: Shape, to_first: bool = False) -> Tensor:
    """The reduction of that name over `dims`, which are removed; `to_first` is for `Extreme`."""
    if not dims:
        return Copy.apply(x)
    if name == "sum":
        return Sum.apply(x, dims)
    if name == "prod":
        return Prod.apply(_with_last(x, dims))
    if not all(x.shape[dim] for dim in dims):
        raise ValueError(f"{name} over dim {dims} of shape {x.shape}: there is nothing to take the {name} of")
    return Extreme.apply(x, name, dims, to_first)


def centre(x: Tensor, dims: Shape) -> Tensor:
    """`x` less its mean over `dims`, twice: what rounding took from the mean may be as large as the deviation.

    No gradient flows through the second mean, which is 0 but for rounding.
    """
    centred = x - x.mean(dims, keepdim=True)
    return centred - centred.detach().mean(dims, keepdim=True)


class CumSum(Function):
    @staticmethod
    def forward(ctx: Context, x: Tensor, dim: int) -> Tensor:
        ctx.dim = dim
        return x.new(x.backend.cumsum(x.data, dim))

    @staticmethod
    def backward(ctx: Context, g: Tensor) -> Tensor:
        flip = (slice(None),) * ctx.dim + (slice(None, None, -1),)
        return CumSum.apply(g[flip], ctx.dim)[flip]


# --- joining


class Concatenate(Function):
    @staticmethod
    def forward(ctx: Context, dim: int, *tensors: Tensor) -> Tensor:
        first, extents = tensors[0], [x.shape[dim] for x in tensors]
        ctx.dim, ctx.extents = dim, extents
        backend = first.backend
        out = backend.empty((*first.shape[:dim], sum(extents), *first.shape[dim + 1 :]), first.dtype)
        for key, x in zip(_consecutive(dim, extents), tensors, strict=True):
            backend.assign(backend.slice(out, key), x.data)
        return first.new(out)

    @staticmethod
    def backward(ctx: Context, g: Tensor) -> tuple[Tensor | None, ...]:
        keys = _consecutive(ctx.dim, ctx.extents)
        return tuple(g[key] if need else None for key, need in zip(keys, ctx.needs, strict=True))


def _consecutive(dim: int, extents: Sequence[int]) -> list[tuple[slice, ...]]:
    keys, start = [], 0
    for extent in extents:
        keys.append((slice(None),) * dim + (slice(start, start + extent),))
        start += extent
    return keys


def concatenate(tensors: Sequence[Tensor], dim: int) -> Tensor:
    common_backend("concatenate", *tensors)
    dtype = promote([x.dtype for x in tensors])
    first = tensors[0].shape
    for x in tensors:
        if x.ndim != len(first) or any(a != b for i, (a, b) in enumerate(zip(x.shape, first, strict=True)) if i != dim):
            raise ValueError(f"concatenate along dim {dim}: shapes {first} and {x.shape} differ in another dimension")
    return Concatenate.apply(dim, *(cast(x, dtype) for x in tensors))
