"""grad_check passes correct gradients and catches wrong ones."""

import numpy as np
import pytest

from stackgrad.tensor import Function, enable_grad, grad, grad_check, no_grad, tensor


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


def test_a_correct_gradient_passes():
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
    # The sum of a softmax is always 1: only unequal weights reveal its gradient.
    def lying(x):
        return x.exp() / x.exp().sum(-1, keepdim=True) + (x - x.detach()) * 0.001

    with pytest.raises(AssertionError, match="gradient of input 0"):
        grad_check(lying, tensor(X))


def test_tolerances_are_respected():
    grad_check(wrong(1.001), tensor(X), rtol=1e-2)
    grad_check(wrong(offset=1e-3), tensor(X), atol=1e-2)
    with pytest.raises(AssertionError):
        grad_check(wrong(offset=1e-3), tensor(X), atol=1e-4)


def test_a_result_that_was_not_recorded_is_caught():
    def lost(x):
        with no_grad():
            return x * 2

    with pytest.raises(AssertionError, match="does not depend on any input through recorded operations"):
        grad_check(lost, tensor(X))
    grad_check(lambda x, y: x * 2, tensor(X), tensor(X))  # an unused input has a gradient of 0
    with pytest.raises(AssertionError, match=r"gradient of input 1 at \(0, 0\): 0 for output \(0, 0\), .* (1|0.99)"):
        grad_check(lambda x, y: x * 2 + y.detach(), tensor(X), tensor(X))


def test_inputs_are_not_changed():
    x = tensor(X.copy(), requires_grad=True)
    grad_check(lambda x: x * x, x)
    np.testing.assert_array_equal(x.detach().numpy(), X)
    assert x.grad is None


def test_a_small_output_beside_a_large_one_counts():
    grad_check(lambda x: x * x * x, tensor([49.0, 0.5], dtype="float64"))
    grad_check(lambda x: x * x * x, tensor([1e5, 1e-3], dtype="float64"))
    grad_check(lambda x: x.log(), tensor([1e-5, 1e5], dtype="float64"))
    grad_check(lambda x: x + 1e6, tensor([0.5], dtype="float64"))
    spoiled = spoil(lambda x: x * x * x, lambda jacobian: jacobian + np.diag([0.0, 1e-4]))
    with pytest.raises(AssertionError, match=r"input 0 at \(1,\): 0.7501 for output \(1,\), by central .* 0.75000"):
        grad_check(spoiled, tensor([49.0, 0.5], dtype="float64"))


SMOOTH = [
    lambda x: x * x * x,
    lambda x: (x / 10).exp(),
    lambda x: x.tanh(),
    lambda x: x.sigmoid() * 1000,
    lambda x: (x * x + 1).log(),
    lambda x: (x * x + 1).rsqrt(),
    lambda x: x.sin() * 10,
    lambda x: (x + 0.37).relu() * x,
    lambda x: (x * x).sum(),
    lambda x: (x * x).mean(),
    lambda x: (x * x).cumsum(0),
    lambda x: x.prod(),
    lambda x: x.reshape(-1, 1) @ x.reshape(1, -1),
    lambda x: x * x.sum(),
    lambda x: 3 * x**4 - 2 * x**2 + x,
    lambda x: (x.reshape(-1, 1) * x).sin(),
]


def spoil(function, change):
    """`function`, whose matrix of gradients (outputs, inputs) is changed by `change`."""

    class Spoiled(Function):
        @staticmethod
        def forward(ctx, x):
            with enable_grad():
                leaf = x.detach().requires_grad_()
                out = function(leaf).reshape(-1)
                rows = [grad(out[k], leaf, retain_graph=True)[0].numpy().reshape(-1) for k in range(out.size)]
            ctx.jacobian, ctx.x_shape = change(np.stack(rows)), x.shape
            return function(x.detach())

        @staticmethod
        def backward(ctx, g):
            return tensor((g.numpy().reshape(-1) @ ctx.jacobian).reshape(ctx.x_shape))

    return Spoiled.apply


def no_change(jacobian, rng):
    return jacobian


def wrong_by_a_factor(jacobian, rng):
    return jacobian * rng.uniform(1.1, 2) + 0.01


def wrong_in_an_output(jacobian, rng):
    changed = jacobian.copy()
    changed[rng.integers(len(jacobian))] *= rng.uniform(1.1, 2)
    changed[rng.integers(len(jacobian))] += 0.01
    return changed


def wrong_in_an_input(jacobian, rng):
    changed = jacobian.copy()
    i = rng.integers(jacobian.shape[1])
    changed[:, i] -= 0.01 + 0.1 * abs(jacobian[:, i])
    return changed


def wrong_by_little(jacobian, rng):
    changed = jacobian.copy()
    k, i = (rng.integers(n) for n in jacobian.shape)
    changed[k, i] += rng.choice([-1, 1]) * rng.uniform(1.5, 4) * (1e-6 + 1e-5 * abs(jacobian[k, i]))
    return changed


@pytest.mark.parametrize(
    "change", [no_change, wrong_by_a_factor, wrong_in_an_output, wrong_in_an_input, wrong_by_little]
)
def test_verdicts_on_correct_and_wrong_functions(change):
    # PyTorch's gradcheck of 1,200 such functions, with the same tolerances, gave the same verdicts.
    for seed in range(40):
        rng = np.random.default_rng(seed)
        x = rng.uniform(0.05, 1, rng.integers(1, 5)) * rng.choice([-1, 1]) * rng.choice([1, 10, 49])
        function = spoil(SMOOTH[seed % len(SMOOTH)], lambda jacobian, rng=rng: change(jacobian, rng))
        if change is no_change:
            grad_check(function, tensor(x))
        else:
            with pytest.raises(AssertionError, match="gradient of input 0 at"):
                grad_check(function, tensor(x))
