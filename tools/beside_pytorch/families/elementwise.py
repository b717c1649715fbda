"""Rows of the op table: dtypes and their promotion, scalars, broadcasting and special values."""

from __future__ import annotations

import operator
from typing import Any

from stackgrad.tensor import OPS

from ..case import Pure
from ..draw import DTYPES, FLOATS, Draw
from ..sides import Side, Tensor

UNARY = [op.name for op in OPS.values() if op.arity == 1]
ARITHMETIC = ("add", "sub", "mul", "truediv", "pow")
COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")
LOGICAL = ("and_", "or_", "xor")


def _order(draw: Draw, values: str) -> int:
    return 2 if values != "special" or draw.chance(0.7) else 1


def unary(draw: Draw) -> Pure:
    """Operations with one operand of any dtype."""
    name = draw.choice(UNARY)
    dtype = draw.choice((*DTYPES, *FLOATS))
    values = draw.choice(("normal", "positive", "small", "special"))
    x = draw.array(draw.shape(), dtype, values)
    return Pure(lambda lib, x: getattr(x, name)(), [x], _order(draw, values))


def _scalar(draw: Draw) -> Any:
    return draw.choice((True, False, 0, 1, 2, -1, 3, 0.0, 0.5, -1.5, 2.0, float("inf"), float("nan")))


def binary(draw: Draw) -> Pure:
    """Operations with two operands: tensors of any dtype that broadcast, or a tensor and a scalar."""
    name = draw.choice((*ARITHMETIC, *ARITHMETIC, *COMPARISONS, *LOGICAL))
    values = draw.choice(("normal", "positive", "small", "special"))
    dtypes = ("bool", "int64") if name in LOGICAL and draw.chance(0.8) else DTYPES
    shape = draw.shape()
    x = draw.array(draw.broadcastable(shape), draw.choice(dtypes), values)
    order, captures = _order(draw, values), name != "pow"  # pow reads the exponent
    nans = {"second": "power-at-zero"} if name == "pow" else {}
    if draw.chance(0.3):
        scalar, right = draw.choice((True, False, 1, 6, -1)) if name in LOGICAL else _scalar(draw), draw.chance(0.5)

        def apply(lib: Side, x: Tensor) -> Tensor:
            return _apply(lib, name, x, scalar) if right else _apply(lib, name, scalar, x)

        return Pure(apply, [x], order, captures, nans)
    y = draw.array(draw.broadcastable(shape), draw.choice(dtypes), values)
    return Pure(lambda lib, x, y: _apply(lib, name, x, y), [x, y], order, captures, nans)


def _apply(lib: Side, name: str, x: Any, y: Any) -> Tensor:
    if name == "pow":
        return lib.power(x, y)
    return lib.minus(x, y) if name == "sub" else getattr(operator, name)(x, y)


def smooth_power(draw: Draw) -> Pure:
    """Powers of positive values, which have all derivatives."""
    x = draw.array(draw.shape(3), draw.choice(FLOATS), "positive")
    if draw.chance(0.5):
        k = draw.choice((0, 1, 2, 3, 4, 0.5, -1, -0.5, 2.5))
        return Pure(lambda lib, x: lib.power(x, k), [x])
    y = draw.array(draw.broadcastable(x.shape), draw.choice(FLOATS))
    return Pure(lambda lib, x, y: x**y, [x, y])


def extremes(draw: Draw) -> Pure:
    """maximum and minimum, with ties."""
    name, values = draw.choice(("maximum", "minimum")), draw.choice(("normal", "small", "special"))
    shape = draw.shape()
    x = draw.array(draw.broadcastable(shape), draw.choice(DTYPES), values)
    y = draw.array(draw.broadcastable(shape), draw.choice(DTYPES), values)
    return Pure(lambda lib, x, y: getattr(lib, name)(x, y), [x, y], _order(draw, values))


def clipping(draw: Draw) -> Pure:
    """clip with scalars or tensors as bounds."""
    values = draw.choice(("normal", "small", "special"))
    shape, dtype = draw.shape(), draw.choice(DTYPES[1:])
    x = draw.array(shape, dtype, values)
    if draw.chance(0.6):
        low, high = draw.choice((-1, -0.5, 0, 1)), draw.choice((-1, 0, 0.5, 1))
        return Pure(lambda lib, x: x.clip(low, high), [x], _order(draw, values))
    bounds = [draw.array(draw.broadcastable(shape), draw.choice((dtype, *FLOATS)), values) for _ in range(2)]
    return Pure(lambda lib, x, low, high: x.clip(low, high), [x, *bounds], _order(draw, values))


def selection(draw: Draw) -> Pure:
    """where with a mask and two tensors or scalars."""
    shape, values = draw.shape(), draw.choice(("normal", "special"))
    mask = draw.array(draw.broadcastable(shape), "bool")
    arrays = [mask]
    sides: list[Any] = []
    for _ in range(2):
        if draw.chance(0.3):
            sides.append(draw.choice((True, 0, 2, 0.5, float("nan"))))
        else:
            sides.append(None)
            arrays.append(draw.array(draw.broadcastable(shape), draw.choice(DTYPES), values))

    def apply(lib: Side, mask: Tensor, *tensors: Tensor) -> Tensor:
        left = list(tensors)
        a, b = (left.pop(0) if side is None else side for side in sides)
        return lib.where(mask, a, b)

    return Pure(apply, arrays, _order(draw, values))


def masked(draw: Draw) -> Pure:
    """Compositions in which the branch that is not selected is infinite or NaN: its gradient is exactly 0."""
    x = draw.array(draw.shape(3), draw.choice(FLOATS), draw.choice(("normal", "small", "special")))
    name = draw.choice(("sqrt", "log", "rsqrt"))
    how = draw.choice(("maximum", "clip", "relu", "where", "abs"))

    def apply(lib: Side, x: Tensor) -> Tensor:
        zero = x.detach() * 0
        safe = {
            "maximum": lambda: lib.maximum(x, zero),
            "clip": lambda: x.clip(0, 2),
            "relu": lambda: lib.relu(x),
            "where": lambda: lib.where(x > 0, x, zero),
            "abs": lambda: x.abs(),
        }[how]()
        return getattr(safe, name)()

    return Pure(apply, [x])


def compositions(draw: Draw) -> Pure:
    """A few operations of the table in sequence."""
    names = [
        draw.choice(("tanh", "sigmoid", "sin", "cos", "erf", "relu", "neg", "abs", "square", "shift")) for _ in "abcd"
    ]
    x = draw.array(draw.shape(3), draw.choice(FLOATS))
    y = draw.array(draw.broadcastable(x.shape), draw.choice(FLOATS))

    def apply(lib: Side, x: Tensor, y: Tensor) -> Tensor:
        for name in names:
            if name == "square":
                x = x * x
            elif name == "shift":
                x = x * y + 1
            else:
                x = getattr(x, name)()
        return x

    return Pure(apply, [x, y])


FAMILIES = (unary, binary, smooth_power, extremes, clipping, selection, masked, compositions)
