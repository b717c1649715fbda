"""Pooling to a given size."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import stackgrad.tensor as sg
from stackgrad import nn

F = nn.functional


@pytest.mark.parametrize("backend", ["numpy", "cpu"])
def test_a_value_of_pytorch(backend: str) -> None:
    x = sg.arange(12, dtype="float32", backend=backend).reshape(1, 1, 3, 4)
    assert F.adaptive_avg_pool2d(x, (2, 3)).tolist() == [[[[2.5, 3.5, 4.5], [6.5, 7.5, 8.5]]]]


@pytest.mark.parametrize("backend", ["numpy", "cpu"])
@pytest.mark.parametrize("goal", [1, 2, 3, 5, 7, (2, 5), (None, 1), (3, None)])
def test_adaptive_pools_average_parts(goal: Any, backend: str) -> None:
    x = np.random.default_rng(0).standard_normal((2, 3, 6, 5))
    tensor = sg.tensor(x, requires_grad=True, backend=backend)
    rows, columns = (
        n or size for n, size in zip(goal if isinstance(goal, tuple) else (goal, goal), (6, 5), strict=True)
    )
    expected = np.zeros((2, 3, rows, columns))
    for i, j in np.ndindex(rows, columns):
        part = x[:, :, i * 6 // rows : -(-(i + 1) * 6 // rows), j * 5 // columns : -(-(j + 1) * 5 // columns)]
        expected[:, :, i, j] = part.mean((2, 3))
    np.testing.assert_allclose(F.adaptive_avg_pool2d(tensor, goal).detach().numpy(), expected, rtol=1e-12, atol=1e-14)
    sg.grad_check(lambda x: F.adaptive_avg_pool2d(x, goal), tensor)
    if isinstance(goal, int):
        image = F.adaptive_avg_pool2d(tensor[:, :, :1], (1, goal)).squeeze(2)
        np.testing.assert_allclose(
            F.adaptive_avg_pool1d(tensor[:, :, 0], goal).detach().numpy(), image.detach().numpy(), rtol=1e-12
        )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda x: F.adaptive_avg_pool1d(x, 2),
            "adaptive_avg_pool1d: input of shape (1, 1, 4, 4): expected (batch, channels, width)",
        ),
        (lambda x: F.adaptive_avg_pool2d(x, 0), "output_size must be an int or None, or 2 of them; got 0"),
        (lambda x: F.adaptive_avg_pool2d(x, (1, 2, 3)), "output_size must be an int or None, or 2 of them"),
        (lambda x: F.adaptive_avg_pool2d(x[:, :, :0], 1), "input of shape (1, 1, 0, 4) is empty"),
    ],
)
def test_errors(call: Callable[[sg.Tensor], object], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        call(sg.ones(1, 1, 4, 4))
