"""Cases of matrix products."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from .._backend import Backend
from .._dtypes import float64, int64
from .._linear import linear
from .._optable import OPS
from .._tensor import Tensor
from .._types import Activation, Shape
from ._case import Case, check_gradient
from ._compare import expect_close, expect_equal, sum_bound
from ._draw import REFERENCE, Draw, Limits, uniform

SPECIALS = (0.0, np.nan, np.inf)


def _draw_matrix_extents(draw: Draw) -> tuple[int, int, int]:
    """Rows, inner extent and columns: small, or up to the square root of the size limit."""
    if draw.one_in(2):
        return draw.extent(), draw.extent(), draw.extent()
    side = max(math.isqrt(draw.limits.size), 1)
    return draw.integer(1, side), draw.integer(1, side), draw.integer(1, side)


def check_matmul(backend: Backend, draw: Draw) -> None:
    """Each element is within `sum_bound` of a float64 product, for operands of any layout and equal batches."""
    dtype = draw.dtype("fi")
    n, k, m = _draw_matrix_extents(draw)
    room = max(draw.limits.size // max(n * k, k * m, n * m, 1), 1)
    batch = draw.within(Limits(draw.limits.extent, room)).shape(0, 2)
    specials = SPECIALS if dtype.kind == "f" else (2**62, -1)
    values = uniform(dtype, specials=specials if draw.one_in(4) else ())
    left, right = draw.sample((*batch, n, k), values), draw.sample((*batch, k, m), values)
    found = backend.matmul(left.on(backend), right.on(backend))
    if dtype == int64:
        expect_equal("matmul of int64", backend, found, REFERENCE.matmul(left.numpy(), right.numpy()))
        return
    a, b = left.numpy().astype(float64), right.numpy().astype(float64)
    bound = sum_bound(k, REFERENCE.matmul(np.abs(a), np.abs(b)), dtype)
    what = f"matmul of {(*batch, n, k)} and {(*batch, k, m)}"
    expect_close(what, backend, found, REFERENCE.matmul(a, b).astype(dtype), bound)


def check_matmul_gradient(order: int, backend: Backend, draw: Draw) -> None:
    """Derivatives of the product of rows, columns, matrices, and broadcast batches match central differences."""
    k = draw.small().extent()
    shapes: list[Shape] = [(k,), (k,)]
    batches = draw.within(Limits(2, 2)).shapes(2)
    if not draw.one_in(4):
        shapes[0] = (*batches[0], draw.integer(1, 2), k)
    if not draw.one_in(4):
        shapes[1] = (*batches[1], k, draw.integer(1, 2))
    samples = [draw.sample(shape, uniform(float64)) for shape in shapes]
    check_gradient(
        lambda a, b: samples[0].view(a) @ samples[1].view(b), [sample.leaf(backend) for sample in samples], order
    )


def check_linear(backend: Backend, draw: Draw) -> None:
    """x (n, i) times the transpose of weight (o, i), plus bias (o,) or none, is within `sum_bound`."""
    dtype = draw.dtype()
    n, i, o = _draw_matrix_extents(draw)
    x, weight, bias = (draw.sample(shape, uniform(dtype)) for shape in ((n, i), (o, i), (o,)))
    with_bias = draw.one_in(2)
    operands = x.on(backend), weight.on(backend), bias.on(backend) if with_bias else None
    found = backend.linear(*operands, False)
    wide = [sample.numpy().astype(float64) for sample in (x, weight, bias)]
    wide[2] = wide[2] if with_bias else wide[2] * 0
    exact = wide[0] @ wide[1].T + wide[2]
    magnitude = np.abs(wide[0]) @ np.abs(wide[1]).T + np.abs(wide[2])
    expect_close(
        f"linear of {(n, i)}, {(o, i)}", backend, found, exact.astype(dtype), sum_bound(i + 1, magnitude, dtype)
    )
    above = REFERENCE.elementwise(OPS["relu"], backend.to_numpy(found))
    expect_equal(f"relu of linear of {(n, i)}, {(o, i)}", backend, backend.linear(*operands, True), above)


def check_linear_grads(backend: Backend, draw: Draw) -> None:
    """The needed gradients are within `sum_bound`; with relu, `g` counts only where the result is positive."""
    dtype = draw.dtype()
    n, i, o = _draw_matrix_extents(draw)
    samples = [draw.sample(shape, uniform(dtype)) for shape in ((n, o), (n, i), (o, i))]
    g, x, weight = (sample.numpy().astype(float64) for sample in samples)
    out = draw.sample((n, o), uniform(dtype, specials=(0.0, -1.0))) if draw.one_in(2) else None
    needs = (draw.one_in(2), draw.one_in(2), draw.one_in(2))
    above = None if out is None else out.on(backend)
    given_g, given_x, given_weight = (sample.on(backend) for sample in samples)
    found = backend.linear_grads(given_g, given_x, given_weight, above, needs)
    assert [grad is not None for grad in found] == [*needs]
    g = g if out is None else np.where(out.numpy() > 0, g, 0)
    terms = {"x": (o, g, weight), "weight": (n, g.T, x), "bias": (n, np.ones(n), g)}
    for (name, (count, a, b)), grad in zip(terms.items(), found, strict=True):
        if grad is not None:
            bound = sum_bound(count, np.abs(a) @ np.abs(b), dtype)
            expect_close(f"linear's gradient for {name}", backend, grad, (a @ b).astype(dtype), bound)


def check_linear_gradient(order: int, backend: Backend, draw: Draw) -> None:
    i, o = draw.small().extent(), draw.small().extent()
    batch = draw.within(Limits(2, 4)).shape(0, 3)
    rng = draw.rng
    shapes = [(*batch, i), (o, i), (o,)][: draw.integer(2, 3)]
    leaves = [Tensor(backend.from_numpy(rng.uniform(-2, 2, shape)), backend) for shape in shapes]
    activation: Activation = "relu" if draw.one_in(2) else None
    check_gradient(lambda x, weight, bias=None: linear(x, weight, bias, activation), leaves, order)


PRODUCT_CASES: tuple[Case, ...] = (
    Case("matmul", "values", check_matmul),
    Case("matmul", "gradient", partial(check_matmul_gradient, 1)),
    Case("matmul", "second", partial(check_matmul_gradient, 2)),
    Case("linear", "values", check_linear),
    Case("linear_grads", "values", check_linear_grads),
    Case("linear", "gradient", partial(check_linear_gradient, 1)),
    Case("linear", "second", partial(check_linear_gradient, 2)),
)
