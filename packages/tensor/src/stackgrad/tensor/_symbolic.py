"""Symbolic scalars: scalar arguments of a traced function, whose values are known only when it runs."""

from __future__ import annotations

from typing import Any

from ._dtypes import Symbolic, bool_, float32, float64, int64
from ._expression import Expression, Untraceable, tracing
from ._optable import OPS
from ._types import Scalar


class Wanted(BaseException):
    """Tracing needs the value of the integer of this index."""


class SymbolicScalar(Symbolic):
    """An expression without dimensions that follows Python's arithmetic: float64, or int64 for integers."""

    __slots__ = ()

    def __new__(cls, expression: Expression) -> SymbolicScalar:
        made = object.__new__(_BY_KIND[expression.dtype.kind])
        made.expression = expression
        return made

    def __bool__(self) -> bool:
        raise Untraceable("it branches on a scalar: pass a bool, or a tensor to `where`")

    def __float__(self) -> float:
        raise Untraceable("it asks for the value of a scalar, which is known only when the function runs")

    def __int__(self) -> int:
        return int(float(self))

    def __index__(self) -> int:
        if self.expression.kind == "scalar" and self.expression.dtype == int64:
            raise Wanted(self.expression.what)
        raise Untraceable("it uses a computed scalar as an integer")

    __hash__ = object.__hash__

    def __add__(self, other: object) -> Any:
        return _compute("add", self, other)

    def __radd__(self, other: object) -> Any:
        return _compute("add", other, self)

    def __sub__(self, other: object) -> Any:
        return _compute("sub", self, other)

    def __rsub__(self, other: object) -> Any:
        return _compute("sub", other, self)

    def __mul__(self, other: object) -> Any:
        return _compute("mul", self, other)

    def __rmul__(self, other: object) -> Any:
        return _compute("mul", other, self)

    def __truediv__(self, other: object) -> Any:
        return _compute("div", self, other)

    def __rtruediv__(self, other: object) -> Any:
        return _compute("div", other, self)

    def __pow__(self, other: object) -> Any:
        return _compute("pow", self, other)

    def __rpow__(self, other: object) -> Any:
        return _compute("pow", other, self)

    def __floordiv__(self, other: object) -> Any:
        return _compute("floor_divide", self, other)

    def __rfloordiv__(self, other: object) -> Any:
        return _compute("floor_divide", other, self)

    def __mod__(self, other: object) -> Any:
        return _compute("remainder", self, other)

    def __rmod__(self, other: object) -> Any:
        return _compute("remainder", other, self)

    def __neg__(self) -> Any:
        return _compute("sub", 0, self)

    def __pos__(self) -> SymbolicScalar:
        return self

    def __abs__(self) -> SymbolicScalar:
        return SymbolicScalar(tracing.elementwise(OPS["abs"], self.expression))

    def __eq__(self, other: object) -> Any:
        return _compute("eq", self, other)

    def __ne__(self, other: object) -> Any:
        return _compute("ne", self, other)

    def __lt__(self, other: object) -> Any:
        return _compute("lt", self, other)

    def __le__(self, other: object) -> Any:
        return _compute("le", self, other)

    def __gt__(self, other: object) -> Any:
        return _compute("gt", self, other)

    def __ge__(self, other: object) -> Any:
        return _compute("ge", self, other)


class FloatScalar(SymbolicScalar):
    __slots__ = ()
    alone = float32


class IntScalar(SymbolicScalar):
    __slots__ = ()
    alone = int64


class BoolScalar(SymbolicScalar):
    __slots__ = ()
    alone = bool_


_BY_KIND: dict[str, type[SymbolicScalar]] = {"f": FloatScalar, "i": IntScalar, "b": BoolScalar}


def _compute(name: str, x: object, y: object) -> Any:
    """The op of that name on two scalars; returns NotImplemented for other operands, such as tensors."""
    if not (isinstance(x, (Scalar, SymbolicScalar)) and isinstance(y, (Scalar, SymbolicScalar))):
        return NotImplemented
    operands = [_expression(x), _expression(y)]
    integer = not any(operand.dtype.kind == "f" for operand in operands) and name != "div"
    if name == "pow" and not (isinstance(y, int) and y >= 0):  # a negative power of an integer is a float
        integer = False
    dtype = int64 if integer else float64
    return SymbolicScalar(tracing.elementwise(OPS[name], *[tracing.copy(operand, dtype) for operand in operands]))


def _expression(x: Scalar | SymbolicScalar) -> Expression:
    if isinstance(x, SymbolicScalar):
        return x.expression  # type: ignore[no-any-return]
    return Expression("constant", x, (), (), float64 if isinstance(x, float) else int64)
