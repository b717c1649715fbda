"""Cases of every row of the op table."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._backend import Backend
from .._dtypes import bool_, float32, float64
from .._numpy import NumpyBackend
from .._ops import elementwise
from .._optable import OPS, Op
from .._tensor import Tensor
from .._types import DType, Shape
from ._case import Case, check_gradient
from ._compare import expect_close, expect_equal, ulps
from ._draw import REFERENCE, Draw, Values, uniform

FLOATS = (0.0, -0.0, 1.0, -1.0, 30.0, -30.0, 200.0, -200.0, 1000.0, -1000.0, np.inf, -np.inf, np.nan)
INTEGERS = (0, 1, -1, 2**53, 2**53 + 1, -(2**53), -(2**53) - 1)  # two that a float64 cannot hold


def check_elementwise(op: Op, backend: Backend, draw: Draw) -> None:
    """The result on `backend` is within the row's `ulp` of NumPy's float64 result, including NaN and infinities.

    float64 results are allowed twice that bound plus 2, since NumPy's own are no more accurate; NumPy's float32
    results are allowed 4, which NumPy documents.
    """
    dtype = draw.dtype(op.accepts)
    shapes = draw.shapes(op.arity)
    samples = [
        draw.sample(shape, _values(op, i, bool_ if _is_condition(op, i) else dtype)) for i, shape in enumerate(shapes)
    ]
    arrays = [sample.numpy() for sample in samples]
    found = backend.elementwise(op, *[sample.on(backend) for sample in samples])
    expected = REFERENCE.elementwise(op, *arrays)
    if expected.dtype.kind != "f":
        expect_equal(op.name, backend, found, expected)
    elif dtype == float64:
        expect_close(op.name, backend, found, expected, ulps(expected, float64, 2 * op.ulp + 2))
    else:
        exact = REFERENCE.elementwise(op, *[a.astype(float64) if a.dtype == float32 else a for a in arrays])
        with np.errstate(all="ignore"):
            rounded = exact.astype(float32)
        ulp = max(op.ulp, 4.0) if isinstance(backend, NumpyBackend) else op.ulp
        expect_close(op.name, backend, found, rounded, ulps(rounded, float32, ulp + 0.5))


def check_elementwise_gradient(op: Op, order: int, backend: Backend, draw: Draw) -> None:
    """Derivatives of a row match central differences, away from its kinks and from ties."""
    if op.name in ("clip", "where", "maximum", "minimum"):  # the smooth parts meet where operands are equal
        shapes: list[Shape] = [draw.small().shape(least=1)] * op.arity
    else:
        shapes = draw.small().shapes(op.arity)
    active = [i for i, g in enumerate(op.grads) if g is not None]
    samples = {i: draw.sample(shapes[i], _smooth_values(op, i)) for i in active}
    passive = [
        None if i in active else draw.sample(shapes[i], _values(op, i, bool_ if _is_condition(op, i) else float64))
        for i in range(op.arity)
    ]

    def function(*leaves: Tensor) -> Tensor:
        views = dict(zip(active, leaves, strict=True))
        operands = [
            samples[i].view(views[i]) if still is None else Tensor(still.on(backend), backend)
            for i, still in enumerate(passive)
        ]
        return elementwise(op.name, *operands)

    check_gradient(function, [samples[i].leaf(backend) for i in active], order)


def _is_condition(op: Op, i: int) -> bool:
    return op.name == "where" and i == 0


def _values(op: Op, i: int, dtype: DType) -> Values:
    low, high = op.domain[i]
    if dtype.kind == "f":
        return uniform(dtype, low, high, FLOATS)
    if op.name == "pow" and i == 1:  # an integer to a negative power is not an integer
        return uniform(dtype, 0, 5)
    return uniform(dtype, low, high, INTEGERS)


def _smooth_values(op: Op, i: int) -> Values:
    """Values of operand i on its own grid, at least 0.001 away from the row's kinks and the other operands."""
    low, high = op.domain[i]

    def values(rng: np.random.Generator, shape: Shape) -> NDArray[Any]:
        found = 0.04 * rng.integers(round(low / 0.04), round(high / 0.04), shape) + 0.01 * (i + 1)
        near = (np.abs(np.subtract.outer(found, op.kinks)) < 0.001).any(-1)
        return np.asarray(found + 0.005 * near, np.float64)

    return values


def _cases(op: Op) -> list[Case]:
    found = [Case(op.name, "values", partial(check_elementwise, op))]
    if any(op.grads):
        found.append(Case(op.name, "gradient", partial(check_elementwise_gradient, op, 1)))
        found.append(Case(op.name, "second", partial(check_elementwise_gradient, op, 2)))
    return found


ELEMENTWISE_CASES: tuple[Case, ...] = tuple(case for op in OPS.values() for case in _cases(op))
