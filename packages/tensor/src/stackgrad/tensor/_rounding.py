"""The methods and operators of a tensor that round, divide with rounding, and take remainders."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from ._arithmetic import expect_none
from ._autograd import BuiltinFunction, Context
from ._checks import expect_ints
from ._dtypes import bool_, int64
from ._operators import Operators, operator
from ._ops import common_dtype, elementwise
from ._optable import OPS
from ._types import Operand
from ._value import Value

if TYPE_CHECKING:
    from ._tensor import Tensor


class Rounding(Operators):
    """Rounding of floats, through which no gradient flows. Integers are unchanged, and bools raise TypeError."""

    __slots__ = ()

    def floor(self) -> Tensor:
        """The largest integer not above x, in the same dtype.

        >>> tensor([1.8, -1.2]).floor()
        tensor([ 1., -2.])
        """
        return _rounded("floor", self)

    def ceil(self) -> Tensor:
        """The smallest integer not below x, in the same dtype.

        >>> tensor([1.2, -1.2]).ceil()
        tensor([ 2., -1.])
        """
        return _rounded("ceil", self)

    def trunc(self) -> Tensor:
        """The integer part, in the same dtype.

        >>> tensor([1.8, -1.8]).trunc()
        tensor([ 1., -1.])
        """
        return _rounded("trunc", self)

    def round(self, decimals: int = 0) -> Tensor:
        """The nearest multiple of 10 ** -decimals, in the same dtype; ties go to the even one.

        >>> tensor([0.5, 1.5, 1.25]).round(), tensor([1.25]).round(decimals=1)
        (tensor([0., 2., 1.]), tensor([1.2]))
        """
        if not decimals or self.dtype == bool_:
            return _rounded("round", self)
        if self.dtype == int64:
            raise TypeError(f"round of int64 with decimals={decimals}: expected float32 or float64")
        expect_ints("round", decimals=decimals)
        scale = 10.0 ** abs(decimals)
        return (self * scale).round() / scale if decimals > 0 else (self / scale).round() * scale

    def frac(self) -> Tensor:
        """The fractional part, with the same sign. Raises TypeError for integers.

        >>> tensor([1.5, -1.5]).frac()
        tensor([ 0.5, -0.5])
        """
        if self.dtype == int64:
            raise TypeError("frac of int64: expected float32 or float64")
        return self - self.trunc()

    def div(self, other: Operand, *, rounding_mode: str | None = None) -> Tensor:
        """The quotient, float32 for integers. `rounding_mode` "floor" gives x // y, "trunc" the integer part.

        Raises ValueError for another mode.

        >>> tensor([7, -7]).div(2), tensor([7, -7]).div(2, rounding_mode="trunc")
        (tensor([ 3.5, -3.5]), tensor([ 3, -3]))
        """
        if rounding_mode is None:
            return elementwise("div", self, other)
        if rounding_mode == "floor":
            return self.floor_divide(other)
        if rounding_mode != "trunc":
            raise ValueError(f"div with rounding_mode {rounding_mode!r}: expected None, 'floor' or 'trunc'")
        if common_dtype(OPS["floor_divide"], (self, other)) != int64:
            return _Truncated.apply(self, other)
        below = self.floor_divide(other)
        return below + ((below < 0) & (below * other != self))

    def floor_divide(self, other: Operand) -> Tensor:
        """The largest integer not above the quotient, x // y; int64 for integers.

        Raises ZeroDivisionError for integers over 0, and TypeError for bools alone.

        >>> tensor([7, -7]).floor_divide(2)
        tensor([ 3, -4])
        """
        return whole("floor_divide", self, other)

    def remainder(self, other: Operand) -> Tensor:
        """The remainder of floor division, x % y, with the sign of y; NaN for a float divided by 0.

        Raises ZeroDivisionError for integers over 0, and TypeError for bools alone.

        >>> tensor([7, -7]).remainder(3)
        tensor([1, 2])
        """
        return whole("remainder", self, other)

    def __floordiv__(self, other: Operand) -> Tensor:
        return operator("floor_divide", self, other, whole)

    def __rfloordiv__(self, other: Operand) -> Tensor:
        return operator("floor_divide", other, self, whole)

    def __mod__(self, other: Operand) -> Tensor:
        return operator("remainder", self, other, whole)

    def __rmod__(self, other: Operand) -> Tensor:
        return operator("remainder", other, self, whole)


class _Truncated(BuiltinFunction):
    """The integer part of a quotient. Its gradient is 0, even where the gradient of the quotient is infinite."""

    @staticmethod
    def forward(ctx: Context, x: Operand, y: Operand) -> Tensor:
        ctx.forms = [(z.shape, z.dtype) for z in (x, y) if isinstance(z, Value)]
        return elementwise("div", x, y).trunc()

    @staticmethod
    def backward(ctx: Context, g: Tensor) -> tuple[Tensor, ...]:
        return tuple([g.new(g.backend.full(shape, 0, dtype)) for shape, dtype in ctx.forms])


def _rounded(name: str, x: Rounding) -> Tensor:
    if x.dtype == bool_:
        raise TypeError(f"{name} of bool: expected float32, float64 or int64")
    return cast("Tensor", x).clone() if x.dtype == int64 else elementwise(name, x)


def whole(name: str, x: Operand, y: Operand) -> Tensor:
    if common_dtype(OPS[name], (x, y)) == int64:
        expect_none(elementwise("eq", y, 0) if isinstance(y, Value) else y == 0, ZeroDivisionError, f"{name} by zero")
    return elementwise(name, x, y)
