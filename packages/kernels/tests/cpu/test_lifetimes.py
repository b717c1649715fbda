"""Launches of a recording share memory, and give the same results as without sharing."""

import gc

import numpy as np
import pytest

from stackgrad import tensor as sg
from stackgrad.kernels.cpu._memory import SMALLEST, pool
from stackgrad.tensor import capture

LARGE = SMALLEST // 4  # elements of float32


def held(function, *arguments):
    """Bytes that a recording of the function keeps, besides a result that it returns each time."""
    captured = capture(function)
    captured(*arguments)
    gc.collect()
    before = pool.used
    captured(*arguments)
    gc.collect()
    return pool.used - before, captured


def test_memory_that_is_no_longer_read_is_reused():
    def chain(x):
        for _ in range(20):
            x = (x * 1.01 + 0.1).tanh()
        return x

    x = sg.rand(LARGE)
    kept, captured = held(chain, x)
    block = 4 * LARGE + 4096
    assert kept <= 4 * block  # the argument, two that alternate, and the last
    np.testing.assert_array_equal(captured(x + 1).numpy(), chain(x + 1).numpy())


def test_memory_that_is_still_held_is_not_reused():
    """A buffer that each replay leaves to the next one, and a result."""
    total = sg.zeros(LARGE)

    def function(x):
        y = x + 1
        total.copy_(total + y)
        for _ in range(5):
            x = x * 2
        return x, y

    captured, x = capture(function), sg.rand(LARGE)
    for _ in range(4):
        x = x + 1
        twice, plus = captured(x)
        np.testing.assert_array_equal(twice.numpy(), x.numpy() * 32)
        np.testing.assert_array_equal(plus.numpy(), x.numpy() + 1)
    np.testing.assert_allclose(total.numpy(), 4 * x.numpy() - 2, rtol=1e-6)


def random_function(seed):
    """A function of two tensors: it computes, takes views, writes in place and drops tensors at random."""

    def function(x, y):
        rng = np.random.default_rng(seed)
        known = [x, y]
        for _ in range(30):
            a, b = (known[i] for i in rng.integers(len(known), size=2))
            step = rng.integers(8)
            if step == 0:
                known.append(a.T.exp().T)
            elif step == 1:
                known.append(a.flip(1))
            elif step == 2:
                known.append((a @ b.T @ a).tanh())
            elif step == 3:
                known.append(a + b.sum(1, keepdim=True).sigmoid())
            elif step == 4:
                known.append(a - b)
                known[-1] *= 0.5
            elif step == 5:
                known.append(sg.cat([a[8:], b[:8]]))
            elif step == 6:
                known.append(a.softmax(0))
            else:
                known.append(a * b)
                known.pop(rng.integers(2, len(known)))
        return [a.clone() for a in known[-2:]]

    return function


@pytest.mark.parametrize("seed", range(12))
def test_random_functions(seed):
    function = random_function(seed)
    captured = capture(function)
    for _ in range(4):
        x, y = sg.rand(64, 80) - 0.5, sg.rand(64, 80) - 0.5
        for a, b in zip(captured(x, y), function(x, y), strict=True):
            np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_training():
    """Gradients that are read after a step, memory that a step leaves to the next one, and several shapes in order."""

    def trained(wrap):
        sg.manual_seed(0)
        weights = [sg.rand(96, 96).requires_grad_() for _ in range(3)]

        @wrap
        def step(x):
            for w in weights:
                w.grad = None
            for w in weights:
                x = (x @ w - 10).tanh()
            loss = (x * x).mean()
            loss.backward()
            with sg.no_grad():
                for w in weights:
                    w -= 0.1 * w.grad
            return loss.detach()

        rng = np.random.default_rng(1)
        losses = [step(sg.from_numpy(rng.standard_normal((96, 96)).astype("f4"))).item() for _ in range(6)]
        return losses, [w.numpy() for w in map(sg.Tensor.detach, weights)], [w.grad.numpy() for w in weights]

    (losses, *arrays), (others, *other_arrays) = trained(lambda step: step), trained(capture)
    assert losses == others
    for left, right in zip(arrays, other_arrays, strict=True):
        for a, b in zip(left, right, strict=True):
            np.testing.assert_array_equal(a, b)
