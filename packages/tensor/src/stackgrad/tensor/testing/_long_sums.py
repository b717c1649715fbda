"""Sums over 20 million elements, which reveal errors that grow with length.

A backend's tests run each of `LONG_SUMS` once. They take a few seconds and up to 2 GB of memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np

from .._backend import Backend
from .._backward import grad
from .._dtypes import float32, float64
from .._optable import REDUCTIONS
from .._tensor import Tensor
from .._types import DType, Shape
from .._types import HostArray as Array
from .._window import Window
from ._compare import expect_near
from ._sums import exact_sum_bound

COUNT = 20_000_000
PRODUCTS = 16_384  # the products that a backend may sum sequentially, in matrix products and convolutions


@cache
def _far() -> Array:
    """10 randn + 1e6."""
    return (np.random.default_rng(0).standard_normal(COUNT, np.float32) * 10 + 1e6).astype(float32)


def _constant(dtype: DType) -> Array:
    return np.full(COUNT, 0.1, dtype)


def _expect_total(what: str, backend: Backend, found: Any, dtype: DType, count: int, bound: float) -> None:
    """Sums of `count` times 0.1 are within `bound` eps."""
    exact = Fraction(float(dtype.type(0.1))) * count
    eps = float(np.finfo(dtype).eps)
    for value in np.ravel(backend.to_numpy(found)).tolist():
        error = float(abs(Fraction(value) - exact) / exact) / eps
        assert error <= bound, f"{what} of {count} times 0.1 on {backend.name} is off by {error:.3g} eps"


# The shape in memory, the permutation of it, and the dims to sum over.
LAYOUTS: dict[str, tuple[Shape, Shape, Shape]] = {
    "all": ((COUNT,), (0,), (0,)),
    "leading": ((COUNT // 5, 5), (0, 1), (0,)),
    "trailing": ((5, COUNT // 5), (0, 1), (1,)),
    "middle": ((5, COUNT // 50, 10), (0, 1, 2), (1,)),
    "outer": ((2000, 5, 2000), (0, 1, 2), (0, 2)),
    "transposed": ((5, COUNT // 5), (1, 0), (0,)),
    "channels last": ((50, 200, 400, 5), (0, 3, 1, 2), (0, 2, 3)),
}


def check_sums(backend: Backend) -> None:
    """Sums of 0.1 and of values far from 0, for each of LAYOUTS."""
    for name, (shape, order, dims) in LAYOUTS.items():
        for dtype in (float32, float64):
            x = backend.from_numpy(_constant(dtype).reshape(shape).transpose(order))
            terms = math.prod([x.shape[d] for d in dims])
            bound = float(exact_sum_bound(terms, np.array(1 / np.finfo(dtype).eps), dtype))
            _expect_total(f"sum, {name},", backend, backend.reduce(REDUCTIONS["sum"], x, dims), dtype, terms, bound)
        far = _far().reshape(shape).transpose(order)
        found = backend.to_numpy(backend.reduce(REDUCTIONS["sum"], backend.from_numpy(far), dims))
        exact = far.sum(dims, np.float64)
        expect_near(f"sum, {name}, on {backend.name}", found, exact, exact_sum_bound(terms, exact, float32))


def check_running_sums(backend: Backend) -> None:
    """Running sums of ones, which naive float32 sums stop at 2**24, and of values far from 0, along both dims."""
    ones = backend.to_numpy(backend.cumsum(backend.full((COUNT,), 1, float32), 0))
    assert np.array_equal(ones, np.arange(1, COUNT + 1).astype(float32)), f"cumsum of ones on {backend.name}"
    for shape, dim in (((COUNT,), 0), ((COUNT // 4, 4), 0), ((4, COUNT // 4), 1)):
        far = _far().reshape(shape)
        found = backend.to_numpy(backend.cumsum(backend.from_numpy(far), dim))
        exact = np.cumsum(far, dim, np.float64)
        expect_near(f"cumsum along {dim} of {shape} on {backend.name}", found, exact, 2.0**-23 * exact)
    found = backend.cumsum(backend.from_numpy(_constant(float64)), 0)
    _expect_total("cumsum", backend, found[-1:], float64, COUNT, 2)


def check_products(backend: Backend) -> None:
    """The product of values near 1."""
    for dtype in (float32, float64):
        x = (1 + np.random.default_rng(0).standard_normal(COUNT) * 1e-4).astype(dtype)
        parts = x.astype(np.float64) - 1  # exact
        exact = math.exp(math.fsum(np.log1p(parts).tolist()))
        found = float(backend.to_numpy(backend.reduce(REDUCTIONS["prod"], backend.from_numpy(x), (0,))))
        # The reference rounds its logarithms, randomly: 1e-13 in all.
        assert abs(found / exact - 1) <= np.finfo(dtype).eps + 1e-13, f"prod of {dtype} on {backend.name}"


def check_moments(backend: Backend) -> None:
    """The mean and variance of values far from 0: of all of them, and over the rows of a matrix."""
    for shape, dim in (((COUNT,), 0), ((COUNT // 4, 4), 0)):
        far = _far().reshape(shape)
        x = Tensor(backend.from_numpy(far), backend)
        mean, var = far.mean(0, np.float64), far.var(0, np.float64, ddof=1)
        bound = exact_sum_bound(COUNT, np.asarray(mean), float32)
        expect_near(f"mean of {shape} on {backend.name}", x.mean(dim).numpy(), mean, bound)
        expect_near(
            f"var of {shape} on {backend.name}", x.var(dim).numpy(), var, 2 * exact_sum_bound(COUNT, var, float32)
        )


def check_batch_norm(backend: Backend) -> None:
    """Batch norm of four channels and of one, in both memory orders, and the gradients of weight and bias."""
    for shape, last in (((20, 4, COUNT // 80), False), ((20, 4, COUNT // 80), True), ((20, 1, COUNT // 20), False)):
        far = _far().reshape(shape[0], shape[2], shape[1]).transpose(0, 2, 1) if last else _far().reshape(shape)
        x, c = backend.from_numpy(far), shape[1]
        ones, zeros = backend.full((c,), 1, float32), backend.full((c,), 0, float32)
        out, mean, var = backend.batch_norm(x, ones, zeros, 1e-5, False)
        exact, around = far.mean((0, 2), np.float64), far.astype(np.float64).var((0, 2))
        what = f"batch_norm of {shape} on {backend.name}"
        expect_near(f"{what}: mean", backend.to_numpy(mean), exact, 2.0**-22 * exact)
        expect_near(f"{what}: var", backend.to_numpy(var), around, 2.0**-15 * around)
        _, weight_grad, bias_grad = backend.batch_norm_grad(out, x, ones, zeros, mean, var, 1e-5, False)
        normal = (far - exact[:, None]) / np.sqrt(around + 1e-5)[:, None]
        terms = COUNT // c
        # The rounding error of the mean, half an ulp or 1/32, is 1/320 of the deviation.
        expect_near(f"{what}: weight", backend.to_numpy(weight_grad), (normal**2).sum((0, 2)), 2e-4 * terms)
        expect_near(f"{what}: bias", backend.to_numpy(bias_grad), normal.sum((0, 2)), terms / 300)


def check_scattered_sums(backend: Backend) -> None:
    """Two rows that each receive half of the elements, and the gradient of a broadcast operand."""
    for dtype in (float32, float64):
        index = np.arange(COUNT) % 2
        found = backend.scatter_add(backend.from_numpy(_constant(dtype)[:, None]), backend.from_numpy(index), 2)
        _expect_total("scatter_add", backend, found, dtype, COUNT // 2, 16)
        x, scale = (Tensor(backend.from_numpy(a), backend) for a in (_constant(dtype), np.ones(1, dtype)))
        scale.requires_grad = True
        (found,) = grad((x * scale).sum(), [scale])
        _expect_total("the gradient of a scale", backend, found.data, dtype, COUNT, 32 * math.log2(COUNT))


def check_softmax(backend: Backend) -> None:
    """The logarithms of one row match float64 to a few eps, and the gradient of a constant is 0."""
    logits = np.random.default_rng(0).standard_normal(COUNT, np.float32)
    wide = logits.astype(np.float64)
    exact = wide - np.log(np.exp(wide).sum())
    found = backend.log_softmax(backend.from_numpy(logits), 0)
    expect_near(f"log_softmax on {backend.name}", backend.to_numpy(found), exact, 2.0**-21 * np.abs(exact))
    out = backend.softmax(backend.from_numpy(logits), 0)
    assert abs(float(backend.to_numpy(out).sum(dtype=np.float64)) - 1) <= 2.0**-18, f"softmax on {backend.name}"
    g = backend.full((COUNT,), 1, float32)
    expected = np.zeros(COUNT, float32)
    rest = backend.to_numpy(backend.softmax_grad(g, out, 0))
    expect_near(f"softmax_grad on {backend.name}", rest, expected, 2.0**-17 * backend.to_numpy(out))


def check_windows(backend: Backend) -> None:
    """The mean under one window, and matrix products with at most PRODUCTS roundings."""
    for dtype in (float32, float64):
        x, ones = (backend.from_numpy(a) for a in (_constant(dtype), np.ones(COUNT, dtype)))
        image, like = backend.reshape(x, (1, 1, 4000, 5000)), backend.reshape(ones, (1, 1, 4000, 5000))
        mean = backend.avg_pool2d(image, Window((4000, 5000)))
        _expect_total("avg_pool2d", backend, mean, dtype, 1, 32 * math.log2(COUNT))
        row, column = backend.reshape(x, (1, COUNT)), backend.reshape(ones, (COUNT, 1))
        _expect_total("matmul", backend, backend.matmul(row, column), dtype, COUNT, PRODUCTS / 2)
        channels, weights = backend.reshape(x, (1, COUNT // 10, 10, 1)), backend.reshape(ones, (1, COUNT // 10, 10, 1))
        out, _ = backend.conv2d(channels, weights, None, Window((10, 1)), 1, False)
        _expect_total("conv2d", backend, out, dtype, COUNT, PRODUCTS / 2)
        slope = backend.conv2d_weight_grad(image, like, Window((1, 1)), 1)
        _expect_total("conv2d_weight_grad", backend, slope, dtype, COUNT, PRODUCTS / 2)
        tall, out = (backend.reshape(a, (1, 1, COUNT, 1)) for a in (x, ones))
        weight = backend.full((1, 1, 1, 1), 1, dtype)
        *_, sums = backend.conv2d_grads(tall, tall, weight, out, Window((1, 1)), 1, (False, False, True))
        _expect_total("the bias's gradient", backend, sums, dtype, COUNT, 32 * math.log2(COUNT))


LONG_SUMS: dict[str, Callable[[Backend], None]] = {
    "sum": check_sums,
    "cumsum": check_running_sums,
    "prod": check_products,
    "var": check_moments,
    "batch_norm": check_batch_norm,
    "scatter_add": check_scattered_sums,
    "softmax": check_softmax,
    "windows": check_windows,
}
