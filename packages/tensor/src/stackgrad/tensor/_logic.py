"""The elementwise methods of a tensor that compare, that combine bits and truth values, and that choose by them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._dtypes import bool_, int64, scalar_dtype
from ._ops import elementwise
from ._types import Operand
from ._value import Value

if TYPE_CHECKING:
    from ._tensor import Tensor


class Logic(Value):
    """Elementwise operations, whose operands broadcast and may be Python or NumPy scalars."""

    __slots__ = ()

    def bitwise_and(self, other: Operand) -> Tensor:
        """The bitwise and of integers, or the logical and of bools.

        >>> tensor([6, 5]).bitwise_and(3)
        tensor([2, 1])
        """
        return elementwise("bitwise_and", self, other)

    def bitwise_or(self, other: Operand) -> Tensor:
        """The bitwise or of integers, or the logical or of bools.

        >>> tensor([6, 5]).bitwise_or(1)
        tensor([7, 5])
        """
        return elementwise("bitwise_or", self, other)

    def bitwise_xor(self, other: Operand) -> Tensor:
        """The bitwise exclusive or of integers, or the logical exclusive or of bools.

        >>> tensor([6, 5]).bitwise_xor(1)
        tensor([7, 4])
        """
        return elementwise("bitwise_xor", self, other)

    def bitwise_not(self) -> Tensor:
        """The bitwise complement of integers, or the negation of bools.

        >>> tensor([0, 5]).bitwise_not()
        tensor([-1, -6])
        """
        return elementwise("bitwise_xor", self, -1 if self.dtype == int64 else True)

    def logical_and(self, other: Operand) -> Tensor:
        """Whether both are nonzero.

        >>> tensor([0, 1, 2]).logical_and(tensor([1, 1, 0]))
        tensor([False,  True, False])
        """
        return elementwise("bitwise_and", _truth(self), _truth(other))

    def logical_or(self, other: Operand) -> Tensor:
        """Whether at least one is nonzero.

        >>> tensor([0, 1, 0]).logical_or(tensor([1, 1, 0]))
        tensor([ True,  True, False])
        """
        return elementwise("bitwise_or", _truth(self), _truth(other))

    def logical_xor(self, other: Operand) -> Tensor:
        """Whether exactly one is nonzero.

        >>> tensor([0, 1, 2]).logical_xor(tensor([1, 1, 0]))
        tensor([ True, False,  True])
        """
        return elementwise("bitwise_xor", _truth(self), _truth(other))

    def logical_not(self) -> Tensor:
        """Whether it is 0.

        >>> tensor([0, 1, 2]).logical_not()
        tensor([ True, False, False])
        """
        return elementwise("eq", self, 0)

    def where(self, a: Operand, b: Operand) -> Tensor:
        """`a` where this bool tensor is true, else `b`. Raises TypeError for another dtype of the condition.

        >>> tensor([True, False]).where(tensor([1, 2]), 0)
        tensor([1, 0])
        """
        if self.dtype != bool_:
            raise TypeError(
                f"where: the condition has dtype {self.dtype}: expected bool; compare it to something first"
            )
        return elementwise("where", self, a, b)

    def eq(self, other: Operand) -> Tensor:
        """Whether the two are equal, element by element; `equal` compares whole tensors.

        >>> tensor([1, 2]).eq(2)
        tensor([False,  True])
        """
        return elementwise("eq", self, other)

    def ne(self, other: Operand) -> Tensor:
        """Whether the two differ, element by element; NaN differs from itself.

        >>> tensor([1, 2]).ne(2)
        tensor([ True, False])
        """
        return elementwise("ne", self, other)

    def lt(self, other: Operand) -> Tensor:
        """Whether self < other.

        >>> tensor([1, 2, 3]).lt(2)
        tensor([ True, False, False])
        """
        return elementwise("lt", self, other)

    def le(self, other: Operand) -> Tensor:
        """Whether self <= other.

        >>> tensor([1, 2, 3]).le(2)
        tensor([ True,  True, False])
        """
        return elementwise("le", self, other)

    def gt(self, other: Operand) -> Tensor:
        """Whether self > other.

        >>> tensor([1, 2, 3]).gt(2)
        tensor([False, False,  True])
        """
        return elementwise("gt", self, other)

    def ge(self, other: Operand) -> Tensor:
        """Whether self >= other.

        >>> tensor([1, 2, 3]).ge(2)
        tensor([False,  True,  True])
        """
        return elementwise("ge", self, other)

    def isnan(self) -> Tensor:
        """Whether it is NaN.

        >>> tensor([1.0, inf, nan]).isnan()
        tensor([False, False,  True])
        """
        return elementwise("ne", self, self)

    def isinf(self) -> Tensor:
        """Whether it is plus or minus infinity.

        >>> tensor([1.0, inf, nan]).isinf()
        tensor([False,  True, False])
        """
        return elementwise("isinf", self)

    def isfinite(self) -> Tensor:
        """Whether it is neither infinite nor NaN.

        >>> tensor([1.0, inf, nan]).isfinite()
        tensor([ True, False, False])
        """
        return elementwise("isfinite", self)


def _truth(x: Operand) -> Operand:
    """The tensor or scalar `x` as bool."""
    if isinstance(x, Value):
        return elementwise("ne", x, 0)
    scalar_dtype(x)  # raises for anything but a scalar
    return bool(x)
