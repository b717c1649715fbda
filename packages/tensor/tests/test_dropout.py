"""Dropout beyond the cases of stackgrad.tensor.testing."""

import numpy as np
import pytest

from stackgrad.tensor import Generator, dropout, ones
from stackgrad.tensor.testing import CLASS_CASES


@pytest.mark.parametrize("case", [case for case in CLASS_CASES if "dropout" in case.name], ids=str)
def test_on_numpy(case):
    case.run("numpy")


def test_dropout_keeps_the_mean_and_scales():
    x = ones(1 << 16)
    out = dropout(x, 0.25, Generator(1))
    np.testing.assert_allclose(np.unique(out.numpy()), [0, 4 / 3], rtol=1e-6)
    assert abs(out.mean().item() - 1) < 5 * np.sqrt(1 / 3 / (1 << 16))
    assert dropout(x, 0.0).tolist() == x.tolist()
    assert dropout(x, 1.0).sum().item() == 0.0


def test_the_mask_of_dropout_depends_on_the_index_alone():
    x = ones(6, 4)
    straight = dropout(x, 0.5, Generator(7))
    transposed = dropout(ones(4, 6).T, 0.5, Generator(7))
    assert straight.tolist() == transposed.tolist()
    assert dropout(x, 0.5, Generator(8)).tolist() != straight.tolist()


def test_the_gradient_of_dropout_goes_through_its_mask():
    x = ones(100, requires_grad=True)
    out = dropout(x, 0.5, Generator(3))
    out.sum().backward()
    assert x.grad.tolist() == out.tolist()


@pytest.mark.parametrize(
    ("dtype", "rate", "error", "message"),
    [
        ("float32", -0.1, ValueError, "dropout: rate -0.1: expected 0 to 1"),
        ("float32", 1.5, ValueError, "dropout: rate 1.5"),
        ("float32", float("nan"), ValueError, "dropout: rate nan"),
        ("int64", 0.5, TypeError, "dropout: input of dtype int64: expected float32 or float64"),
    ],
)
def test_dropout_names_invalid_arguments(dtype, rate, error, message):
    with pytest.raises(error, match=message):
        dropout(ones(3, dtype=dtype), rate)
