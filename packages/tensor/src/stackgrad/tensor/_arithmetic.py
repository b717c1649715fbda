"""The elementwise methods of a tensor that compute with its values: one for each row of the op table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

from ._checks import expect_numbers, expect_operands
from ._dtypes import bool_, int64, is_float
from ._ops import common_dtype, elementwise
from ._optable import OPS
from ._types import Operand
from ._value import Value

if TYPE_CHECKING:
    from ._tensor import Tensor


class Arithmetic(Value):
    """Elementwise operations, whose operands broadcast and may be Python or NumPy scalars."""

    __slots__ = ()

    def neg(self) -> Tensor:
        """-x.

        >>> tensor([1, -2]).neg()
        tensor([-1,  2])
        """
        return elementwise("neg", self)

    def add(self, other: Operand, *, alpha: float = 1) -> Tensor:
        """self + alpha * other.

        >>> tensor([1, 2]).add(tensor([10, 20]), alpha=2)
        tensor([21, 42])
        """
        return elementwise("add", self, times(self, other, alpha))

    def sub(self, other: Operand, *, alpha: float = 1) -> Tensor:
        """self - alpha * other.

        >>> tensor([1, 2]).sub(1)
        tensor([0, 1])
        """
        return elementwise("sub", self, times(self, other, alpha))

    def mul(self, other: Operand) -> Tensor:
        """self * other.

        >>> tensor([1, 2]).mul(10)
        tensor([10, 20])
        """
        return elementwise("mul", self, other)

    def pow(self, exponent: Operand) -> Tensor:
        """self ** exponent. Raises ValueError for integers with a negative exponent.

        >>> tensor([1, 2, 3]).pow(2)
        tensor([1, 4, 9])
        """
        return power("pow", self, exponent)

    def exp(self) -> Tensor:
        """e to the power of x.

        >>> tensor([0.0, 1.0]).exp().round(decimals=4)
        tensor([1.    , 2.7183])
        """
        return elementwise("exp", self)

    def expm1(self) -> Tensor:
        """exp(x) - 1, accurate for small x.

        >>> tensor([0.0, 1e-8]).expm1().tolist()[1] > 0
        True
        """
        return elementwise("expm1", self)

    def log(self) -> Tensor:
        """The natural logarithm; NaN below 0.

        >>> tensor([1.0, e]).log().round(decimals=4)
        tensor([0., 1.])
        """
        return elementwise("log", self)

    def log1p(self) -> Tensor:
        """log(1 + x), accurate for small x.

        >>> tensor([0.0, 1e-8]).log1p().tolist()[1] > 0
        True
        """
        return elementwise("log1p", self)

    def log2(self) -> Tensor:
        """The logarithm to base 2; NaN below 0.

        >>> tensor([1.0, 8.0]).log2()
        tensor([0., 3.])
        """
        return elementwise("log2", self)

    def log10(self) -> Tensor:
        """The logarithm to base 10; NaN below 0.

        >>> tensor([1.0, 100.0]).log10()
        tensor([0.       , 2.0000002])
        """
        return elementwise("log10", self)

    def sqrt(self) -> Tensor:
        """The square root; NaN below 0.

        >>> tensor([4.0]).sqrt()
        tensor([2.])
        """
        return elementwise("sqrt", self)

    def rsqrt(self) -> Tensor:
        """1 / sqrt(x).

        >>> tensor([4.0]).rsqrt()
        tensor([0.5])
        """
        return elementwise("rsqrt", self)

    def square(self) -> Tensor:
        """x * x; bools count as integers.

        >>> tensor([-3, 2]).square()
        tensor([9, 4])
        """
        x = self if self.dtype != bool_ else elementwise("add", self, 0)
        return elementwise("mul", x, x)

    def reciprocal(self) -> Tensor:
        """1 / x.

        >>> tensor([4.0]).reciprocal()
        tensor([0.25])
        """
        return elementwise("div", 1, self)

    def abs(self) -> Tensor:
        """The absolute value.

        >>> tensor([-1.0, 2.0]).abs()
        tensor([1., 2.])
        """
        return elementwise("abs", self)

    def sign(self) -> Tensor:
        """-1, 0 or 1; 0 for NaN. The sign of a bool is the bool itself.

        >>> tensor([-3.0, 0.0, 2.0]).sign()
        tensor([-1.,  0.,  1.])
        """
        return cast("Tensor", self).clone() if self.dtype == bool_ else elementwise("sign", self)

    def sin(self) -> Tensor:
        """The sine of an angle in radians.

        >>> tensor([0.0, pi / 2]).sin().round(decimals=4)
        tensor([0., 1.])
        """
        return elementwise("sin", self)

    def cos(self) -> Tensor:
        """The cosine of an angle in radians.

        >>> tensor([0.0, pi]).cos().round(decimals=4)
        tensor([ 1., -1.])
        """
        return elementwise("cos", self)

    def tan(self) -> Tensor:
        """The tangent of an angle in radians.

        >>> tensor([0.0]).tan()
        tensor([0.])
        """
        return elementwise("tan", self)

    def asin(self) -> Tensor:
        """The arcsine, from -pi / 2 to pi / 2; NaN outside [-1, 1].

        >>> tensor([0.0, 1.0]).asin().round(decimals=4)
        tensor([0.    , 1.5708])
        """
        return elementwise("asin", self)

    def acos(self) -> Tensor:
        """The arccosine, from 0 to pi; NaN outside [-1, 1].

        >>> tensor([1.0, 0.0]).acos().round(decimals=4)
        tensor([0.    , 1.5708])
        """
        return elementwise("acos", self)

    def atan(self) -> Tensor:
        """The arctangent, from -pi / 2 to pi / 2.

        >>> tensor([0.0, 1.0]).atan().round(decimals=4)
        tensor([0.    , 0.7854])
        """
        return elementwise("atan", self)

    def atan2(self, other: Operand) -> Tensor:
        """The angle, from -pi to pi, of the point with y = self and x = other.

        >>> tensor([1.0, 0.0]).atan2(tensor([0.0, -1.0])).round(decimals=4)
        tensor([1.5708, 3.1416])
        """
        return elementwise("atan2", self, other)

    def sinh(self) -> Tensor:
        """The hyperbolic sine.

        >>> tensor([0.0]).sinh()
        tensor([0.])
        """
        return elementwise("sinh", self)

    def cosh(self) -> Tensor:
        """The hyperbolic cosine.

        >>> tensor([0.0]).cosh()
        tensor([1.])
        """
        return elementwise("cosh", self)

    def tanh(self) -> Tensor:
        """The hyperbolic tangent.

        >>> tensor([0.0, 1.0]).tanh().round(decimals=4)
        tensor([0.    , 0.7616])
        """
        return elementwise("tanh", self)

    def sigmoid(self) -> Tensor:
        """1 / (1 + exp(-x)).

        >>> tensor([0.0]).sigmoid()
        tensor([0.5])
        """
        return elementwise("sigmoid", self)

    def relu(self) -> Tensor:
        """x where it is positive, else 0; NaN passes.

        >>> tensor([-1.0, 2.0]).relu()
        tensor([0., 2.])
        """
        return elementwise("relu", self)

    def relu_grad(self, other: Operand) -> Tensor:
        """0 where other <= 0, else self: the gradient of relu. It passes where `other` is NaN."""
        return elementwise("relu_grad", self, other)

    def erf(self) -> Tensor:
        """The error function.

        >>> tensor([0.0, 1.0]).erf().round(decimals=4)
        tensor([0.    , 0.8427])
        """
        return elementwise("erf", self)

    def normal_cdf(self) -> Tensor:
        """The probability that a standard normal variable is below x: PyTorch's `torch.special.ndtr`.

        >>> tensor([0.0, 1.0]).normal_cdf().round(decimals=4)
        tensor([0.5   , 0.8413])
        """
        return elementwise("normal_cdf", self)

    def normal_pdf(self) -> Tensor:
        """The density of the standard normal distribution, exp(-x * x / 2) / sqrt(2 pi).

        >>> tensor([0.0, 1.0]).normal_pdf().round(decimals=4)
        tensor([0.3989, 0.242 ])
        """
        return elementwise("normal_pdf", self)

    def maximum(self, other: Operand) -> Tensor:
        """The larger of the two, NaN if either is NaN. Equal values share the gradient; for NaN both get all of it.

        >>> tensor([1, 5]).maximum(tensor([3, 4]))
        tensor([3, 5])
        """
        return elementwise("maximum", self, other)

    def minimum(self, other: Operand) -> Tensor:
        """The smaller of the two, NaN if either is NaN. Equal values share the gradient; for NaN both get all of it.

        >>> tensor([1, 5]).minimum(tensor([3, 4]))
        tensor([1, 4])
        """
        return elementwise("minimum", self, other)

    def clip(self, min: Operand | None = None, max: Operand | None = None) -> Tensor:
        """The nearest value in [min, max]; one bound may be None. If min > max, the result is `max`.

        Raises ValueError without any bound.

        >>> tensor([-1.0, 0.5, 9.0]).clip(0, 1)
        tensor([0. , 0.5, 1. ])
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

    def where_larger(self, a: Operand, b: Operand) -> Tensor:
        """0 where a < b, self / 2 where a == b, else self: the gradient of `a.maximum(b)`.

        It passes where `a` or `b` is NaN.

        >>> tensor([1.0, 1.0]).where_larger(tensor([1.0, 3.0]), 2.0)
        tensor([0., 1.])
        """
        return elementwise("where_larger", self, a, b)


def times(x: Value, y: Operand, alpha: float) -> Operand:
    """`y` times `alpha`, in a dtype that can be added to x."""
    if alpha == 1:
        return y
    expect_numbers("alpha times a tensor", alpha=alpha)
    expect_operands("alpha times an operand", y)
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
