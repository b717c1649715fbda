"""grad_check passes right gradients and catches wrong ones."""

import numpy as np
import pytest

from stackgrad.tensor import Function, grad_check, no_grad, tensor


def wrong(factor=1.0, offset=0.0, transposed=False):
    class Wrong(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save(x)
            return x * x

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved
            gradient = g * x * (2 * factor) + offset
            return gradient.T if transposed else gradient

    return Wrong.apply


X = np.array([[1.0, -2.0], [0.5, 3.0]])


def test_a_right_gradient_passes():
    grad_check(wrong(), tensor(X))
    grad_check(lambda x, y: (x @ y).tanh().sum(0), tensor(X), tensor(X * 2, dtype="float32"))
    grad_check(lambda x: x.reshape(-1)[:0], tensor(X))


@pytest.mark.parametrize(
    "function",
    [wrong(1.001), wrong(-1.0), wrong(0.0), wrong(offset=1e-3), wrong(transposed=True), wrong(offset=float("nan"))],
)
def test_a_wrong_gradient_is_caught(function):
    with pytest.raises(AssertionError, match=r"gradient of input 0 at \(\d, \d\): .*, by central differences"):
        grad_check(function, tensor(X))


def test_the_wrong_input_is_named():
    with pytest.raises(AssertionError, match=r"gradient of input 1 at \(0, 0\): "):
        grad_check(lambda x, y: x * 2 + wrong(2.0)(y), tensor(X), tensor(X))


def test_every_element_counts():
    # The sum of a softmax is 1 whatever its input: only weights that differ see its gradient.
    def lying(x):
        return x.exp() / x.exp().sum(-1, keepdim=True) + (x - x.detach()) * 0.001

    with pytest.raises(AssertionError, match="gradient of input 0"):
        grad_check(lying, tensor(X))


def test_tolerances_are_kept():
    grad_check(wrong(1.001), tensor(X), rtol=1e-2)
    grad_check(wrong(offset=1e-3), tensor(X), atol=1e-2)
    with pytest.raises(AssertionError):
        grad_check(wrong(offset=1e-3), tensor(X), atol=1e-4)


def test_what_is_not_recorded_is_caught():
    def lost(x):
        with no_grad():
            return x * 2

    with pytest.raises(AssertionError, match="does not depend on any input through recorded operations"):
        grad_check(lost, tensor(X))
    grad_check(lambda x, y: x * 2, tensor(X), tensor(X))  # what takes no part has a gradient of 0
    with pytest.raises(AssertionError, match=r"gradient of input 1 at \(0, 0\): 0 for output \(0, 0\), .* (1|0.99)"):
        grad_check(lambda x, y: x * 2 + y.detach(), tensor(X), tensor(X))


def test_inputs_are_not_changed():
    x = tensor(X.copy(), requires_grad=True)
    grad_check(lambda x: x * x, x)
    np.testing.assert_array_equal(x.detach().numpy(), X)
    assert x.grad is None
