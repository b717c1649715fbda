"""Cases of reductions, argmax and argmin, and running sums."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._backend import Backend
from .._dtypes import float64, int64
from .._optable import REDUCTIONS, Reduction
from .._tensor import Tensor
from .._types import DType, Shape
from ._case import Case, check_gradient
from ._compare import expect_close, expect_equal, sum_bound
from ._draw import REFERENCE, Draw, Values, uniform

SPECIALS = (0.0, np.nan, np.inf, -np.inf)


def _draw_values(draw: Draw, dtype: DType, low: float, high: float) -> Values:
    specials = SPECIALS if dtype.kind == "f" and draw.one_in(2) else ()
    return uniform(dtype, low, high, specials)


def check_reduce(reduction: Reduction, backend: Backend, draw: Draw) -> None:
    """Over any dims, max and min are exact, a sum is within `sum_bound`, a product within 2 eps per factor."""
    dtype = draw.dtype("fi" if reduction.start is not None else "bif")
    shape = draw.shape(1, least=0 if reduction.start is not None else 1)
    sample = draw.sample(shape, _draw_values(draw, dtype, -2, 2))
    dims = draw.dims(len(shape))
    array, found = sample.numpy(), backend.reduce(reduction, sample.on(backend), dims)
    what = f"{reduction.name} over {dims} of {shape}"
    if dtype.kind != "f" or reduction.start is None:
        expect_equal(what, backend, found, REFERENCE.reduce(reduction, array, dims))
        return
    exact = REFERENCE.reduce(reduction, array.astype(float64), dims)
    terms = array.size // exact.size if exact.size else 0
    if reduction.name == "sum":
        magnitude = REFERENCE.reduce(reduction, np.abs(array.astype(float64)), dims)
        bound = sum_bound(terms, magnitude, dtype)
    else:
        with np.errstate(all="ignore"):
            bound = np.abs(exact) * (2 * terms * float(np.finfo(dtype).eps)) + float(np.finfo(dtype).tiny)
    with np.errstate(all="ignore"):
        expect_close(what, backend, found, exact.astype(dtype), bound)


def check_reduced_gradient(name: str, order: int, backend: Backend, draw: Draw, *, least: int = 1) -> None:
    """Derivatives of the method over one, several or all dims, for distinct elements, match central differences."""
    shape = draw.small().shape(least=least)
    dim: int | Shape | None = None
    if shape and not draw.one_in(4):
        dim = draw.dims(len(shape)) if draw.one_in(2) else draw.dim(len(shape)) - len(shape)
    keepdim = draw.one_in(2)
    sample = draw.sample(shape, _distinct)

    def function(leaf: Tensor) -> Tensor:
        out: Tensor = getattr(sample.view(leaf), name)(dim, keepdim=keepdim)
        return out

    if name == "var" and 1 in (sample.numpy().size // max(function(sample.leaf(backend)).size, 1),):
        return  # the variance of one element is NaN
    check_gradient(function, [sample.leaf(backend)], order)


def _distinct(rng: np.random.Generator, shape: Shape) -> NDArray[Any]:
    count = int(np.prod(shape))
    return np.asarray((rng.permutation(count) - 0.4 * count) * 0.3, float64).reshape(shape)


def check_arg_reduce(name: str, backend: Backend, draw: Draw) -> None:
    """The index is that of the first of equal elements, or of the first NaN."""
    dtype = draw.dtype("bif")
    shape = draw.shape(1)
    dim = draw.dim(len(shape))
    shape = tuple(max(n, 1) if i == dim else n for i, n in enumerate(shape))

    def ties(rng: np.random.Generator, drawn: Shape) -> NDArray[Any]:
        return np.asarray(rng.integers(0, 3, drawn), dtype)

    values = ties if draw.one_in(2) else _draw_values(draw, dtype, -3, 3)
    sample = draw.sample(shape, values)
    expected = REFERENCE.arg_reduce(name, sample.numpy(), dim)
    found = backend.arg_reduce(name, sample.on(backend), dim)
    expect_equal(f"arg{name} along {dim} of {shape}", backend, found, expected.astype(int64))


def check_cumsum(backend: Backend, draw: Draw) -> None:
    """Running sums are within `sum_bound`."""
    dtype = draw.dtype("fi")
    shape = draw.shape(1)
    dim = draw.dim(len(shape))
    sample = draw.sample(shape, _draw_values(draw, dtype, -2, 2))
    array, found = sample.numpy(), backend.cumsum(sample.on(backend), dim)
    what = f"cumsum along {dim} of {shape}"
    if dtype.kind == "i":
        expect_equal(what, backend, found, REFERENCE.cumsum(array, dim))
        return
    wide = array.astype(float64)
    exact, magnitude = REFERENCE.cumsum(wide, dim), REFERENCE.cumsum(np.abs(wide), dim)
    expect_close(what, backend, found, exact.astype(dtype), sum_bound(shape[dim], magnitude, dtype))


def check_cumsum_gradient(backend: Backend, draw: Draw) -> None:
    shape = draw.small().shape(1)
    dim = draw.integer(-len(shape), len(shape) - 1)
    sample = draw.sample(shape, _distinct)
    check_gradient(lambda leaf: sample.view(leaf).cumsum(dim), [sample.leaf(backend)])


REDUCE_CASES: tuple[Case, ...] = (
    *(Case(f"reduce-{name}", "values", partial(check_reduce, row)) for name, row in REDUCTIONS.items()),
    *(
        Case(name, "gradient", partial(check_reduced_gradient, name, 1))
        for name in ("sum", "mean", "prod", "max", "min", "var")
    ),
    *(Case(name, "second", partial(check_reduced_gradient, name, 2)) for name in ("prod", "max", "min", "var")),
    *(Case(f"arg{name}", "values", partial(check_arg_reduce, name)) for name in ("max", "min")),
    Case("cumsum", "values", check_cumsum),
    Case("cumsum", "gradient", check_cumsum_gradient),
)
