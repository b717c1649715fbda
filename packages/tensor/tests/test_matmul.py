"""The matrix product: shapes, dtypes and errors; the table of cases covers values and gradients."""

import numpy as np
import pytest

from stackgrad.tensor import (
    NumpyBackend,
    arange,
    ones,
    tensor,
    zeros,
)
from stackgrad.tensor.testing import PRODUCT_CASES

OTHER = type("Other", (NumpyBackend,), {"name": "other"})()
F64 = np.dtype("float64")


@pytest.mark.parametrize("case", PRODUCT_CASES, ids=str)
def test_on_numpy(case):
    case.run("numpy")


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((3,), (3,)),
        ((2, 3), (3,)),
        ((3,), (3, 2)),
        ((2, 3), (3, 4)),
        ((5, 2, 3), (3, 4)),
        ((2, 3), (5, 3, 4)),
        ((5, 1, 2, 3), (6, 3, 4)),
        ((3,), (5, 3, 4)),
        ((5, 2, 3), (3,)),
        ((0, 3), (3, 2)),
        ((2, 0), (0, 3)),
        ((0, 2, 3), (3, 4)),
    ],
)
def test_matmul_is_numpys(a, b):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=a), rng.normal(size=b)
    found = tensor(x) @ tensor(y)
    np.testing.assert_allclose(found.numpy(), x @ y, rtol=1e-12)
    assert tensor(x).matmul(tensor(y)).shape == (x @ y).shape


def test_matmul_of_two_dtypes_is_in_the_wider():
    assert (ones(2, 2) @ ones(2, 2, dtype="float64")).dtype == np.float64
    assert (ones(2, 2, dtype="int64") @ ones(2, 2)).dtype == np.float32
    x = ones(2, 2, requires_grad=True)
    (x @ ones(2, 2, dtype="float64")).sum().backward()
    assert x.grad.dtype == np.float32


@pytest.mark.parametrize(
    ("a", "b", "error", "message"),
    [
        ((2, 3), (2, 3), ValueError, r"matmul of shapes \(2, 3\) and \(2, 3\): inner extents 3 and 2 differ"),
        ((2,), (3,), ValueError, r"matmul of shapes \(2,\) and \(3,\): inner extents 2 and 3 differ"),
        ((), (3,), ValueError, r"matmul of shapes \(\) and \(3,\): expected one dimension or more on both sides"),
        ((2, 2, 3), (3, 3, 4), ValueError, r"shapes \(2,\) and \(3,\) do not broadcast"),
    ],
)
def test_invalid_products_are_named(a, b, error, message):
    with pytest.raises(error, match=message):
        zeros(a) @ zeros(b)


def test_matmul_of_integers():
    a, b = np.arange(12).reshape(2, 2, 3), np.array([[2**61, -1], [5, 7], [-(2**62), 3]])
    assert (tensor(a) @ tensor(b)).tolist() == (a @ b).tolist()
    assert (arange(3) @ arange(3)).item() == 5
    assert (tensor(a) @ tensor([True, False, True])).tolist() == [[2, 8], [14, 20]]
    assert (zeros(2, 0, dtype="int64") @ zeros(0, 2, dtype="int64")).tolist() == [[0, 0], [0, 0]]
    assert (arange(3) @ ones(3)).dtype == np.float32
    with pytest.raises(TypeError, match=r"matmul of bools: expected floats or integers; convert one with .astype"):
        tensor([True]) @ tensor([True])
