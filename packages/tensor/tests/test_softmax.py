"""Softmax and cross-entropy beyond the cases of stackgrad.tensor.testing."""

import math

import numpy as np
import pytest

from stackgrad.tensor import arange, cross_entropy, log_softmax, nll_loss, softmax, tensor, zeros
from stackgrad.tensor.testing import CLASS_CASES


@pytest.mark.parametrize("case", [c for c in CLASS_CASES if "softmax" in c.name or "entropy" in c.name], ids=str)
def test_on_numpy(case):
    case.run("numpy")


def test_a_worked_example():
    x = tensor([[0.0, math.log(3.0)]], dtype="float64")
    np.testing.assert_allclose(softmax(x, 1).numpy(), [[0.25, 0.75]])
    np.testing.assert_allclose(log_softmax(x, -1).numpy(), np.log([[0.25, 0.75]]))
    np.testing.assert_allclose(cross_entropy(x, tensor([1])).numpy(), [-math.log(0.75)])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nothing_overflows(dtype):
    x = tensor([[1e30, 1e30, -1e30]], dtype=dtype, requires_grad=True)
    assert softmax(x, 1).tolist() == [[0.5, 0.5, 0.0]]
    assert log_softmax(x, 1).tolist()[0][2] == -2e30 or dtype == "float32"
    losses = cross_entropy(x, tensor([0]))
    np.testing.assert_allclose(losses.detach().numpy(), [math.log(2)], rtol=1e-6)
    losses.sum().backward()
    assert x.grad.tolist() == [[-0.5, 0.5, 0.0]]


def test_softmax_of_no_elements():
    assert softmax(zeros(2, 0), 1).shape == (2, 0)
    assert log_softmax(zeros(0, 2), 1).shape == (0, 2)
    x = zeros(0, 3, requires_grad=True)
    losses = cross_entropy(x, zeros(0, dtype="int64"))
    assert losses.shape == (0,)
    losses.sum().backward()
    assert x.grad.shape == (0, 3)


@pytest.mark.parametrize("function", [softmax, log_softmax])
def test_invalid_arguments_are_named(function):
    with pytest.raises(TypeError, match=f"{function.__name__}: input of dtype int64: expected float32 or float64"):
        function(arange(3), 0)
    with pytest.raises(IndexError, match="dim 1 is out of range for 1 dimensions"):
        function(zeros(3), 1)


@pytest.mark.parametrize(
    ("logits", "target", "error", "message"),
    [
        (
            (2, 3),
            [0.0, 1.0],
            TypeError,
            "input of float32 and target of float32: expected float32 or float64, and int64",
        ),
        (
            (2, 3),
            [0],
            ValueError,
            r"input of shape \(2, 3\) and target of shape \(1,\): expected \(n, classes\) and \(n,\)",
        ),
        ((2,), [0, 1], ValueError, r"input of shape \(2,\)"),
        ((2, 3), [0, 3], ValueError, "target holds class 3: expected 0 to 2"),
        ((2, 3), [-1, 0], ValueError, "target holds class -1: expected 0 to 2"),
        ((2, 0), [0, 0], ValueError, r"input of shape \(2, 0\) has no classes: expected at least one"),
    ],
)
def test_invalid_targets_are_named(logits, target, error, message):
    with pytest.raises(error, match=message):
        cross_entropy(zeros(logits), tensor(target))
    with pytest.raises(error, match=message):
        nll_loss(zeros(logits), tensor(target))
