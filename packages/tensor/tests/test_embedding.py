"""Lookup of rows in a table."""

import re

import numpy as np
import pytest

from stackgrad.tensor import embedding, grad, grad_check, ones, tensor


@pytest.mark.parametrize("shape", [(), (4,), (2, 3), (0, 2)])
def test_embedding(shape):
    rng = np.random.default_rng(0)
    table, index = rng.standard_normal((5, 3)), rng.integers(0, 5, shape)
    weight = tensor(table, requires_grad=True)
    out = embedding(tensor(index), weight)
    np.testing.assert_array_equal(out.detach().numpy(), table[index])
    g = rng.standard_normal(out.shape)
    (found,) = grad(out, weight, tensor(g))
    expected = np.zeros((5, 3))
    np.add.at(expected, index, g)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)
    grad_check(lambda weight: embedding(tensor(index), weight) ** 2, weight)


@pytest.mark.parametrize("padding_idx", [1, -4])
def test_no_gradient_flows_to_the_padding(padding_idx):
    weight = ones(5, 2, requires_grad=True)
    out = embedding(tensor([[1, 3], [3, 0]]), weight, padding_idx)
    assert out.tolist() == [[[1.0, 1.0]] * 2] * 2
    out.sum().backward()
    assert weight.grad.tolist() == [[1.0, 1.0], [0.0, 0.0], [0.0, 0.0], [2.0, 2.0], [0.0, 0.0]]


def test_errors():
    weight = ones(5, 2)
    for index in (5, -1):
        with pytest.raises(IndexError, match=f"embedding: index {index} is out of range: expected 0 to 4"):
            embedding(tensor([0, index]), weight)
    with pytest.raises(IndexError, match="padding_idx 5 is out of range for 5 rows"):
        embedding(tensor([0]), weight, 5)
    with pytest.raises(TypeError, match="indices of dtype float32: expected int64"):
        embedding(ones(2), weight)
    with pytest.raises(ValueError, match=re.escape("weight of shape (5,): expected (rows, features)")):
        embedding(tensor([0]), ones(5))
    with pytest.raises(TypeError, match="embedding: input: got list, expected a tensor"):
        embedding([0], weight)
