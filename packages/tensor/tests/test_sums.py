"""The accuracy of the reference backend's sums, and their implementation."""

import numpy as np
import pytest

from stackgrad.tensor import REDUCTIONS, NumpyBackend, _sums, batch_norm, ones, tensor, zeros
from stackgrad.tensor.testing import EXACTNESS_CASES, LONG_SUMS, Limits

BACKEND = NumpyBackend()


def total(x):
    return BACKEND.reduce(REDUCTIONS["sum"], x, (0,))


def product(x):
    return BACKEND.reduce(REDUCTIONS["prod"], x, (0,))


@pytest.mark.parametrize("case", EXACTNESS_CASES, ids=str)
def test_hard_values(case):
    case.run("numpy")
    case.run("numpy", Limits(size=20_000), max_examples=10)


@pytest.mark.parametrize("name", LONG_SUMS)
def test_twenty_million(name):
    LONG_SUMS[name](BACKEND)


def test_a_constant_channel_is_normalised_to_zero():
    x = tensor(np.full((64, 1, 999), 100.3, np.float32), backend="numpy")
    weight, bias = ones(1, backend="numpy"), zeros(1, backend="numpy")
    out, mean, var = batch_norm(x, weight, bias)
    assert np.abs(out.numpy()).max() == 0
    assert mean.item() == np.float32(100.3)
    assert var.item() == 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_infinities_and_nan_pass(dtype):
    inf, nan = np.inf, np.nan
    x = np.array([1, inf, 2, -inf, 3], dtype)
    assert np.array_equal(BACKEND.cumsum(x, 0), [1, inf, inf, nan, nan], equal_nan=True)
    assert BACKEND.cumsum(np.array([np.finfo(dtype).max] * 3), 0)[-1] == inf
    assert total(x[:3]) == inf
    assert np.isnan(total(x))
    assert product(x[:3]) == inf
    assert product(x) == -inf
    assert np.isnan(product(np.array([0, inf, 1], dtype)))
    assert np.isnan(product(np.array([nan, 0], dtype)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_product_does_not_overflow_midway(dtype):
    large = np.finfo(dtype).max
    assert product(np.array([large, large, 0.5, 1 / large, 1 / large], dtype)) == pytest.approx(0.5)
    assert product(np.array([large, large], dtype)) == np.inf
    assert product(np.array([1 / large] * 3, dtype)) == 0


def test_products_of_few_elements_and_of_none():
    for count in range(9):
        x = np.arange(1.0, count + 1)
        assert product(x) == np.prod(x)
        assert np.array_equal(product(np.stack([x, -x], 1)), np.prod(np.stack([x, -x], 1), 0))


@pytest.mark.parametrize("k", [_sums.PIECE, _sums.PIECE + 1, 3 * _sums.PIECE])
def test_a_long_matrix_product_is_split(k):
    a, b = np.random.default_rng(0).integers(-3, 4, (2, 2, 3, k)).astype(np.float64)
    expected = np.einsum("bik,bjk->bij", a, b)
    assert np.array_equal(_sums.matmul(a, b.swapaxes(1, 2)), expected)
