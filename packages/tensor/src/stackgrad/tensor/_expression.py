"""Tracing: a function of tensors as an expression, obtained by calling it with tensors on the backend `Tracing`.

The arrays of this backend are expressions instead of memory, so Tensor's dtypes, broadcasting and gradients apply
unchanged: a method that uses operations of the op table is traced, and `backward` of a traced result yields the
expression of its gradient. Equal expressions are one object, which eliminates common subexpressions. Work that is not
elementwise cannot be traced and raises `Untraceable`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn
from weakref import WeakValueDictionary

from ._backend import Backend
from ._dtypes import Symbolic, bool_, int64
from ._optable import Op, Reduction
from ._shape import broadcast_shapes, strides_in_order
from ._stage import Axes
from ._types import DType, Shape


class Untraceable(Exception):
    """A function does something that no expression can represent; the message gives the reason."""


class Expression:
    """An array of `shape` and `dtype`, computed from `operands`, which broadcast.

    `kind` is the type of node, and `what` its details:

        input     the operand of index `what`                   scalar   the scalar argument of index `what`
        constant  the value `what`                              cast     its operand in this dtype, or this shape
        op        the op of the table named `what`              reduce   (name of the reduction, dims that it removes)
        view      its operand's dimension what[d] as dimension d, or a dimension of extent 1 where that is None
        call      (name of the backend's method, its arguments before the operand, those after it)
    """

    __slots__ = ("__weakref__", "dtype", "kind", "operands", "shape", "what")

    kind: str
    what: Any
    operands: tuple[Expression, ...]
    shape: Shape
    dtype: DType

    def __new__(cls, kind: str, what: Any, operands: tuple[Expression, ...], shape: Shape, dtype: DType) -> Expression:
        key = kind, repr(what), tuple([id(x) for x in operands]), shape, dtype  # NaN is not equal to itself
        found = _known.get(key)
        if found is None:
            found = super().__new__(cls)
            found.kind, found.what, found.operands, found.shape, found.dtype = kind, what, operands, shape, dtype
            _known[key] = found
        return found

    @property
    def strides(self) -> Shape:
        return tuple([stride * self.dtype.itemsize for stride in strides_in_order(self.shape)])

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        size = 1
        for extent in self.shape:
            size *= extent
        return size

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize


_known: WeakValueDictionary[Any, Expression] = WeakValueDictionary()


def _refusal(name: str) -> Callable[..., NoReturn]:
    def refuse(self: Backend, *args: Any, **options: Any) -> NoReturn:
        raise Untraceable(f"{name} is not computed element by element by the op table")

    return refuse


# A backend that refuses every primitive.
_Refusing: Any = type("_Refusing", (Backend,), {name: _refusal(name) for name in sorted(Backend.__abstractmethods__)})


class Tracing(_Refusing):  # type: ignore[misc]
    """Computes expressions of expressions."""

    name = "fuse"
    remedy = "a fused function computes with its arguments alone: pass the tensor as one"

    def to_numpy(self, array: Expression) -> NoReturn:
        raise Untraceable("it reads or branches on a value, which is known only when the function runs")

    from_numpy = to_numpy

    def is_writable(self, a: Expression) -> NoReturn:
        raise Untraceable("it writes in place: compute a new tensor")

    def empty(self, shape: Shape, dtype: DType) -> Expression:
        return self.full(shape, 0, dtype)

    def full(self, shape: Shape, value: Any, dtype: DType) -> Expression:
        if isinstance(value, Symbolic):
            return self.copy(value.expression, dtype)
        return Expression("constant", value, (), shape, dtype)

    def copy(self, a: Expression, dtype: DType | None = None) -> Expression:
        return a if dtype is None or dtype == a.dtype else Expression("cast", None, (a,), a.shape, dtype)

    def owns_memory(self, a: Expression) -> bool:
        return True

    def is_contiguous(self, a: Expression) -> bool:
        return True

    def shares_memory(self, a: Expression, b: Expression) -> bool:
        return False

    def elementwise(self, op: Op, *operands: Expression) -> Expression:
        shape = broadcast_shapes(*[x.shape for x in operands])
        return Expression("op", op.name, operands, shape, bool_ if op.result == "bool" else operands[-1].dtype)

    def reduce(self, reduction: Reduction, a: Expression, dims: Shape) -> Expression:
        shape = tuple([extent for d, extent in enumerate(a.shape) if d not in dims])
        return Expression("reduce", (reduction.name, dims), (a,), shape, a.dtype)

    # Only gradients of reductions use these, to find the first of equal elements.

    def arg_reduce(self, name: str, a: Expression, dim: int) -> Expression:
        return Expression("call", ("arg_reduce", (name,), (dim,)), (a,), a.shape[:dim] + a.shape[dim + 1 :], int64)

    def cumsum(self, a: Expression, dim: int) -> Expression:
        return Expression("call", ("cumsum", (), (dim,)), (a,), a.shape, a.dtype)

    # --- views

    def reshape(self, a: Expression, shape: Shape) -> Expression:
        if a.shape == shape:
            return a
        long = [d for d, extent in enumerate(a.shape) if extent != 1]
        if [a.shape[d] for d in long] != [extent for extent in shape if extent != 1]:
            raise Untraceable(f"reshape of shape {a.shape} to {shape}: it may only add or drop dimensions of extent 1")
        left = iter(long)
        return _view(a, tuple([next(left) if extent != 1 else None for extent in shape]))

    def permute(self, a: Expression, dims: Shape) -> Expression:
        return a if dims == tuple(range(a.ndim)) else _view(a, dims)

    def expand(self, a: Expression, shape: Shape) -> Expression:
        return Expression("cast", None, (a,), shape, a.dtype)

    def slice(self, a: Expression, key: tuple[int | slice | None, ...]) -> Expression:
        axes: list[int | None] = []
        d = 0
        for part in key:
            if part is None:
                axes.append(None)
                continue
            if not isinstance(part, slice) or part.indices(a.shape[d]) != (0, a.shape[d], 1):
                raise Untraceable("it slices a tensor: slice it outside, and pass the part")
            axes.append(d)
            d += 1
        return _view(a, (*axes, *range(d, a.ndim)))


def _view(a: Expression, axes: Axes) -> Expression:
    """`a` with its dimension axes[d] as dimension d. A view of a computed expression becomes views of its operands."""
    shape = tuple([1 if axis is None else a.shape[axis] for axis in axes])
    if a.kind in ("constant", "scalar"):
        return Expression("cast", None, (a,), shape, a.dtype)
    if a.kind == "view":
        axes, a = tuple([None if axis is None else a.what[axis] for axis in axes]), a.operands[0]
    if a.kind not in ("op", "cast"):
        axes = tuple([None if axis is None or a.shape[axis] == 1 else axis for axis in axes])
        return Expression("view", axes, (a,), shape, a.dtype)
    return Expression(a.kind, a.what, tuple([_view(x, _shifted(axes, a, x)) for x in a.operands]), shape, a.dtype)


def _shifted(axes: Axes, a: Expression, operand: Expression) -> Axes:
    """The axes of an expression as axes of an operand, which broadcasts to it."""
    new = a.ndim - operand.ndim
    return tuple([
        None if axis is None or axis < new or operand.shape[axis - new] == 1 else axis - new for axis in axes
    ])  # fmt: skip


tracing = Tracing()
