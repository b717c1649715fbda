"""A user's function of scalars as a function of tensors, which gives it a gradient, if the op table has all it calls.

The function is called with tensors. Their operators replace Python's, and ops of the op table replace `math.exp` and
the like. A function that branches on a value, or calls anything outside the op table, has no gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

from stackgrad.tensor import OPS, Tensor, fuse
from stackgrad.tensor._ops import elementwise


def of_tensors(fn: Callable[..., Any]) -> Callable[..., Tensor]:
    """`fn` as a fused function of tensors; the result has the dtype of the first. A call may raise TypeError."""
    function = _translated(getattr(fn, "py_func", fn))

    def operation(*tensors: Tensor) -> Tensor:
        out = function(*tensors)
        return out.astype(tensors[0].dtype) if isinstance(out, Tensor) else out

    operation.__name__ = getattr(fn, "__name__", "a function")
    return fuse(operation)


def _translated(x: Any) -> Any:
    """A function, or an object that it refers to, with operations on tensors in place of those of `math`."""
    if x is math:
        return _Math("math")
    if isinstance(x, BuiltinFunctionType) and x in vars(math).values():
        return _op_of(x)
    if not isinstance(x, FunctionType):
        return x
    used = {name: value for name, value in x.__globals__.items() if name in x.__code__.co_names}
    variables = {name: _translated(value) if value is not x else value for name, value in used.items()}
    return FunctionType(x.__code__, {**x.__globals__, **variables}, x.__name__, x.__defaults__, x.__closure__)


class _Math(ModuleType):
    """The module `math` for tensors."""

    def __getattr__(self, name: str) -> Any:
        return _translated(getattr(math, name))


def _op_of(function: Callable[..., Any]) -> Callable[..., Any]:
    """The op named like a function of `math`; for Python scalars the function itself."""
    name = function.__name__

    def call(*operands: Any) -> Any:
        if not any(isinstance(x, Tensor) for x in operands):
            return function(*operands)
        if name not in OPS:
            raise TypeError(f"math.{name} is not in the op table")
        return elementwise(name, *operands)

    return call
