"""The operators of a tensor: `x + y` is `x.add(y)`, and so on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ._arithmetic import Arithmetic, power
from ._dtypes import Symbolic
from ._logic import Logic
from ._ops import elementwise
from ._types import Operand
from ._value import Value

if TYPE_CHECKING:
    from ._tensor import Tensor


class Operators(Arithmetic, Logic):
    """One operand is a tensor, the other a tensor or a scalar; other objects get to try their own operator."""

    __slots__ = ()
    __array_priority__ = 1000  # NumPy scalars leave mixed operations to the tensor

    __neg__ = Arithmetic.neg
    __abs__ = Arithmetic.abs

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

    __invert__ = Logic.bitwise_not


OPERANDS = (Value, bool, int, float, np.generic, Symbolic)


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
