"""The differentiable operations behind the methods of Tensor: elementwise, casts, views, sums, joining."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

from ._autograd import Context, Function
from ._backend import Array, Backend, DType
from ._dtypes import float32, promote
from ._errors import no_tensor
from ._mode import here
from ._optable import OPS, REDUCTIONS, Op
from ._plans import Layout, Plans
from ._shape import Shape, broadcast_shapes, reduced_shape
from ._source import Source
from ._value import Value
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
                remedy = backend.remedy or x.backend.remedy or f"bring one over with .to({backend.name!r})"
                raise ValueError(
                    f"{what}: tensors on backends {backend.name!r} and {x.backend.name!r} do not mix: {remedy}"
                )
    except AttributeError:
        raise no_tensor(what, x) from None
    return backend


# --- elementwise


class Elementwise(Function):
    @staticmethod
    def forward(ctx: Context, plan: _Plan, *operands: Tensor) -> Tensor:
        out = operands[0].new(plan.run(*[x.data for x in operands]), None, plan.result)
        op = ctx.op = plan.op
        needs = ctx.needs
        if True in needs:
            ctx.shapes = [x.data.shape for x in operands]
            ctx.kept = _kept_for(op, needs)
            if ctx.kept:
                known = (*operands, out)
                ctx.save(*[known[i] for _, i in ctx.kept])
        return out

    @staticmethod
    def backward(ctx: Context, g: Tensor) -> tuple[Tensor | None, ...]:
        op, known = ctx.op, {"g": g}
        for (name, _), x in zip(ctx.kept, ctx.saved):  # noqa: B905 - as many, and faster
            known[name] = x
        found: list[Tensor | None] = []
        for need, shape, grad, names in zip(ctx.needs, ctx.shapes, op.grads, op.needs):  # noqa: B905 - the same
            found.append(sum_to(grad(*[known[name] for name in names]), shape) if need and grad is not None else None)
        return tuple(found)

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
    mode = here.mode
    recorded = mode.recording
    applied = mode.observer is not None
    op = OPS[name]
    form: list[Any] = [id(op)]  # which the plan keeps
    arrays: list[Any] = []
    for x in operands:
        if isinstance(x, Value):
            data, layout = x.data, x._layout
            if layout is None or x._laid is not data or layout.backend is not x.backend:
                layout = x.layout
            form.append(layout)
            arrays.append(data)
            if recorded and (x._requires_grad or Source.written):
                applied = True
        else:
            form.append(type(x))
            arrays.append(x)
    plan = _plans.find(tuple(form), op, operands)
    if plan.casts:
        converted = list(operands)
        for i in plan.casts:
            converted[i] = cast(converted[i], plan.dtype)  # type: ignore[arg-type]
        return elementwise(name, *converted)
    like: Tensor = operands[plan.first]  # type: ignore[assignment]
    for i in plan.numbers:
        arrays[i] = like.backend.constant(arrays[i], plan.dtype)
    if applied:
        tensors = list(operands)
        for i in plan.numbers:
            tensors[i] = like.new(arrays[i])
        return Elementwise.apply(plan, *tensors)
    out = like.new(plan.run(*arrays), None, plan.result)
    if plan.result is None:
        plan.result = out.layout
    return out


class _Plan:
    """What is done with operands of one form: the dtype that all take, which is the first tensor, which are `numbers`.

    `casts`: which tensors have to be converted to `dtype` before. `run` computes arrays, once all are of one dtype.
    `result`: the layout of what it computes, known from the first time on.
    """

    __slots__ = ("casts", "dtype", "first", "numbers", "op", "result", "run")

    def __init__(self, op: Op, operands: Sequence[Operand]) -> None:
        tensors = {i: x for i, x in enumerate(operands) if isinstance(x, Value)}
        if not tensors:
            raise TypeError(f"{op.name} of numbers alone: expected a tensor among them")
        common_backend(op.name, *tensors.values())
        broadcast_shapes(*[x.shape for x in tensors.values()])
        conditions = 1 if op.name == "where" else 0  # which take no part in the dtype
        self.op, self.first = op, min(tensors)
        self.numbers = [i for i in range(len(operands)) if i not in tensors]
        self.result: Layout | None = None
        self.dtype = common_dtype(op, operands[conditions:])
        self.casts = [i for i, x in tensors.items() if i >= conditions and x.dtype != self.dtype]
        if not self.casts:
            backend = tensors[self.first].backend
            arrays = [x.data if isinstance(x, Value) else backend.constant(x, self.dtype) for x in operands]
            self.run = backend.plan_elementwise(op, *arrays)

    @property
    def name(self) -> str:
        """That of the op: what observers read."""
        return self.op.name


_plans: Plans[_Plan] = Plans(_Plan)


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
        data = backend.from_numpy(x.read(f"to({backend.name!r})"))
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


class Sum(Function):
    @staticmethod
    def forward(ctx: Context, x: Tensor, dims: Shape) -> Tensor:
        ctx.shape = x.shape
        ctx.kept = () if dims == _leading(len(dims)) else reduced_shape(x.shape, dims)
        return reduced("sum", x, dims)

    @staticmethod
    def backward(ctx: Context, g: Tensor) -> Tensor:
        return expand(reshape(g, ctx.kept) if ctx.kept else g, ctx.shape)


@cache
def _leading(count: int) -> Shape:
    return tuple(range(count))


def reduced(name: str, x: Tensor, dims: Shape) -> Tensor:
    """The reduction of that name over `dims` (ascending, at least one), which leaves no record."""
    return x.new(_reductions.find((name, dims, x.layout), x.backend, name, x.data, dims)(x.data))


_reductions: Plans[Callable[[Array], Array]] = Plans(
    lambda backend, name, data, dims: backend.plan_reduce(REDUCTIONS[name], data, dims)
)


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
