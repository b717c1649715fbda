"""The differentiable operations behind the methods of Tensor: elementwise, casts, views, sums, joining."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

from ._autograd import Context, Edge, Node, Primitive, Saved, unchanged
from ._backend import Array, Backend, DType
from ._dtypes import float32, promote
from ._errors import no_tensor
from ._mode import here
from ._optable import OPS, REDUCTIONS, Op
from ._plans import Layout, Plans, layout_of
from ._shape import Shape, broadcast_shapes, reduced_shape
from ._source import Source, refresh
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


class Elementwise(Primitive):
    """What observers are told that an elementwise operation is, with its plan and the tensors."""


class _ElementwiseNode(Node):
    """What an elementwise operation left behind: its function is the op, its context the ways of `_ways_back`."""

    __slots__ = ()

    @property
    def name(self) -> str:
        return self._function.name  # type: ignore[no-any-return]

    def gradients(self, g: Tensor) -> list[Tensor | None]:
        ways = self._context
        if ways is None:
            raise self._was_freed()
        known = [g, *unchanged(self._saved, lambda: self.name)]
        found: list[Tensor | None] = []
        for grad, indices, shape in ways:
            if grad is None:
                found.append(None)
            else:
                gradient = grad(*map(known.__getitem__, indices))
                found.append(gradient if shape is None else sum_to(gradient, shape))
        return found


_Way = tuple[Callable[..., "Tensor"] | None, list[int], Shape | None]


def _ways_back(op: Op, needs: tuple[bool, ...], shapes: Sequence[Shape]) -> tuple[list[int], list[_Way]]:
    """Which of (*operands, out) are to be saved, and for each operand how its gradient comes about.

    That is a function, the indices of its arguments in (g, *saved), and the operand's shape where it is another than
    the last of `shapes`, the result's. The function is None where nothing flows.
    """
    asked = {name for need, names in zip(needs, op.needs, strict=True) if need for name in names}
    kept = [i for i, name in enumerate((*op.operands, "out")) if name in asked]
    known = ["g", *[(*op.operands, "out")[i] for i in kept]]
    ways: list[_Way] = []
    for need, grad, names, shape in zip(needs, op.grads, op.needs, shapes[:-1], strict=True):
        other = None if shape == shapes[-1] else shape
        ways.append((grad if need else None, [known.index(name) for name in names] if need else [], other))
    return kept, ways


def elementwise(name: str, *operands: Operand) -> Tensor:
    """The op of that name, of tensors (at least one) and plain numbers, which broadcast and take a common dtype."""
    mode = here.mode
    recorded, needed = mode.recording, False
    op = OPS[name]
    form: list[Any] = [id(op)]  # which the plan keeps
    arrays: list[Any] = []
    for x in operands:
        if isinstance(x, Value):
            if recorded:
                if Source.written:
                    refresh(x)
                if x._requires_grad:
                    needed = True
            data, layout = x.data, x._layout
            if layout is None or x._laid is not data or layout.backend is not x.backend:
                layout = x.layout
            form.append(layout)
            arrays.append(data)
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
    out = like.new(plan.run(*arrays), None, plan.result)
    if plan.result is None:
        plan.result = out.layout
    if needed or mode.observer is not None:
        tensors: Any = operands
        if plan.numbers:
            tensors = list(operands)
            for i in plan.numbers:
                tensors[i] = like.new(arrays[i])
        if needed and out.data.dtype.kind == "f":
            _record(plan, tensors, out)
        if mode.observer is not None:
            mode.observer(Elementwise, (plan, *tensors), out)
    return out


def _record(plan: _Plan, operands: Sequence[Tensor], out: Tensor) -> None:
    """Leave a node behind for `out`, which the plan made of the operands."""
    edges: list[Edge | None] = []
    needs = 0
    for i, x in enumerate(operands):
        if x._requires_grad:
            edges.append(x.node or x)
            needs |= 1 << i
        else:
            edges.append(None)
    found = plan.ways.get(needs)
    if found is None:
        shapes = [x.data.shape for x in (*operands, out)]
        found = plan.ways[needs] = _ways_back(plan.op, tuple([edge is not None for edge in edges]), shapes)
    kept, ways = found
    saved: list[Saved] = []
    for i in kept:
        x = out if i == len(operands) else operands[i]
        version = x._version
        saved.append((x, 0 if version is None else version.count, None))
    _ElementwiseNode(plan.op, edges, ways, saved, out)


class _Plan:
    """What is done with operands of one form: the dtype that all take, which is the first tensor, which are `numbers`.

    `casts`: which tensors have to be converted to `dtype` before. `run` computes arrays, once all are of one dtype.
    `result`: the layout of what it computes, known from the first time on; `ways`: those of `_ways_back`, by which
    operands need a gradient, a bit for each.
    """

    __slots__ = ("casts", "dtype", "first", "numbers", "op", "result", "run", "ways")

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
        self.ways: dict[int, tuple[list[int], list[_Way]]] = {}
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


class Cast(Primitive):
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


class Copy(Primitive):
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
        ctx.shape = x.data.shape
        plan = _expansions.find((x.layout, shape), x, shape)
        return x.new(plan[0](x.data), x.version, plan[1])

    @staticmethod
    def backward(ctx: Context, g: Tensor) -> Tensor:
        return sum_to(g, ctx.shape)


def _expansion(x: Tensor, shape: Shape) -> tuple[Callable[[Array], Array], Layout]:
    run = x.backend.plan_expand(x.data, shape)
    return run, layout_of(run(x.data), x.backend)


# What expands arrays, and the layout of the result.
_expansions: Plans[tuple[Callable[[Array], Array], Layout]] = Plans(_expansion)


def expand(x: Tensor, shape: Shape) -> Tensor:
    return x if x.data.shape == shape else Expand.apply(x, shape)


class Sum(Primitive):
    @staticmethod
    def forward(ctx: Context, x: Tensor, dims: Shape) -> Tensor:
        ctx.shape = x.data.shape
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
    plan = _reductions.find((name, dims, x.layout), x.backend, name, x.data, dims)
    out = x.new(plan[0](x.data), None, plan[1])
    if plan[1] is None:
        plan[1] = out.layout
    return out


# What reduces, and the layout of the result, known from the first time on.
_reductions: Plans[list[Any]] = Plans(
    lambda backend, name, data, dims: [backend.plan_reduce(REDUCTIONS[name], data, dims), None]
)


# --- joining


class Concatenate(Primitive):
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
