"""The accuracy of sums, and convolutions and products that are computed in parts."""

import numpy as np
import pytest

from stackgrad.kernels.cpu import _matmul, _parts, conv
from stackgrad.kernels.cpu._parts import sum_of
from stackgrad.kernels.cpu.conv import _forward, _input_grad, _weight_grad
from stackgrad.kernels.cpu.conv import _parts as _conv_parts
from stackgrad.tensor import NumpyBackend, Window, get_backend
from stackgrad.tensor.testing import EXACTNESS_CASES, LONG_SUMS, Limits

RNG = np.random.default_rng(0)
NUMPY = NumpyBackend()


def integers(*shape):
    """Small integers, whose sums are exact."""
    return RNG.integers(-3, 4, shape).astype("float32")


@pytest.mark.parametrize("case", EXACTNESS_CASES, ids=str)
def test_hard_values(case):
    case.run("cpu")
    case.run("cpu", Limits(size=200_000), max_examples=10)


@pytest.mark.parametrize("name", LONG_SUMS)
def test_twenty_million(name):
    LONG_SUMS[name](get_backend("cpu"))


def test_parts_are_added_pairwise():
    for count in range(1, 20):
        parts = integers(count, 3)
        assert np.array_equal(sum_of(iter(parts)), parts.sum(0))
    ones = (np.full(1, 0.1, np.float32) for _ in range(4096))
    assert sum_of(ones) == np.float32(0.1) * 4096


@pytest.mark.usefixtures("poisoned")
@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("shape", [(3, 100, 4), (2, 3, 100, 4), (1, 65, 1)])
def test_long_products_are_split(monkeypatch, shape, relu):
    monkeypatch.setattr(_matmul, "PRODUCTS", 16)
    *batch, n, k, m = shape
    a, b, bias = integers(*batch, n, k), integers(*batch, k, m), integers(m)
    expected = NUMPY.matmul(a, b) + bias
    expected = np.maximum(expected, 0) if relu else expected
    assert np.array_equal(_matmul.matmul(a, b, bias, relu), expected)
    transposed = np.ascontiguousarray(a.swapaxes(-1, -2)).swapaxes(-1, -2)
    assert np.array_equal(_matmul.matmul(transposed, b, bias, relu), expected)
    repeated = np.broadcast_to(b[(0,) * len(batch)], b.shape)
    assert np.array_equal(_matmul.matmul(a, repeated), NUMPY.matmul(a, repeated))


WINDOWS = [
    Window((3, 3), (1, 1), ((1, 1), (1, 1))),
    Window((2, 3), (2, 1), ((1, 0), (2, 1)), (2, 2)),
    Window((5, 1), (1, 2)),
    Window((1, 5), (1, 1), ((0, 0), (2, 2))),
]


@pytest.mark.usefixtures("poisoned")  # it caches no plans
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("most", [1, 4, 9, 20])
def test_large_convolutions_are_computed_in_parts(monkeypatch, most, window, groups):
    for module, name in (
        *((module, "LONGEST_SUM") for module in (_conv_parts, _forward, _input_grad)),
        *((module, name) for module in (_conv_parts, _weight_grad) for name in ("MOST_PIXELS", "LONGEST_ROW")),
    ):
        monkeypatch.setattr(module, name, most)
    x, weight, bias = integers(3, 6, 9, 10), integers(4, 6 // groups, *window.kernel), integers(4)
    expected = NUMPY.conv2d(x, weight, bias, window, groups, False)[0]
    assert np.array_equal(_forward.conv2d(x, weight, bias, window, groups, False)[0], expected)
    assert np.array_equal(_forward.conv2d(x, weight, bias, window, groups, True)[0], np.maximum(expected, 0))
    g = integers(*expected.shape)
    found = _input_grad.conv2d_input_grad(g, weight, (9, 10), window, groups)
    assert np.array_equal(found, NUMPY.conv2d_input_grad(g, weight, (9, 10), window, groups))
    found = _weight_grad.conv2d_weight_grad(x, g, window, groups)
    assert np.array_equal(found, NUMPY.conv2d_weight_grad(x, g, window, groups))


def test_parts_are_as_large_as_common_networks_need():
    assert _parts.PRODUCTS >= 4096
    assert conv.LONGEST_SUM >= 9 * 1024
    assert conv.MOST_PIXELS >= 128 * 28 * 28
