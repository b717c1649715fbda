"""Optimizer steps beyond the table of cases: one launch for all parameters, numbers that change from step to step."""

import numpy as np
import pytest

from stackgrad import tensor as sg
from stackgrad.kernels.cuda import _optim
from stackgrad.tensor._tape import captured_on

RNG = np.random.default_rng(0)
SHAPES = [(_optim.CHUNK - 1,), (_optim.CHUNK,), (2, _optim.CHUNK), (), (0, 3), (_optim.CHUNK + 1,)]


def made(backend, dtype="float32"):
    rng = np.random.default_rng(1)
    return [[sg.tensor(rng.random(shape).astype(dtype), backend=backend) for shape in SHAPES] for _ in range(4)]


def sgd(params, grads, velocity, _, lr):
    sg.sgd_step(params, grads, velocity, sg.sgd_numbers(lr, 0.9, True, 0.01))


def adam(params, grads, m, v, lr):
    sg.adam_step(params, grads, m, v, sg.adam_numbers(3, lr, weight_decay=0.01, decoupled=True))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("step", [sgd, adam])
def test_all_parameters_in_one_launch(step, dtype):
    mine, its = made("cuda", dtype), made("numpy", dtype)
    with captured_on(tape := sg.Tape()):
        step(*mine, 0.1)
    (launches,) = [work for work in tape if isinstance(work, sg.Launches)]
    assert len(launches._calls) == 1
    step(*its, 0.1)
    for a, b in zip((x for xs in mine for x in xs), (x for xs in its for x in xs), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5 if dtype == "float32" else 1e-12)


def test_parameters_that_are_views():
    """Slices and transposed views are updated in place; nothing around them changes."""
    whole = sg.zeros(4, 6, backend="cuda")
    parts = [whole[1:3, ::2], whole.T[1:2]]
    grads = [sg.ones(2, 3, backend="cuda"), sg.ones(1, 4, backend="cuda")]
    sg.sgd_step(parts, grads, None, sg.sgd_numbers(1.0))
    expected = np.zeros((4, 6))
    expected[1:3, ::2] = expected[:, 1] = -1
    assert whole.tolist() == expected.tolist()


def test_empty_parameters():
    sg.sgd_step([sg.zeros(0, backend="cuda")], [sg.zeros(0, backend="cuda")], None, sg.sgd_numbers(1.0))


def test_replays_use_the_current_numbers():
    p, numbers = sg.zeros(3, backend="cuda"), sg.sgd_numbers(1.0)

    @sg.capture
    def step(g):
        sg.sgd_step([p], [g], None, numbers)
        return p

    expected = 0.0
    for i in range(5):
        numbers[0] = i + 1.0
        expected -= 2 * (i + 1)
        assert step(sg.full(3, 2.0, backend="cuda")).tolist() == [expected] * 3
