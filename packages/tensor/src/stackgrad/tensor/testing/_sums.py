"""Cases of the accuracy of sums on hard values: a mean far above the deviation, changing signs, mixed magnitudes."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from .._backend import Backend
from .._dtypes import float32
from .._optable import REDUCTIONS
from .._tensor import Tensor
from .._types import DType, Shape
from .._types import HostArray as Array
from ._case import Case
from ._compare import expect_near
from ._draw import Draw, Values


def exact_sum_bound(terms: int, magnitude: Array, dtype: DType) -> Array:
    """The error bound of a sum: 32 log2(terms) eps times the sum of magnitudes."""
    eps = float(np.finfo(dtype).eps)
    return np.asarray(32 * max(1.0, math.log2(max(terms, 1))) * eps * magnitude + np.finfo(dtype).tiny)


def hard_values(draw: Draw, dtype: DType) -> Values:
    """Values far from 0, of alternating sign, or of mixed magnitudes."""
    form = draw.integer(0, 2)
    far = 10.0 ** draw.integer(2, 6)

    def values(rng: np.random.Generator, shape: Shape) -> Array:
        if form == 0:
            out = far + rng.standard_normal(shape)
        elif form == 1:
            out = far * np.where(np.arange(math.prod(shape)).reshape(shape) % 2, -1, 1) + rng.random(shape)
        else:
            out = rng.standard_normal(shape) * 2.0 ** rng.integers(-20, 20, shape)
        return np.asarray(out, dtype)

    return values


def _fsum(a: Array, dims: Shape) -> Array:
    """The sum of `a` over `dims`, rounded once."""
    kept = [d for d in range(a.ndim) if d not in dims]
    rows = a.transpose(*kept, *dims).reshape(math.prod([a.shape[d] for d in kept]), -1)
    return np.array([math.fsum(row) for row in rows.tolist()]).reshape([a.shape[d] for d in kept])


def check_exact_sum(backend: Backend, draw: Draw) -> None:
    """Sums over any dims and layout are within `exact_sum_bound`."""
    dtype = draw.dtype()
    shape = draw.shape(1, least=1)
    sample, dims = draw.sample(shape, hard_values(draw, dtype)), draw.dims(len(shape))
    array, found = sample.numpy(), backend.to_numpy(backend.reduce(REDUCTIONS["sum"], sample.on(backend), dims))
    terms = math.prod([shape[d] for d in dims])
    bound = exact_sum_bound(terms, _fsum(np.abs(array), dims), dtype)
    expect_near(f"sum over {dims} of {sample} on {backend.name}", found, _fsum(array, dims), bound)


def check_exact_cumsum(backend: Backend, draw: Draw) -> None:
    """Each running sum is within `exact_sum_bound` for its count of terms."""
    dtype = draw.dtype()
    shape = draw.shape(1, least=1)
    sample, dim = draw.sample(shape, hard_values(draw, dtype)), draw.dim(len(shape))
    array = np.moveaxis(sample.numpy(), dim, -1)
    found = np.moveaxis(backend.to_numpy(backend.cumsum(sample.on(backend), dim)), dim, -1)
    for count in {1, shape[dim] // 2 + 1, shape[dim]}:
        first = array[..., :count]
        bound = exact_sum_bound(count, _fsum(np.abs(first), (first.ndim - 1,)), dtype)
        expected = _fsum(first, (first.ndim - 1,))
        expect_near(f"cumsum along {dim} of {sample} on {backend.name}", found[..., count - 1], expected, bound)


def check_exact_scatter_add(backend: Backend, draw: Draw) -> None:
    """Each row is within `exact_sum_bound` for its count of terms."""
    dtype = draw.dtype()
    rows, count = draw.integer(1, 3), draw.shape(1, 1, least=1)[0]
    g = draw.sample((count, draw.integer(1, 3)), hard_values(draw, dtype))
    index = np.sort(draw.rng.integers(0, rows, count))
    found = backend.to_numpy(backend.scatter_add(g.on(backend), backend.from_numpy(index), rows))
    for row in range(rows):
        array = g.numpy()[index == row]
        bound = exact_sum_bound(len(array), _fsum(np.abs(array), (0,)), dtype)
        expect_near(f"scatter_add of {g} on {backend.name}", found[row], _fsum(array, (0,)), bound)


def check_exact_var(backend: Backend, draw: Draw) -> None:
    """The relative error is at most 64 log2(n) eps, plus the squared rounding error of the mean."""
    dtype = draw.dtype()
    values = hard_values(draw, dtype)
    count = draw.shape(1, 1, least=1)[0] % 300 + 2
    array = np.resize(values(draw.rng, (count if draw.one_in(2) else 1,)), count)
    exact = [Fraction(x) for x in array.tolist()]
    mean = sum(exact) / count
    expected = float(sum((x - mean) ** 2 for x in exact) / (count - 1))
    relative = float(64 * math.log2(count) * np.finfo(dtype).eps)
    found = Tensor(backend.from_numpy(array), backend).var()
    bound = relative * expected + (relative**2 * float(np.abs(array).max())) ** 2 + float(np.finfo(dtype).tiny)
    expect_near(f"var of {count} on {backend.name}", backend.to_numpy(found.data), np.array(expected), bound)


def check_exact_batch_norm(backend: Backend, draw: Draw) -> None:
    """The mean, variance and result are accurate for float32 channels with a mean far above the deviation."""
    n, c, s = draw.integer(2, 4), draw.extent(1), draw.shape(1, 1, least=1)[0]
    deviation = draw.choice((0.0, 0.5, 10.0))

    def values(rng: np.random.Generator, shape: Shape) -> Array:
        return np.asarray(rng.choice((100.3, 1e4, 1e6), (1, c, 1)) + rng.standard_normal(shape) * deviation, float32)

    x = values(draw.rng, (n, c, s))
    x = _channels_last(x) if draw.one_in(2) else x
    ones, zeros = (backend.full((c,), value, float32) for value in (1, 0))
    arrays = backend.batch_norm(backend.from_numpy(x), ones, zeros, 1e-5, False)
    out, mean, var = (backend.to_numpy(array) for array in arrays)
    wide = x.astype(np.float64)
    centre, eps = wide.mean((0, 2)), float(np.finfo(float32).eps)
    around = ((wide - centre[:, None]) ** 2).mean((0, 2))
    what = f"batch_norm of {x.shape} on {backend.name}"
    expect_near(f"{what}: mean", mean, centre, 2 * eps * np.abs(x).max((0, 2)))
    expect_near(f"{what}: var", var, around, 256 * eps * around)
    normal = (wide - mean[:, None]) / np.sqrt(around + 1e-5)[:, None]
    expect_near(f"{what}: result", out, normal, 300 * eps * (np.abs(normal) + 1))


def _channels_last(x: Array) -> Array:
    return np.ascontiguousarray(x.transpose(0, 2, 1)).transpose(0, 2, 1)


EXACTNESS_CASES: tuple[Case, ...] = (
    Case("exact-sum", "values", check_exact_sum),
    Case("exact-cumsum", "values", check_exact_cumsum),
    Case("exact-scatter_add", "values", check_exact_scatter_add),
    Case("exact-var", "values", check_exact_var),
    Case("exact-batch_norm", "values", check_exact_batch_norm),
)
