"""NumpyBackend on the whole table of cases, and against plain loops."""

import numpy as np
import pytest

from stackgrad.tensor import NumpyBackend, Window
from stackgrad.tensor.testing import CASES, MEMORY_CASES, Limits, loops

BACKEND = NumpyBackend()


@pytest.mark.parametrize("case", [case for case in MEMORY_CASES if case.name != "indexing"], ids=str)
def test_memory(case):
    case.run(BACKEND)


LARGE = (
    "reduce-sum",
    "matmul",
    "linear",
    "conv2d",
    "max_pool2d",
    "softmax",
    "gather-scatter",
    "cumsum",
    "uniform",
    "exp",
)


@pytest.mark.parametrize("case", [case for case in CASES if case.kind == "values" and case.name in LARGE], ids=str)
def test_large_arrays(case):
    case.run(BACKEND, Limits(size=20_000), max_examples=10)


@pytest.mark.parametrize("case", [case for case in CASES if case.kind == "values"], ids=str)
def test_tiny_limits_keep_arrays_tiny(case):
    case.run(BACKEND, Limits(extent=2, size=4), max_examples=3)


def test_a_loop_agrees_with_a_sum_written_out():
    x = np.arange(9.0).reshape(1, 1, 3, 3)
    weight = np.array([[[[1.0, 10.0], [100.0, 1000.0]]]])
    window = Window((2, 2), (1, 2), ((0, 1), (1, 0)), (1, 1))
    # rows 0 1, 1 2 and 2 with zeros below; columns: a zero and 0, then 1 and 2
    expected = [[[[0 * 10 + 3 * 1000, 1 + 2 * 10 + 4 * 100 + 5 * 1000],
                  [3 * 10 + 6 * 1000, 4 + 5 * 10 + 7 * 100 + 8 * 1000],
                  [6 * 10, 7 + 8 * 10]]]]  # fmt: skip
    assert loops.conv2d(x, weight, None, window, 1).tolist() == expected
    assert BACKEND.conv2d(x, weight, None, window, 1, False)[0].tolist() == expected


def test_the_gradients_of_the_loops_are_adjoint_to_them():
    rng = np.random.default_rng(0)
    window = Window((2, 3), (2, 1), ((1, 0), (0, 2)), (1, 2))
    x, weight, bias = rng.normal(size=(2, 4, 5, 6)), rng.normal(size=(6, 2, 2, 3)), rng.normal(size=6)
    out = loops.conv2d(x, weight, bias, window, 2)
    g = rng.normal(size=out.shape)
    x_grad, weight_grad, bias_grad = loops.conv2d_grads(g, x, weight, window, 2)
    linear = np.sum(g * (out - bias[:, None, None]))
    assert np.sum(x_grad * x) == pytest.approx(linear)
    assert np.sum(weight_grad * weight) == pytest.approx(linear)
    np.testing.assert_allclose(bias_grad, g.sum((0, 2, 3)))
    pool = Window((2, 3), (2, 1), ((1, 0), (0, 1)))
    out = loops.avg_pool2d(x, pool)
    g = rng.normal(size=out.shape)
    assert np.sum(loops.avg_pool2d_grad(g, (5, 6), pool) * x) == pytest.approx(np.sum(g * out))
    out, taps = loops.max_pool2d(x, pool)
    assert np.sum(loops.max_pool2d_grad(g, x, pool) * x) == pytest.approx(np.sum(g * out))
    assert taps.min() >= 0
    assert taps.max() < 6
