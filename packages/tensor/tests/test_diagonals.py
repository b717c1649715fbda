"""Diagonals and triangles: NumPy's values, gradients, and errors."""

import numpy as np
import pytest

from stackgrad.tensor import diag, tensor, trace, tril, triu, zeros

X = np.arange(12.0).reshape(3, 4)


@pytest.mark.parametrize("offset", range(-4, 5))
def test_values(offset):
    x = tensor(X)
    np.testing.assert_array_equal(x.diagonal(offset).numpy(), np.diagonal(X, offset))
    np.testing.assert_array_equal(x.diag(offset).numpy(), np.diag(X, offset))
    np.testing.assert_array_equal(diag(x[0], offset).numpy(), np.diag(X[0], offset))
    np.testing.assert_array_equal(tril(x, offset).numpy(), np.tril(X, offset))
    np.testing.assert_array_equal(triu(x, offset).numpy(), np.triu(X, offset))
    deep = tensor(X.reshape(2, 3, 2))
    np.testing.assert_array_equal(deep.diagonal(offset, 2, 1).numpy(), np.diagonal(X.reshape(2, 3, 2), offset, 2, 1))


def test_other_dtypes():
    assert tensor([[1, 2], [3, 4]]).tril().tolist() == [[1, 0], [3, 4]]
    kept = tensor([[True, True], [True, True]]).triu(1)
    assert kept.tolist() == [[False, True], [False, False]]
    assert kept.dtype == "bool"


def test_the_diagonal_is_a_view():
    x = zeros(2, 2)
    x.diagonal()[...] = 1.0
    assert x.tolist() == [[1.0, 0.0], [0.0, 1.0]]


def test_gradients():
    x = tensor(X, requires_grad=True)
    (x.tril() * 2 + x.triu() * 3).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), 2 * np.tril(np.ones((3, 4))) + 3 * np.triu(np.ones((3, 4))))
    x.grad = None
    (trace(x) + (x[0].diag() ** 2).sum()).backward()
    np.testing.assert_array_equal(x.grad.numpy(), np.eye(3, 4) + np.array([[0, 2, 4, 6], [0] * 4, [0] * 4]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: x.diagonal(0, 1, -1), r"diagonal of dims 1 and -1 of shape \(3, 4\): expected two of them"),
        (lambda x: x.reshape(3, 2, 2).diag(), r"diag of shape \(3, 2, 2\): expected one or two dimensions"),
        (lambda x: x[0].trace(), r"trace of shape \(4,\): expected two dimensions"),
        (lambda x: x[0].tril(), r"tril of shape \(4,\): expected two dimensions or more"),
        (lambda x: x[0, 0].diag_embed(), "diag_embed of a tensor without dimensions"),
    ],
)
def test_invalid_arguments_raise(call, message):
    with pytest.raises(ValueError, match=message):
        call(tensor(X))
