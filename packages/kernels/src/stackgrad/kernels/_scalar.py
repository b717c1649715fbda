"""Scalar forms of the op table as functions of scalars; each backend compiles them with its own math (see _math)."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from stackgrad.tensor import OPS, Op
from stackgrad.tensor._optable import called_by
from stackgrad.tensor._stage import Line, Stage
from stackgrad.tensor._types import DType


def scalar_compiler(function_of: Callable[[str], Any], inlined: Callable[..., Any]) -> Callable[[str], Any]:
    """A function that compiles a scalar expression to a function of x, y, z, `inlined` in kernels.

    The form's names are looked up by `function_of`; T is the type of y.
    """

    def compile_scalar(form: str) -> Any:
        namespace: dict[str, Any] = {name: function_of(name) for name in called_by(form)}
        exec(f"def scalar(x, y, z):\n    T = type(y)\n    return {form}\n", namespace)
        return inlined(namespace["scalar"])

    return compile_scalar


def power_of_integers(x: Any, y: Any, z: Any) -> Any:
    """x ** y for y of 0 or more, by squaring, which wraps around in 64 bits as in NumPy. A negative y never gets here.

    The powers of Numba and numba-cuda go through float64.
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
    """x - y * quotient, which has the sign of y; 0 if y is 0."""
    T = type(x)
    return T(0) if y == T(0) or y == T(-1) else x % y


def quotient_of_integers(x: Any, y: Any, z: Any) -> Any:
    """x / y, rounded down; 0 if y is 0. The only quotient that overflows wraps around, as in NumPy."""
    T = type(x)
    return T(0) if y == T(0) else -x if y == T(-1) else x // y


OF_INTEGERS = {
    "pow": power_of_integers,
    "remainder": remainder_of_integers,
    "floor_divide": quotient_of_integers,
}
"""Functions that replace the scalar expression of an op if the operands are integers."""


def types_of(op: Op, boolean: Any) -> Callable[[Any], tuple[Any, Any, Any, Any]]:
    """Map an element type to the types of x, y, z and the result; `boolean` is that of conditions and comparisons."""
    condition, comparison = op.name == "where", op.result == "bool"
    return lambda T: (boolean if condition else T, T, T, boolean if comparison else T)


_PYTHON: dict[str, Callable[[Any], Any]] = {"f": float, "i": int, "b": bool}  # their repr is valid in a kernel


def fused_source(stage: Stage) -> str:
    """The source of a function that computes a stage's results from scalars, one for each operand.

    Each line is converted to its dtype, so its value is the one that the unfused operation would have written.
    """
    names = [f"x{i}" for i in range(len(stage.operands))]
    text = [f"def scalar({', '.join(names)}):"]
    for line in stage.lines:
        form = _form(line, [names[i] for i in line.slots], [stage.slot_dtype(i) for i in line.slots])
        names.append(f"t{len(text)}")
        text.append(f"    {names[-1]} = {form}")
    results = [names[result.slot] for result in stage.results]
    text.append(f"    return {results[0] if len(results) == 1 else ', '.join(results)}")
    return "\n".join(text) + "\n"


def _form(line: Line, operands: list[str], dtypes: list[DType]) -> str:
    """One line of the function: an expression in the names of its operands."""
    if line.op == "constant":
        return f"{line.dtype.name}({_PYTHON[line.dtype.kind](line.value)})"
    if line.op == "cast":
        (x,) = operands
        return f"({x} != 0)" if line.dtype.kind == "b" != dtypes[0].kind else f"{line.dtype.name}({x})"
    if line.op in OF_INTEGERS and line.dtype.kind == "i":
        return f"{OF_INTEGERS[line.op].__name__}({operands[0]}, {operands[1]}, {operands[1]})"
    known = dict(zip("xyz", operands, strict=False), T=dtypes[-1].name)
    form = re.sub(r"\b[xyzT]\b", lambda match: known[match[0]], OPS[line.op].scalar)
    return f"{line.dtype.name}({form})"


def fused_scalar(stage: Stage, name: str, function_of: Callable[[str], Any], inlined: Callable[..., Any]) -> Any:
    """That function under its own `name`, `inlined` in kernels; see `scalar_compiler`."""
    namespace: dict[str, Any] = {function.__name__: inlined(function) for function in OF_INTEGERS.values()}
    namespace |= {"inf": math.inf, "nan": math.nan}
    namespace |= {"float32": np.float32, "float64": np.float64, "int64": np.int64, "bool": bool}
    for line in stage.lines:
        if line.op in OPS:
            namespace |= {name: function_of(name) for name in called_by(OPS[line.op].scalar)}
    exec(fused_source(stage), namespace)
    function = namespace["scalar"]
    function.__name__ = function.__qualname__ = f"{name}_scalar"
    return inlined(function)
