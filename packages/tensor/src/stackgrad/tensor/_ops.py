"""The differentiable operations behind the methods of Tensor: elementwise, casts, views, sums, joining."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from ._autograd import BuiltinFunction, Context, Edge, Node, Saved, check_unchanged
from ._backend import Backend
from ._dtypes import float32, promote
from ._errors import not_a_tensor
from ._mode import here
from ._optable import OPS, REDUCTIONS, Op
from ._plans import Layout, Plans, layout_of
from ._shape import broadcast_shapes, reduced_shape
from ._source import Source, refresh
from ._types import Array, DType, Operand, Shape
from ._value import Value
from ._views import View, reshape

if TYPE_CHECKING:
    from ._tensor import Tensor


def common_backend(what: str, *tensors: Value) -> Backend:
    """The backend that all `tensors` are on. Raises ValueError if they differ, TypeError for what is not a tensor."""
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
        raise not_a_tensor(what, x) from None
    return backend


# --- elementwise


class Elementwise(BuiltinFunction):
    """What observers (see `_mode`) get in place of a Function, with the plan and the tensors as arguments."""


class _ElementwiseNode(Node):
    """The node of an elementwise operation: its function is the op, its context the `_Rule`s of `_gradient_rules`."""

    __slots__ = ()

    @property
    def name(self) -> str:
        return self._function.name  # type: ignore[no-any-return]

    def gradients(self, g: Tensor) -> list[Tensor | None]:
        rules = self._context
        if rules is None:
            raise self._was_freed()
        known = [g, *check_unchanged(self._saved, lambda: self.name)]
        found: list[Tensor | None] = []
        for grad, indices, shape in rules:
            if grad is None:
                found.append(None)
            else:
                gradient = grad(*map(known.__getitem__, indices))
                found.append(gradient if shape is None else sum_to(gradient, shape))
        return found


# How to compute the gradient of one operand: a function (None: no gradient flows), the indices of its arguments in
# (g, *saved), and the shape to sum to (None: that of the result).
_Rule = tuple[Callable[..., "Tensor"] | None, list[int], Shape | None]


def _gradient_rules(op: Op, needs: tuple[bool, ...], shapes: Sequence[Shape]) -> tuple[list[int], list[_Rule]]:
    """The indices in (*operands, out) of the tensors to save, and a rule for each operand.

    `shapes` are those of (*operands, out).
    """
    names_of = (*op.operands, "out")
    needed = {name for need, names in zip(needs, op.needs, strict=True) if need for name in names}
    kept = [i for i, name in enumerate(names_of) if name in needed]
    known = ["g", *[names_of[i] for i in kept]]
    rules: list[_Rule] = []
    for need, grad, names, shape in zip(needs, op.grads, op.needs, shapes[:-1], strict=True):
        sum_shape = None if shape == shapes[-1] else shape
        rules.append((grad if need else None, [known.index(name) for name in names] if need else [], sum_shape))
    return kept, rules


def elementwise(name: str, *operands: Operand) -> Tensor:
    """Apply the op of that name to tensors (at least one) and Python scalars, broadcast and in a common dtype."""
    mode = here.mode
    recorded, needed = mode.recording, False
    op = OPS[name]
    key: list[Any] = [id(op)]  # the plan keeps `op` alive
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
            key.append(layout)
            arrays.append(data)
        else:
            key.append(type(x))
            arrays.append(x)
    plan = _plans.find(tuple(key), op, operands)
    if plan.casts:
        converted = list(operands)
        for i in plan.casts:
            converted[i] = cast(converted[i], plan.dtype)  # type: ignore[arg-type]
        return elementwise(name, *converted)
    like: Tensor = operands[plan.first]  # type: ignore[assignment]
    for i in plan.scalars:
        arrays[i] = like.backend.constant(arrays[i], plan.dtype)
    out = like.new(plan.run(*arrays), None, plan.result)
    if plan.result is None:
        plan.result = out.layout
    if needed or mode.observer is not None:
        tensors: Any = operands
        if plan.scalars:
            tensors = list(operands)
            for i in plan.scalars:
                tensors[i] = like.new(arrays[i])
        if needed and out.data.dtype.kind == "f":
            _record(plan, tensors, out)
        if mode.observer is not None:
            mode.observer(Elementwise, (plan, *tensors), out)
    return out


def _record(plan: _Plan, operands: Sequence[Tensor], out: Tensor) -> None:
    """Create the node of `out`, which the plan computed from the operands."""
    edges: list[Edge | None] = []
    needs = 0
    for i, x in enumerate(operands):
        if x._requires_grad:
            edges.append(x.node or x)
            needs |= 1 << i
        else:
            edges.append(None)
    found = plan.rules.get(needs)
    if found is None:
        shapes = [x.data.shape for x in (*operands, out)]
        found = plan.rules[needs] = _gradient_rules(plan.op, tuple([edge is not None for edge in edges]), shapes)
    kept, rules = found
    saved: list[Saved] = []
    for i in kept:
        x = out if i == len(operands) else operands[i]
        version = x._version
        saved.append((x, 0 if version is None else version.count, None))
    _ElementwiseNode(plan.op, edges, rules, saved, out)


class _Plan:
    """What to do with operands of these layouts, and with scalars of these types.

    `dtype` is their common dtype; `first` the index of the first tensor; `scalars` the indices of Python scalars;
    `casts` those of tensors to convert to `dtype`. `run` computes the result from arrays of one dtype; `result` is its
    layout, known after the first call. `rules` holds `_gradient_rules` by which operands need a gradient, a bit each.
    """

    __slots__ = ("casts", "dtype", "first", "op", "result", "rules", "run", "scalars")

    def __init__(self, op: Op, operands: Sequence[Operand]) -> None:
        tensors = {i: x for i, x in enumerate(operands) if isinstance(x, Value)}
        if not tensors:
            raise TypeError(f"{op.name} of Python scalars alone: expected a tensor among them")
        common_backend(op.name, *tensors.values())
        broadcast_shapes(*[x.shape for x in tensors.values()])
        conditions = 1 if op.name == "where" else 0  # leading operands that do not affect the dtype
        self.op, self.first = op, min(tensors)
        self.scalars = [i for i in range(len(operands)) if i not in tensors]
        self.result: Layout | None = None
        self.rules: dict[int, tuple[list[int], list[_Rule]]] = {}
        self.dtype = common_dtype(op, operands[conditions:])
        self.casts = [i for i, x in tensors.items() if i >= conditions and x.dtype != self.dtype]
        if not self.casts:
            backend = tensors[self.first].backend
            arrays = [x.data if isinstance(x, Value) else backend.constant(x, self.dtype) for x in operands]
            self.run = backend.plan_elementwise(op, *arrays)

    @property
    def name(self) -> str:
        """The name of the op, for observers."""
        return self.op.name


_plans: Plans[_Plan] = Plans(_Plan)


def common_dtype(op: Op, operands: Sequence[Operand]) -> DType:
    """The dtype in which `op` is computed: the common one, or float32 if `op` takes floats alone and that is none.

    Raises TypeError if `op` does not accept the common dtype.
    """
    tensors = [x for x in operands if isinstance(x, Value)]
    scalars = [x for x in operands if not isinstance(x, Value)]
    dtypes = [x.dtype for x in tensors if x.ndim]
    weak = [x.dtype for x in tensors if not x.ndim]
    dtype = promote(dtypes, scalars, weak) if dtypes else promote(weak, scalars)
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


class Cast(BuiltinFunction):
    @staticmethod
    def forward(ctx: Context, x: Tensor, dtype: DType) -> Tensor:
        ctx.dtype = x.dtype
        return x.new(x.backend.copy(x.data, dtype))

    @staticmethod
    def backward(ctx: Context, g: Tensor) -> Tensor:
        return cast(g, ctx.dtype)


def cast(x: Tensor, dtype: DType) -> Tensor:
    """`x` converted to `dtype`; gradients flow between float dtypes."""
    if x.dtype is dtype or x.dtype == dtype:
        return x
    return Cast.apply(x, dtype)


class Copy(BuiltinFunction):
    @staticmethod
    def forward(ctx: Context, x: Tensor) -> Tensor:
        return x.new(x.backend.copy(x.data))

    @staticmethod
    def backward(ctx: Context, g: Tensor) -> Tensor:
        return g


class To(View):
    """To another backend, and back for the gradient. Between host backends it is a view."""

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


# The function that expands an array, and the layout of the result.
_expansions: Plans[tuple[Callable[[Array], Array], Layout]] = Plans(_expansion)


def expand(x: Tensor, shape: Shape) -> Tensor:
    return x if x.data.shape == shape else Expand.apply(x, shape)


class Sum(BuiltinFunction):
    @staticmethod
    def forward(ctx: Context, x: Tensor, dims: Shape) -> Tensor:
        ctx.shape = x.data.shape
        # Broadcasting restores leading dimensions; any other needs its extent of 1 back first.
        ctx.kept = () if dims == _leading(len(dims)) else reduced_shape(x.shape, dims)
        return reduced("sum", x, dims)

    @staticmethod
    def backward(ctx: Context, g: Tensor) -> Tensor:
        return expand(reshape(g, ctx.kept) if ctx.kept else g, ctx.shape)


@cache
def _leading(count: int) -> Shape:
    return tuple(range(count))


def reduced(name: str, x: Tensor, dims: Shape) -> Tensor:
    """The reduction of that name over `dims` (ascending, at least one), not recorded."""
    plan = _reductions.find((name, dims, x.layout), x.backend, name, x.data, dims)
    out = x.new(plan[0](x.data), None, plan[1])
    if plan[1] is None:
        plan[1] = out.layout
    return out


# The function that reduces an array, and the layout of the result, known after the first call.
_reductions: Plans[list[Any]] = Plans(
    lambda backend, name, data, dims: [backend.plan_reduce(REDUCTIONS[name], data, dims), None]
)


# --- joining


class Concatenate(BuiltinFunction):
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
