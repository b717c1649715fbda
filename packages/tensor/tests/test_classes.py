"""one_hot and bincount."""

import pytest

from stackgrad.tensor import bincount, one_hot, tensor, zeros


def test_one_hot():
    x = one_hot(tensor([[0, 2]]))
    assert x.tolist() == [[[1, 0, 0], [0, 0, 1]]]
    assert x.dtype == "int64"
    assert one_hot(tensor(1), 3).tolist() == [0, 1, 0]
    assert one_hot(zeros(0, dtype="int64"), 3).shape == (0, 3)


@pytest.mark.parametrize(
    ("x", "classes", "error", "message"),
    [
        ([3], 3, ValueError, "one_hot: target holds class 3: expected 0 to 2"),
        ([-1], -1, ValueError, "one_hot: target holds class -1: expected 0 to -1"),
        ([1.0], 3, TypeError, "one_hot of float32: expected int64 class indices"),
        ([], -1, ValueError, "one_hot of an empty tensor: expected num_classes"),
    ],
)
def test_one_hot_of_invalid_classes(x, classes, error, message):
    with pytest.raises(error, match=message):
        one_hot(tensor(x, dtype=None if x else "int64"), classes)
    with pytest.raises(TypeError, match="one_hot: got list, expected a tensor"):
        one_hot(x, classes)


def test_bincount():
    assert bincount(tensor([1, 1, 3])).tolist() == [0, 2, 0, 1]
    assert bincount(zeros(0, dtype="int64")).shape == (0,)
    weights = tensor([0.5, 1.0], requires_grad=True)
    out = bincount(tensor([1, 1]), weights, minlength=3)
    assert out.tolist() == [0.0, 1.5, 0.0]
    out.sum().backward()
    assert weights.grad.tolist() == [1.0, 1.0]
    assert bincount(tensor([1, 1]), tensor([2, 3])).dtype == "float64"


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: bincount(tensor([-1, 2])), ValueError, "bincount: target holds class -1: expected 0 to 2"),
        (lambda: bincount(tensor([[1]])), ValueError, r"bincount of shape \(1, 1\) and int64: expected int64 values"),
        (lambda: bincount(tensor([1.0])), ValueError, "and float32: expected int64 values"),
        (lambda: bincount(tensor([1]), tensor([1.0, 2.0])), ValueError, r"weights of shape \(2,\): expected \(1,\)"),
        (lambda: bincount([1]), TypeError, "bincount: got list"),
    ],
)
def test_bincount_of_invalid_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call()
