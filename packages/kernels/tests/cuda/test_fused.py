"""Fused functions on the GPU or in the simulator, compared with the unfused ones."""

import numpy as np
import pytest

from stackgrad.tensor import capture, from_numpy, fuse, get_backend
from stackgrad.tensor.testing import RandomFunction, check_fused

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("seed", range(25))
def test_random_functions(seed):
    function = RandomFunction(np.random.default_rng(seed), steps=6, extent=3)
    check_fused(function, get_backend("cuda"), order=2 if seed < 5 else 1)


def test_more_dimensions_than_a_walk_has():
    x, y = RNG.standard_normal((2, 1, 2, 3, 2, 2)), RNG.standard_normal((3, 1, 3, 1, 2))
    product, total = fuse(lambda x, y: (x * y, (x + y).sum((1, 3))))(*(from_numpy(a, backend="cuda") for a in (x, y)))
    np.testing.assert_allclose(product.numpy(), x * y)
    np.testing.assert_allclose(total.numpy(), (x + y).sum((1, 3)))


def test_captured_bitwise():
    fused = fuse(lambda x, n: (x * n).tanh())
    leaf = from_numpy(RNG.standard_normal(7).astype("f4"), backend="cuda").requires_grad_()

    def step(y):
        leaf.grad = None
        out = fused(leaf, 1.5) * y
        out.sum().backward()
        return out.detach(), leaf.grad.clone()

    y = from_numpy(RNG.standard_normal(7).astype("f4"), backend="cuda")
    called, captured = [x.numpy() for x in step(y)], capture(step)
    for _ in range(3):
        for a, b in zip(captured(y), called, strict=True):
            np.testing.assert_array_equal(a.numpy(), b)
