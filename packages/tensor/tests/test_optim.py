"""Optimizer steps on tensors; the table of cases tests the arithmetic."""

import numpy as np
import pytest

from stackgrad.tensor import NumpyBackend, adam_numbers, adam_step, ones, sgd_numbers, sgd_step, tensor, zeros


def test_sgd_changes_parameters_and_velocities_in_place():
    params, grads, velocities = [ones(2), ones(3)], [ones(2), ones(3) * 2], [zeros(2), zeros(3)]
    sgd_step(params, grads, velocities, sgd_numbers(0.5, momentum=0.5))
    assert params[1].tolist() == [0.0, 0.0, 0.0]
    assert velocities[1].tolist() == [2.0, 2.0, 2.0]
    assert [x.version.count for x in (*params, *velocities, *grads)] == [1, 1, 1, 1, 0, 0]
    sgd_step(params, grads, None, sgd_numbers(0.5))
    assert params[0].tolist() == [0.0, 0.0]


def test_adam_changes_parameters_and_moments_in_place():
    p, g, m, v = ones(2), tensor([1.0, -2.0]), zeros(2), zeros(2)
    adam_step([p], [g], [m], [v], adam_numbers(1, 0.1))
    np.testing.assert_allclose(p.numpy(), [0.9, 1.1], rtol=1e-6)  # the first step is as large as lr
    np.testing.assert_allclose(m.numpy(), [0.1, -0.2], rtol=1e-6)
    np.testing.assert_allclose(v.numpy(), [0.001, 0.004], rtol=1e-5)
    assert [x.version.count for x in (p, g, m, v)] == [1, 0, 1, 1]


def test_steps_of_parameters_without_dimensions():
    p = tensor(1.0)
    sgd_step([p], [tensor(2.0)], [tensor(0.0)], sgd_numbers(0.25, momentum=0.9))
    assert p.item() == 0.5
    adam_step([p], [tensor(2.0)], [tensor(0.0)], [tensor(0.0)], adam_numbers(1, 0.5))
    assert p.item() == pytest.approx(0.0, abs=1e-6)


def test_a_parameter_keeps_its_memory_and_requires_grad():
    p = ones(2, requires_grad=True)
    sgd_step([p], [ones(2)], None, sgd_numbers(0.5))
    assert p.is_leaf
    assert p.requires_grad
    assert p.tolist() == [0.5, 0.5]


def test_steps_without_parameters_or_elements():
    sgd_step([], [], None, sgd_numbers(0.1))
    sgd_step([zeros(0)], [zeros(0)], None, sgd_numbers(0.1))


OTHER = type("Other", (NumpyBackend,), {"name": "other"})()


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (
            lambda: sgd_step([ones(2)], [ones(3)], None, sgd_numbers(0.1)),
            r"a parameter of shape \(2,\), float32 on 'numpy' was given a gradient or state of shape \(3,\), float32",
        ),
        (
            lambda: sgd_step([ones(2)], [ones(2, dtype="float64")], None, sgd_numbers(0.1)),
            r"shape \(2,\), float64 on 'numpy': expected the same",
        ),
        (
            lambda: sgd_step([ones(2)], [ones(2, backend=OTHER)], None, sgd_numbers(0.1)),
            "on 'other': expected the same",
        ),
        (lambda: sgd_step([ones(2)], [ones(2)], [ones(1)], sgd_numbers(0.1, 0.9)), r"shape \(1,\), float32"),
        (lambda: sgd_step([ones(2)], [], None, sgd_numbers(0.1)), "1 parameters and 0 grads: expected one for each"),
        (
            lambda: sgd_step([ones(2)], [ones(2)], [], sgd_numbers(0.1, 0.9)),
            "1 parameters and 0 velocities: expected one for each",
        ),
        (
            lambda: sgd_step([ones(2)], [ones(2)], None, sgd_numbers(0.1, 0.9)),
            "sgd_step with momentum 0.9 and no velocities",
        ),
        (
            lambda: adam_step([ones(2)], [ones(2)], [ones(2)], [ones(2)], adam_numbers(0, 0.1)),
            "adam_numbers of step 0: expected 1 or more",
        ),
        (
            lambda: adam_step([ones(2)], [ones(2)], [ones(2)], [], adam_numbers(1, 0.1)),
            "1 parameters and 0 v: expected one for each",
        ),
        (lambda: adam_step([ones(2)], [ones(2)], [ones(2)], [ones(3)], adam_numbers(1, 0.1)), r"shape \(3,\)"),
    ],
)
def test_invalid_arguments_are_named(function, message):
    with pytest.raises(ValueError, match=message):
        function()


@pytest.mark.parametrize("numbers", [0.1, [0.1] * 5, np.zeros(4), np.zeros(5, np.float32), np.zeros(10)[::2]])
def test_the_numbers_are_those_of_their_functions(numbers):
    with pytest.raises(TypeError, match=r"sgd_step with numbers .*: expected the 5 that sgd_numbers\(...\) gives"):
        sgd_step([ones(2)], [ones(2)], None, numbers)
    with pytest.raises(TypeError, match=r"adam_step with numbers .*: expected the 9 that adam_numbers\(...\) gives"):
        adam_step([ones(2)], [ones(2)], [ones(2)], [ones(2)], numbers)


def test_a_parameter_is_of_floats():
    with pytest.raises(TypeError, match="optimizer step on a parameter of dtype int64: expected float32 or float64"):
        sgd_step([ones(2, dtype="int64")], [ones(2, dtype="int64")], None, sgd_numbers(0.1))
