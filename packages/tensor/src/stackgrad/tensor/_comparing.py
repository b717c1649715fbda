"""The methods of a tensor that compare it with another as a whole, or within a tolerance."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from ._checks import expect_numbers
from ._dtypes import is_float, scalar_dtype
from ._ops import common_backend, elementwise
from ._types import Operand
from ._value import Value

if TYPE_CHECKING:
    from ._tensor import Tensor


class Comparing(Value):
    """All but `isclose` read values, so a captured function cannot call them."""

    __slots__ = ()

    def isclose(self, other: Operand, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
        """Whether abs(self - other) <= atol + rtol * abs(other), or the two are equal, including infinities.

        With `equal_nan`, two NaNs are close as well. Raises TypeError for mixed dtypes, and for
        anything but a tensor or a scalar.

        >>> tensor([1.0, 2.0]).isclose(tensor([1.000001, 2.1]))
        tensor([ True, False])
        """
        expect_numbers("isclose", rtol=rtol, atol=atol)
        x = cast("Tensor", self)
        if isinstance(other, Value):
            y = cast("Tensor", other)
        else:
            scalar_dtype(other)  # raises for other types: the constant of None would be NaN
            y = x.new(x.backend.constant(other, x.dtype))
        if x.dtype != y.dtype:
            raise TypeError(f"isclose of {x.dtype} and {y.dtype}: expected the same; use .astype(...)")
        close = x == y
        if equal_nan:
            close = close | ((x != x) & (y != y))
        x, y = (z if is_float(z.dtype) else z.astype("float64") for z in (x, y))
        return close | (((x - y).abs() <= y.abs() * rtol + atol) & y.isfinite())

    def allclose(self, other: Operand, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
        """Whether `isclose` holds for all elements.

        >>> tensor([1.0]).allclose(tensor([1.000001]))
        True
        """
        return bool(self.isclose(other, rtol, atol, equal_nan).all())

    def equal(self, other: Tensor) -> bool:
        """Whether the two have the same shape and equal elements.

        >>> tensor([1, 2]).equal(tensor([1, 2]))
        True
        """
        common_backend("equal", self, other)
        return self.shape == other.shape and bool(elementwise("eq", self, other).all())
