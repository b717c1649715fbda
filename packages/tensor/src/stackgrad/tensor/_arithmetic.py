"""The elementwise methods and operators of a tensor: one for each row of the op table."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ._dtypes import Symbolic, bool_, int64, is_float, scalar_dtype
from ._ops import Operand, common_dtype, elementwise
from ._optable import OPS
from ._value import Value

if TYPE_CHECKING:
    from ._tensor import Tensor


class Arithmetic(Value):
    """Elementwise operations, whose operands broadcast and may be Python or NumPy scalars."""

    __slots__ = ()
    __array_priority__ = 1000  # NumPy scalars leave mixed operations to the tensor

    def neg(self) -> Tensor:
        return elementwise("neg", self)

    def add(self, other: Operand, *, alpha: float = 1) -> Tensor:
        """self + alpha * other."""
        return elementwise("add", self, times(self, other, alpha))

    def sub(self, other: Operand, *, alpha: float = 1) -> Tensor:
        """self - alpha * other."""
        return elementwise("sub", self, times(self, other, alpha))

    def mul(self, other: Operand) -> Tensor:
        return elementwise("mul", self, other)

    def pow(self, exponent: Operand) -> Tensor:
        """self ** exponent. Raises ValueError for integers with a negative exponent."""
        return power("pow", self, exponent)

    def exp(self) -> Tensor:
        return elementwise("exp", self)

    def expm1(self) -> Tensor:
        """exp(x) - 1, accurate for small x."""
        return elementwise("expm1", self)

    def log(self) -> Tensor:
        return elementwise("log", self)

    def log1p(self) -> Tensor:
        """log(1 + x), accurate for small x."""
        return elementwise("log1p", self)

    def log2(self) -> Tensor:
        return elementwise("log2", self)

    def log10(self) -> Tensor:
        return elementwise("log10", self)

    def sqrt(self) -> Tensor:
        return elementwise("sqrt", self)

    def rsqrt(self) -> Tensor:
        """1 / sqrt(x)."""
        return elementwise("rsqrt", self)

    def square(self) -> Tensor:
        """x * x; bools count as integers."""
        x = self if self.dtype != bool_ else elementwise("add", self, 0)
        return elementwise("mul", x, x)

    def reciprocal(self) -> Tensor:
        """1 / x."""
        return elementwise("div", 1, self)

    def abs(self) -> Tensor:
        return elementwise("abs", self)

    def sign(self) -> Tensor:
        """-1, 0 or 1; 0 for NaN. The sign of a bool is the bool itself."""
        return cast("Tensor", self).clone() if self.dtype == bool_ else elementwise("sign", self)

    def sin(self) -> Tensor:
        return elementwise("sin", self)

    def cos(self) -> Tensor:
        return elementwise("cos", self)

    def tan(self) -> Tensor:
        return elementwise("tan", self)

    def asin(self) -> Tensor:
        """The arcsine, from -pi / 2 to pi / 2; NaN outside [-1, 1]."""
        return elementwise("asin", self)

    def acos(self) -> Tensor:
        """The arccosine, from 0 to pi; NaN outside [-1, 1]."""
        return elementwise("acos", self)

    def atan(self) -> Tensor:
        """The arctangent, from -pi / 2 to pi / 2."""
        return elementwise("atan", self)

    def atan2(self, other: Operand) -> Tensor:
        """The angle, from -pi to pi, of the point with y = self and x = other."""
        return elementwise("atan2", self, other)

    def sinh(self) -> Tensor:
        return elementwise("sinh", self)

    def cosh(self) -> Tensor:
        return elementwise("cosh", self)

    def tanh(self) -> Tensor:
        return elementwise("tanh", self)

    def sigmoid(self) -> Tensor:
        """1 / (1 + exp(-x))."""
        return elementwise("sigmoid", self)

    def relu(self) -> Tensor:
        """x where it is positive, else 0; NaN passes."""
        return elementwise("relu", self)

    def masked_by(self, other: Operand) -> Tensor:
        """0 where other <= 0, else self: the gradient of relu. It passes where `other` is NaN."""
        return elementwise("masked_by", self, other)

    def erf(self) -> Tensor:
        """The error function."""
        return elementwise("erf", self)

    def maximum(self, other: Operand) -> Tensor:
        """The larger of the two, NaN if either is NaN. Equal values share the gradient; for NaN both get all of it."""
        return elementwise("maximum", self, other)

    def minimum(self, other: Operand) -> Tensor:
        """The smaller of the two, NaN if either is NaN. Equal values share the gradient; for NaN both get all of it."""
        return elementwise("minimum", self, other)

    def clip(self, min: Operand | None = None, max: Operand | None = None) -> Tensor:
        """The nearest value in [min, max]; one bound may be None. If min > max, the result is `max`.

        Raises ValueError without any bound.
        """
        if min is None or max is None:
            given = [x for x in (min, max) if x is not None]
            if not given:
                raise ValueError("clip with neither min nor max: expected at least one of them")
            dtype = common_dtype(OPS["clip"], [self, *given])
            low, high = (-math.inf, math.inf) if is_float(dtype) else (-(2**63), 2**63 - 1)
            min, max = low if min is None else min, high if max is None else max
        return elementwise("clip", self, min, max)

    clamp = clip

    def bitwise_and(self, other: Operand) -> Tensor:
        """The bitwise and of integers, or the logical and of bools."""
        return elementwise("bitwise_and", self, other)

    def bitwise_or(self, other: Operand) -> Tensor:
        """The bitwise or of integers, or the logical or of bools."""
        return elementwise("bitwise_or", self, other)

    def bitwise_xor(self, other: Operand) -> Tensor:
        """The bitwise exclusive or of integers, or the logical exclusive or of bools."""
        return elementwise("bitwise_xor", self, other)

    def bitwise_not(self) -> Tensor:
        """The bitwise complement of integers, or the negation of bools."""
        return elementwise("bitwise_xor", self, -1 if self.dtype == int64 else True)

    def logical_and(self, other: Operand) -> Tensor:
        """Whether both are nonzero."""
        return elementwise("bitwise_and", _truth(self), _truth(other))

    def logical_or(self, other: Operand) -> Tensor:
        """Whether at least one is nonzero."""
        return elementwise("bitwise_or", _truth(self), _truth(other))

    def logical_xor(self, other: Operand) -> Tensor:
        """Whether exactly one is nonzero."""
        return elementwise("bitwise_xor", _truth(self), _truth(other))

    def logical_not(self) -> Tensor:
        """Whether it is 0."""
        return elementwise("eq", self, 0)

    def where_larger(self, a: Operand, b: Operand) -> Tensor:
        """0 where a < b, self / 2 where a == b, else self: the gradient of `a.maximum(b)`.

        It passes where `a` or `b` is NaN.
        """
        return elementwise("where_larger", self, a, b)

    def where(self, a: Operand, b: Operand) -> Tensor:
        """`a` where this bool tensor is true, else `b`. Raises TypeError for another dtype of the condition."""
        if self.dtype != bool_:
            raise TypeError(
                f"where: the condition has dtype {self.dtype}: expected bool; compare it to something first"
            )
        return elementwise("where", self, a, b)

    def eq(self, other: Operand) -> Tensor:
        """Whether the two are equal, element by element; `equal` compares whole tensors."""
        return elementwise("eq", self, other)

    def ne(self, other: Operand) -> Tensor:
        return elementwise("ne", self, other)

    def lt(self, other: Operand) -> Tensor:
        return elementwise("lt", self, other)

    def le(self, other: Operand) -> Tensor:
        return elementwise("le", self, other)

    def gt(self, other: Operand) -> Tensor:
        return elementwise("gt", self, other)

    def ge(self, other: Operand) -> Tensor:
        return elementwise("ge", self, other)

    def isnan(self) -> Tensor:
        """Whether it is NaN."""
        return elementwise("ne", self, self)

    def isinf(self) -> Tensor:
        """Whether it is plus or minus infinity."""
        return elementwise("isinf", self)

    def isfinite(self) -> Tensor:
        """Whether it is neither infinite nor NaN."""
        return elementwise("isfinite", self)

    # --- operators

    __neg__ = neg
    __abs__ = abs

    def __add__(self, other: Operand) -> Tensor:
        return operator("add", self, other)

    def __radd__(self, other: Operand) -> Tensor:
        return operator("add", other, self)

    def __sub__(self, other: Operand) -> Tensor:
        return operator("sub", self, other)

    def __rsub__(self, other: Operand) -> Tensor:
        return operator("sub", other, self)

    def __mul__(self, other: Operand) -> Tensor:
        return operator("mul", self, other)

    def __rmul__(self, other: Operand) -> Tensor:
        return operator("mul", other, self)

    def __truediv__(self, other: Operand) -> Tensor:
        return operator("div", self, other)

    def __rtruediv__(self, other: Operand) -> Tensor:
        return operator("div", other, self)

    def __pow__(self, other: Operand) -> Tensor:
        return operator("pow", self, other, power)

    def __rpow__(self, other: Operand) -> Tensor:
        return operator("pow", other, self, power)

    def __eq__(self, other: object) -> Tensor:  # type: ignore[override]
        return operator("eq", self, other)

    def __ne__(self, other: object) -> Tensor:  # type: ignore[override]
        return operator("ne", self, other)

    def __lt__(self, other: Operand) -> Tensor:
        return operator("lt", self, other)

    def __le__(self, other: Operand) -> Tensor:
        return operator("le", self, other)

    def __gt__(self, other: Operand) -> Tensor:
        return operator("gt", self, other)

    def __ge__(self, other: Operand) -> Tensor:
        return operator("ge", self, other)

    def __and__(self, other: Operand) -> Tensor:
        return operator("bitwise_and", self, other)

    def __rand__(self, other: Operand) -> Tensor:
        return operator("bitwise_and", other, self)

    def __or__(self, other: Operand) -> Tensor:
        return operator("bitwise_or", self, other)

    def __ror__(self, other: Operand) -> Tensor:
        return operator("bitwise_or", other, self)

    def __xor__(self, other: Operand) -> Tensor:
        return operator("bitwise_xor", self, other)

    def __rxor__(self, other: Operand) -> Tensor:
        return operator("bitwise_xor", other, self)

    __invert__ = bitwise_not


OPERANDS = (Value, bool, int, float, np.generic, Symbolic)


def _truth(x: Operand) -> Operand:
    """The tensor or scalar `x` as bool."""
    if isinstance(x, Value):
        return elementwise("ne", x, 0)
    scalar_dtype(x)  # raises for anything but a scalar
    return bool(x)


def operator(name: str, x: Any, y: Any, by: Callable[..., Tensor] = elementwise) -> Tensor:
    """Apply `by` to two operands, one of which may be any object.

    Raises TypeError for a NumPy array, and returns NotImplemented for other objects.
    """
    if isinstance(x, OPERANDS) and isinstance(y, OPERANDS):
        return by(name, x, y)
    if isinstance(x, np.ndarray) or isinstance(y, np.ndarray):
        raise TypeError(
            f"{name} of a tensor and a NumPy array: make the array a tensor with tensor(...) or from_numpy(...)"
        )
    return NotImplemented  # type: ignore[no-any-return]


def times(x: Value, y: Operand, alpha: float) -> Operand:
    """`y` times `alpha`, in a dtype that can be added to x."""
    if alpha == 1:
        return y
    if isinstance(alpha, int) and common_dtype(OPS["add"], (x, y)) == bool_:
        return elementwise("bitwise_and", y, alpha != 0) if isinstance(y, Value) else y and alpha != 0
    return elementwise("mul", y, alpha) if isinstance(y, Value) else y * alpha


def expect_none(wrong: Tensor | bool, error: type[Exception], message: str) -> None:
    """Raise error(message) if `wrong`, a bool or any element of a bool tensor, is true (see checked_index)."""
    if isinstance(wrong, Value):
        wrong.backend.checked_index(wrong.astype(int64).memory(), 0, 1, error, message)
    elif wrong:
        raise error(message)


def power(name: str, x: Operand, y: Operand) -> Tensor:
    if common_dtype(OPS[name], (x, y)) == int64:
        message = "an integer to a negative power is not an integer: use .astype(float32)"
        expect_none(elementwise("lt", y, 0) if isinstance(y, Value) else y < 0, ValueError, message)
    return elementwise(name, x, y)
