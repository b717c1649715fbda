"""A user's function of numbers as one of tensors, from which its gradient follows: where the op table knows all of it.

The function is called with tensors. Python's operators are theirs; `math.exp` and its like become the rows of the op
table of that name. What branches on a number, or calls what is no row, has no gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

from stackgrad.tensor import OPS, Tensor, fuse
from stackgrad.tensor._ops import elementwise


def of_tensors(fn: Callable[..., Any]) -> Callable[..., Tensor]:
    """`fn` of tensors, fused; its result has the dtype of the first. A call raises TypeError where that cannot be."""
    function = _translated(getattr(fn, "py_func", fn))

    def operation(*tensors: Tensor) -> Tensor:
        out = function(*tensors)
        return out.astype(tensors[0].dtype) if isinstance(out, Tensor) else out

    operation.__name__ = getattr(fn, "__name__", "a function")
    return fuse(operation)


def _translated(x: Any) -> Any:
    """A function, or what it finds in its variables, with operations of tensors in place of those of `math`."""
    if x is math:
        return _Math("math")
    if isinstance(x, BuiltinFunctionType) and x in vars(math).values():
        return _row_of(x)
    if not isinstance(x, FunctionType):
        return x
    used = {name: value for name, value in x.__globals__.items() if name in x.__code__.co_names}
    variables = {name: _translated(value) if value is not x else value for name, value in used.items()}
    return FunctionType(x.__code__, {**x.__globals__, **variables}, x.__name__, x.__defaults__, x.__closure__)


class _Math(ModuleType):
    """The module `math` for tensors."""

    def __getattr__(self, name: str) -> Any:
        return _translated(getattr(math, name))


def _row_of(function: Callable[..., Any]) -> Callable[..., Any]:
    """The op of the name of a function of `math`; of plain numbers the function itself."""
    name = function.__name__

    def call(*operands: Any) -> Any:
        if not any(isinstance(x, Tensor) for x in operands):
            return function(*operands)
        if name not in OPS:
            raise TypeError(f"math.{name} is not in the op table")
        return elementwise(name, *operands)

    return call
