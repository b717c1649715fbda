"""Scalar forms of the op table as functions of scalars, which each backend compiles with its own math (see _math)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stackgrad.tensor import Op
from stackgrad.tensor._optable import called_by


def scalar_compiler(function_of: Callable[[str], Any], inlined: Callable[..., Any]) -> Callable[[str], Any]:
    """What makes a scalar form a function of x, y, z, `inlined` in kernels.

    That calls what `function_of` gives for a name; T is the type of its last operand.
    """

    def compile_scalar(form: str) -> Any:
        namespace: dict[str, Any] = {name: function_of(name) for name in called_by(form)}
        exec(f"def scalar(x, y, z):\n    T = type(y)\n    return {form}\n", namespace)
        return inlined(namespace["scalar"])

    return compile_scalar


def power_of_integers(x: Any, y: Any, z: Any) -> Any:
    """x ** y for y of 0 or more, by squarings that wrap round in 64 bits as NumPy's. A negative y never comes here.

    What Numba and numba-cuda have goes through float64.
    """
    T = type(x)
    power = T(1)
    while y > 0:
        if y & 1:
            power *= x
        x *= x
        y >>= 1
    return power


def remainder_of_integers(x: Any, y: Any, z: Any) -> Any:
    """x less y times the quotient, of y's sign; 0 for a y of 0."""
    T = type(x)
    return T(0) if y == T(0) or y == T(-1) else x % y


def quotient_of_integers(x: Any, y: Any, z: Any) -> Any:
    """x over y, rounded down; 0 for a y of 0. The only one that does not fit wraps round, as in NumPy."""
    T = type(x)
    return T(0) if y == T(0) else -x if y == T(-1) else x // y


OF_INTEGERS = {
    "pow": power_of_integers,
    "remainder": remainder_of_integers,
    "floor_divide": quotient_of_integers,
}
"""What takes the part of a row's scalar form where the operands are integers."""


def types_of(op: Op, boolean: Any) -> Callable[[Any], tuple[Any, Any, Any, Any]]:
    """The types of x, y, z and the result for an element type, `boolean` those of conditions and comparisons."""
    condition, comparison = op.name == "where", op.result == "bool"
    return lambda T: (boolean if condition else T, T, T, boolean if comparison else T)
