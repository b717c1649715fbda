"""isclose, allclose and equal."""

import math

import numpy as np
import pytest

from stackgrad.tensor import allclose, equal, isclose, tensor, zeros


def test_isclose():
    x = tensor([1.0, 1.0, math.inf, math.inf, math.nan, 1.0])
    y = tensor([1.0, 1.1, math.inf, 1.0, math.nan, math.inf])
    assert isclose(x, y).tolist() == [True, False, True, False, False, False]
    assert x.isclose(y, rtol=0.1, equal_nan=True).tolist() == [True, True, True, False, True, False]
    assert x.isclose(1.0, atol=0.0, rtol=0.0).tolist() == [True, True, False, False, False, True]
    assert tensor([10**8]).isclose(tensor([10**8 + 1])).tolist() == [True]
    assert tensor([1]).isclose(tensor([2])).tolist() == [False]
    assert tensor([True, True]).isclose(tensor([True, False])).tolist() == [True, False]
    with pytest.raises(TypeError, match="isclose of float32 and float64: expected the same"):
        x.isclose(y.double())


def test_allclose():
    x = tensor([1.0, 2.0])
    assert allclose(x, x + 1e-7) is True
    assert x.allclose(tensor(1.0)) is False
    assert zeros(0).allclose(zeros(0)) is True


def test_equal():
    x = tensor([1.0, 2.0])
    assert equal(x, tensor([1.0, 2.0])) is True
    assert x.equal(tensor([1.0, 3.0])) is False
    assert x.equal(tensor([[1.0, 2.0]])) is False
    assert x.equal(tensor([1, 2])) is True
    assert zeros(0).equal(zeros(0)) is True
    with pytest.raises(TypeError, match="equal: got list"):
        x.equal([1.0, 2.0])


@pytest.mark.parametrize("given", [None, [1.0], np.ones(1)])
def test_close_to_what_is_neither_a_tensor_nor_a_scalar(given):
    for compare in (tensor([1.0]).isclose, tensor([1.0]).allclose):
        with pytest.raises(TypeError, match="expected a tensor or a real number"):
            compare(given)
