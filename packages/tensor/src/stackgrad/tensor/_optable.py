"""The table of elementwise operations and reductions: one row says everything about an operation.

The operation on every backend, its gradient, its tests and its benchmark all follow from the row.

`numpy`   the reference, a function of arrays.
`scalar`  the same function of scalars x, y, z of type T, as the source of an expression that a compiling backend
          makes its kernel from. Its branches must compile to vector selects. Constants are written T(1), since a bare
          1.0 would widen float32. NaN propagates as in PyTorch. The expression may call abs, min, max, rint,
          sigmoid, normal_cdf, normal_pdf and the functions of Python's `math` (see `called_by`). Functions with a
          separate version for integers are listed in `OF_INTEGERS` of stackgrad.kernels._scalar.
`grads`   for each operand the gradient as a tensor expression, or None where no gradient flows. Its parameters name
          what it needs: g (the gradient of the result), out, x, y, z; only these are kept until backward. It selects
          with `where`, `relu_grad` or `where_larger` instead of multiplying by 0 or 1 where PyTorch does, because 0
          times infinity is NaN. `testing/special_values.json` lists the values of each row at 0, infinities, NaN, ties
          and bounds.
`accepts` the dtypes the operation is defined on: b(ool), i(nt64), f(loat). If it is f alone, other dtypes are
          converted to float32 first.
`result`  "same" as the operands, or "bool".
`domain`  the interval of test values for each operand; `kinks`: where the operation has no derivative.
`ulp`     the error bound of a float32 result in units in the last place, against float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from inspect import signature
from typing import Any

import numpy as np

Interval = tuple[float, float]
"""The lowest and the highest value that tests use."""

Gradient = Callable[..., Any]
"""A row's gradient: a function of the result's gradient, the operands and the result."""


@dataclass(frozen=True, eq=False)
class Op:
    """An elementwise operation; the fields are explained above."""

    name: str
    numpy: Callable[..., Any]
    scalar: str
    grads: tuple[Gradient | None, ...]
    accepts: str = "f"
    result: str = "same"
    domain: tuple[Interval, ...] = ()
    kinks: tuple[float, ...] = ()
    ulp: float = 1.0
    arity: int = field(init=False)
    operands: tuple[str, ...] = field(init=False)
    needs: tuple[tuple[str, ...], ...] = field(init=False)  # the parameters of each gradient

    def __post_init__(self) -> None:
        arity = len(self.grads)
        object.__setattr__(self, "arity", arity)
        object.__setattr__(self, "operands", ("x", "y", "z")[:arity])
        object.__setattr__(self, "domain", self.domain or ((-4.0, 4.0),) * arity)
        object.__setattr__(
            self, "needs", tuple(tuple(signature(grad).parameters) if grad else () for grad in self.grads)
        )


@dataclass(frozen=True, eq=False)
class Reduction:
    """An associative operation: `scalar` combines the running value x, at first `start`, with the next element y."""

    name: str
    numpy: Callable[..., Any]
    scalar: str
    start: float | None  # None: there is no neutral element, so reducing no elements is an error


def called_by(expression: str) -> set[str]:
    """The names of the functions that a scalar expression calls besides abs, min and max.

    Raises ValueError for a name that `numpy_function` and the backends do not know.
    """
    names = set(compile(expression, "a scalar expression", "eval").co_names) - {"x", "y", "z", "T", "abs", "min", "max"}
    for name in names:
        if name not in (*_FUNCTIONS, "rint") and not callable(getattr(math, name, None)):
            known = ", ".join(_FUNCTIONS)
            raise ValueError(
                f"scalar expression {expression!r}: {name} is not x, y, z, T, abs, min, max, rint, {known} or in math"
            )
    return names


def numpy_function(name: str) -> Callable[..., Any]:
    """The function of that name for NumPy arrays and scalars: of this file, of NumPy, or else of `math`."""
    if name in _FUNCTIONS:
        return _FUNCTIONS[name]
    function: Any = getattr(math, name, None)
    return getattr(np, name, lambda *given: np.vectorize(function, otypes=[given[0].dtype])(*given)[()])


def _power(x: Any, y: Any) -> Any:
    # NumPy turns a broadcast exponent of 0.5 into a square root, which is NaN for minus infinity: copy the exponent.
    x, y = np.broadcast_arrays(x, y)
    return np.power(x.reshape(-1), y.flatten()).reshape(x.shape)


def _sign(x: Any) -> Any:
    return np.where(x != x, x.dtype.type(0), np.sign(x))


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def _normal_cdf(x: Any) -> Any:
    return np.vectorize(lambda x: 0.5 * math.erfc(-math.sqrt(0.5) * x), otypes=[x.dtype])(x)[()]


def _normal_pdf(x: Any) -> Any:
    return (np.exp(-0.5 * np.square(x, dtype=np.float64)) / math.sqrt(2 * math.pi)).astype(x.dtype)


_FUNCTIONS = {"sigmoid": _sigmoid, "normal_cdf": _normal_cdf, "normal_pdf": _normal_pdf}


def _inverse(x: Any) -> Any:
    """1 / x as a tensor expression, 0 where x is 0."""
    return (x == 0).where(0.0, 1 / x)


def _zero(g: Any) -> Any:
    """A gradient of 0, also where g is infinite or NaN, as g * 0 would not be."""
    return g.relu_grad(0.0)


def _step(name: str, numpy: Callable[..., Any], scalar: str, kinks: Sequence[float], accepts: str = "f") -> Op:
    """A step function: constant except for jumps at `kinks`."""
    return Op(name, numpy, scalar, (_zero,), accepts, kinks=tuple(kinks))


def _comparison(name: str, numpy: Callable[..., Any], scalar: str) -> Op:
    return Op(name, numpy, scalar, (None, None), "bif", "bool")


_POSITIVE: tuple[Interval, ...] = ((0.05, 8.0),)

OPS: dict[str, Op] = {
    op.name: op
    for op in (
        Op("neg", np.negative, "-x", (lambda g: -g,), "if"),
        Op("add", np.add, "x + y", (lambda g: g, lambda g: g), "bif"),
        Op("sub", np.subtract, "x - y", (lambda g: g, lambda g: -g), "if"),
        Op("mul", np.multiply, "x * y", (lambda g, y: g * y, lambda g, x: g * x), "bif"),
        Op(
            "div",
            np.divide,
            "x / y",
            (lambda g, y: g / y, lambda g, y, out: -g * out / y),
            domain=((-4.0, 4.0), (0.25, 4.0)),
        ),
        Op(
            "pow",
            _power,
            "x ** y",
            (
                # Where y is 0 no gradient flows, and x ** -1, which may be infinite, must not be multiplied by 0.
                lambda g, x, y: (y == 0).where(0.0, g) * (y * x ** (y == 0).where(0.0, y - 1)),
                lambda g, x, y, out: g * (out * ((x == 0) & (y >= 0)).where(1.0, x).log()),
            ),
            "if",
            domain=((0.25, 4.0), (-3.0, 3.0)),
            ulp=4.0,
        ),
        Op("exp", np.exp, "exp(x)", (lambda g, out: g * out,), ulp=2.0),
        Op("expm1", np.expm1, "expm1(x)", (lambda g, out: g * (out + 1),), ulp=2.0),
        Op("log", np.log, "log(x)", (lambda g, x: g / x,), domain=_POSITIVE, ulp=2.0),
        Op("log1p", np.log1p, "log1p(x)", (lambda g, x: g / (x + 1),), domain=((-0.9, 8.0),), ulp=2.0),
        Op("log2", np.log2, "log2(x)", (lambda g, x: g / (x * math.log(2)),), domain=_POSITIVE, ulp=2.0),
        Op("log10", np.log10, "log10(x)", (lambda g, x: g / (x * math.log(10)),), domain=_POSITIVE, ulp=3.0),
        Op("sqrt", np.sqrt, "sqrt(x)", (lambda g, out: g / (out + out),), domain=_POSITIVE),
        Op(
            "rsqrt",
            lambda x: 1 / np.sqrt(x),
            "T(1) / sqrt(x)",
            (lambda g, out: -0.5 * g * out * out * out,),
            domain=_POSITIVE,
            ulp=2.0,
        ),
        Op("abs", np.abs, "abs(x)", (lambda g, x: g * x.detach().sign(),), "if", kinks=(0.0,)),
        _step("sign", _sign, "T(x > T(0)) - T(x < T(0))", (0.0,), "if"),
        _step("floor", np.floor, "floor(x)", range(-4, 5)),
        _step("ceil", np.ceil, "ceil(x)", range(-4, 5)),
        _step("trunc", np.trunc, "trunc(x)", range(-4, 5)),
        _step("round", np.rint, "rint(x)", [n + 0.5 for n in range(-4, 4)]),  # half to even
        # Both use fmod, which is exact. floor_divide rounds, and subtracts 1 where fmod(x, y) and y differ in sign.
        Op(
            "remainder",
            np.remainder,
            "fmod(x, y) if (fmod(x, y) == T(0)) | ((fmod(x, y) < T(0)) == (y < T(0))) else fmod(x, y) + y",
            (lambda g: g, lambda g, x, y: -g * x.floor_divide(y)),
            "if",
            domain=((-4.0, 4.0), (5.0, 8.0)),
        ),
        Op(
            "floor_divide",
            np.floor_divide,
            "x / y if y == T(0) else rint((x - fmod(x, y)) / y)"
            " - T((fmod(x, y) != T(0)) & ((fmod(x, y) < T(0)) != (y < T(0))))",
            (_zero, _zero),
            "if",
            domain=((-4.0, 4.0), (5.0, 8.0)),
            kinks=(0.0,),
        ),
        Op("sin", np.sin, "sin(x)", (lambda g, x: g * x.cos(),), ulp=2.0),
        Op("cos", np.cos, "cos(x)", (lambda g, x: -g * x.sin(),), ulp=2.0),
        Op("tan", np.tan, "tan(x)", (lambda g, out: g * (out * out + 1),), domain=((-1.4, 1.4),), ulp=4.0),
        Op("asin", np.arcsin, "asin(x)", (lambda g, x: g * (1 - x * x).rsqrt(),), domain=((-0.9, 0.9),), ulp=4.0),
        Op("acos", np.arccos, "acos(x)", (lambda g, x: -g * (1 - x * x).rsqrt(),), domain=((-0.9, 0.9),), ulp=4.0),
        Op("atan", np.arctan, "atan(x)", (lambda g, x: g / (x * x + 1),), ulp=2.0),
        Op(
            "atan2",
            np.arctan2,
            "atan2(x, y)",
            (lambda g, x, y: g * y * _inverse(x * x + y * y), lambda g, x, y: -g * x * _inverse(x * x + y * y)),
            domain=((-4.0, 4.0), (0.25, 4.0)),
            ulp=4.0,
        ),
        Op("sinh", np.sinh, "sinh(x)", (lambda g, x: g * x.cosh(),), ulp=4.0),
        Op("cosh", np.cosh, "cosh(x)", (lambda g, x: g * x.sinh(),), ulp=4.0),
        Op("tanh", np.tanh, "tanh(x)", (lambda g, out: g * (1 - out * out),), ulp=2.0),
        Op("sigmoid", _sigmoid, "sigmoid(x)", (lambda g, out: g * out * (1 - out),), ulp=4.0),
        Op(
            "erf",
            numpy_function("erf"),
            "erf(x)",
            (lambda g, x: g * (-x * x).exp() * (2 / math.sqrt(math.pi)),),
            ulp=2.0,
        ),
        Op("normal_cdf", _normal_cdf, "normal_cdf(x)", (lambda g, x: g * x.normal_pdf(),), ulp=12.0),
        Op("normal_pdf", _normal_pdf, "normal_pdf(x)", (lambda g, x, out: g * -x * out,), ulp=8.0),
        Op(
            "relu",
            lambda x: np.maximum(x, 0),
            "T(0) if x < T(0) else x",
            (lambda g, out: g.relu_grad(out),),
            "if",
            kinks=(0.0,),
        ),
        # The gradients of relu and of maximum, in one pass. Both are linear in x, and so their own gradients for x.
        Op(
            "relu_grad",
            lambda x, y: np.where(y <= 0, 0, x),
            "T(0) if y <= T(0) else x",
            (lambda g, y: g.relu_grad(y), None),
            "if",
            kinks=(0.0,),
        ),
        Op(
            "where_larger",
            lambda x, y, z: np.where(y < z, 0, np.where(y == z, x * x.dtype.type(0.5), x)),
            "T(0) if y < z else x * T(0.5) if y == z else x",
            (lambda g, y, z: g.where_larger(y, z), None, None),
        ),
        Op(
            "maximum",
            np.maximum,
            "x if x > y or x != x else y",
            (lambda g, x, y: g.where_larger(x, y), lambda g, x, y: g.where_larger(y, x)),
            "bif",
        ),
        Op(
            "minimum",
            np.minimum,
            "x if x < y or x != x else y",
            (lambda g, x, y: g.where_larger(y, x), lambda g, x, y: g.where_larger(x, y)),
            "bif",
        ),
        Op(
            "clip",
            np.clip,
            # If the lower bound is above the upper one, the upper one wins.
            "x if x != x else y if y != y else z if x > z or y > z or z != z else y if x < y else x",
            (
                lambda g, x, y, z: ((x >= y) & (x <= z)).where(g, 0.0),
                lambda g, x, y, z: ((x < y) & (y < z)).where(g, 0.0),
                lambda g, x, y, z: ((x > z) | (y > z)).where(g, 0.0),
            ),
            "if",
            domain=((-4.0, 4.0), (-2.0, -1.0), (1.0, 2.0)),
        ),
        Op(
            "where",
            np.where,
            "y if x else z",
            (None, lambda g, x: x.where(g, 0.0), lambda g, x: x.where(0.0, g)),
            "bif",
        ),
        _comparison("eq", np.equal, "x == y"),
        _comparison("ne", np.not_equal, "x != y"),
        _comparison("lt", np.less, "x < y"),
        _comparison("le", np.less_equal, "x <= y"),
        _comparison("gt", np.greater, "x > y"),
        _comparison("ge", np.greater_equal, "x >= y"),
        Op("isfinite", np.isfinite, "x - x == T(0)", (None,), result="bool"),
        Op("isinf", np.isinf, "(x == x) & (x - x != T(0))", (None,), result="bool"),
        Op("bitwise_and", np.bitwise_and, "x & y", (None, None), "bi"),
        Op("bitwise_or", np.bitwise_or, "x | y", (None, None), "bi"),
        Op("bitwise_xor", np.bitwise_xor, "x ^ y", (None, None), "bi"),
    )
}

REDUCTIONS: dict[str, Reduction] = {
    reduction.name: reduction
    for reduction in (
        Reduction("sum", np.add.reduce, "x + y", 0.0),
        Reduction("prod", np.multiply.reduce, "x * y", 1.0),
        Reduction("max", np.maximum.reduce, "x if x > y or x != x else y", None),
        Reduction("min", np.minimum.reduce, "x if x < y or x != x else y", None),
    )
}
