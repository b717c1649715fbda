"""PyTorch's products for particular shapes."""

import math

import pytest

from stackgrad.tensor import addmm, bmm, dot, inner, mm, ones, outer, tensor

A, B = [[1.0, 2.0], [3.0, 4.0]], [[1.0, 0.0], [2.0, 1.0]]
V, W = [1.0, 2.0], [3.0, 5.0]


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda: dot(tensor(V), tensor(W)), 13.0),
        (lambda: tensor(V).vdot(tensor(W)), 13.0),
        (lambda: tensor(A).mv(tensor(V)), [5.0, 11.0]),
        (lambda: mm(tensor(A), tensor(B)), [[5.0, 2.0], [11.0, 4.0]]),
        (lambda: bmm(tensor([A, B]), tensor([B, A])), [[[5.0, 2.0], [11.0, 4.0]], [[1.0, 2.0], [5.0, 8.0]]]),
        (lambda: outer(tensor(V), tensor([1.0, 2.0, 3.0])), [[1.0, 2.0, 3.0], [2.0, 4.0, 6.0]]),
        (lambda: inner(tensor(V), tensor(W)), 13.0),
        (lambda: tensor(A).inner(tensor(B)), [[1.0, 4.0], [3.0, 10.0]]),
        (lambda: tensor(2.0).inner(tensor(V)), [2.0, 4.0]),
        (lambda: addmm(tensor(V), tensor(A), tensor(B)), [[6.0, 4.0], [12.0, 6.0]]),
        (lambda: tensor(V).addmm(tensor(A), tensor(B), beta=2, alpha=10), [[52.0, 24.0], [112.0, 44.0]]),
        (lambda: tensor([math.nan]).addmm(tensor(A), tensor(B), beta=0), [[5.0, 2.0], [11.0, 4.0]]),
        (lambda: tensor([V]).baddbmm(tensor([A]), tensor([B])), [[[6.0, 4.0], [12.0, 6.0]]]),
        (lambda: dot(tensor([1, 2]), tensor([3, 4])), 11),
    ],
)
def test_values(call, expected):
    assert call().tolist() == expected


def test_gradients():
    v, w = tensor(V, requires_grad=True), tensor(W, requires_grad=True)
    (v.outer(w) * tensor(A)).sum().backward()
    assert v.grad.tolist() == [13.0, 29.0]
    assert w.grad.tolist() == [7.0, 10.0]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: tensor(A).dot(tensor(V)),
            ValueError,
            r"dot of shapes \(2, 2\) and \(2,\): expected 1 and 1 dimensions",
        ),
        (lambda: tensor(V).mm(tensor(A)), ValueError, "mm of shapes .* expected 2 and 2 dimensions; use matmul"),
        (lambda: tensor([A]).bmm(tensor([A, B])), ValueError, "bmm of shapes .*: expected as many matrices"),
        (lambda: tensor(V).dot(ones(3)), ValueError, "inner extents 2 and 3 differ"),
        (lambda: tensor(V).dot(V), TypeError, "dot: got list, expected a tensor"),
        (lambda: tensor(V).inner(V), TypeError, "inner: got list, expected a tensor"),
        (lambda: tensor(A).outer(tensor(V)), ValueError, "outer of shapes"),
    ],
)
def test_invalid_arguments_raise(call, error, message):
    with pytest.raises(error, match=message):
        call()
