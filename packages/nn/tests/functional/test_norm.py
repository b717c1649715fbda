"""Normalisation."""

import re
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import stackgrad.tensor as sg
from stackgrad import nn
from stackgrad.tensor.types import HostArray as Array


def batch_norm_arguments(channels: int) -> tuple[sg.Tensor, sg.Tensor, sg.Tensor, sg.Tensor]:
    """running_mean, running_var, weight and bias."""
    mean, var, weight, bias = np.random.default_rng(7).uniform(0.5, 2.0, (4, channels))
    return sg.tensor(mean), sg.tensor(var), sg.tensor(weight), sg.tensor(bias)


@settings(max_examples=30)
@given(hnp.array_shapes(min_dims=2, max_dims=4, min_side=1, max_side=4), st.integers(0, 2**32 - 1))
def test_batch_norm_in_evaluation_uses_the_running_statistics(shape: tuple[int, ...], seed: int) -> None:
    x = np.random.default_rng(seed).standard_normal(shape)
    arguments = batch_norm_arguments(shape[1])
    mean, var, weight, bias = (t.numpy().reshape(-1, *[1] * (len(shape) - 2)) for t in arguments)
    before = [t.tolist() for t in arguments]
    out = nn.batch_norm(sg.tensor(x), *arguments, eps=1e-3)
    np.testing.assert_allclose(out.numpy(), (x - mean) / np.sqrt(var + 1e-3) * weight + bias, rtol=1e-10, atol=1e-10)
    assert [t.tolist() for t in arguments] == before


@settings(max_examples=30)
@given(st.sampled_from([(2, 3), (4, 1), (1, 2, 5), (2, 2, 3, 2)]), st.integers(0, 2**32 - 1))
def test_batch_norm_in_training_uses_and_records_the_batch(shape: tuple[int, ...], seed: int) -> None:
    x = np.random.default_rng(seed).standard_normal(shape)
    running_mean, running_var, weight, bias = batch_norm_arguments(shape[1])
    axes = (0, *range(2, x.ndim))
    expected_mean = 0.7 * running_mean.numpy() + 0.3 * x.mean(axes)
    expected_var = 0.7 * running_var.numpy() + 0.3 * x.var(axes, ddof=1)
    out = nn.batch_norm(sg.tensor(x), running_mean, running_var, weight, bias, training=True, momentum=0.3, eps=1e-3)
    normal = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 1e-3)
    column = (-1, *[1] * (x.ndim - 2))
    expected = normal * weight.numpy().reshape(column) + bias.numpy().reshape(column)
    np.testing.assert_allclose(out.numpy(), expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(running_mean.numpy(), expected_mean, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(running_var.numpy(), expected_var, rtol=1e-10)


@pytest.mark.parametrize("activation", ["relu", None])
@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_gradients(training: bool, activation: Literal["relu"] | None) -> None:
    x = np.random.default_rng(1).standard_normal((3, 2, 4))
    mean, var, weight, bias = batch_norm_arguments(2)

    def function(x: sg.Tensor, weight: sg.Tensor, bias: sg.Tensor) -> sg.Tensor:
        out = nn.batch_norm(x, mean, var, weight, bias, training, activation=activation)
        return out * out

    inputs = [sg.tensor(a, requires_grad=True) for a in (x, weight.numpy(), bias.numpy())]
    mean, var = mean.clone(), var.clone()
    sg.grad_check(function, *inputs)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(0, 2), (0, 2, 3), (4, 2, 0), (0, 2, 3, 4), (1, 2, 0, 4)])
def test_batch_norm_of_an_empty_batch_keeps_the_statistics(shape: tuple[int, ...], training: bool) -> None:
    x = sg.zeros(*shape, requires_grad=True)
    mean, var, weight, bias = sg.full(2, 5.0), sg.full(2, 3.0), sg.ones(2, requires_grad=True), sg.zeros(2)
    out = nn.batch_norm(x, mean, var, weight, bias, training)
    out.sum().backward()
    assert out.shape == shape
    assert (mean.tolist(), var.tolist()) == ([5.0, 5.0], [3.0, 3.0])
    assert weight.grad is not None
    assert weight.grad.tolist() == [0.0, 0.0]
    assert x.grad is not None
    assert x.grad.shape == shape


def test_batch_norm_errors() -> None:
    stats = batch_norm_arguments(3)
    for training in (True, False):
        with pytest.raises(ValueError, match=re.escape("input of shape (3, 0) has no channels: expected 1 or more")):
            nn.batch_norm(sg.ones(3, 0), *[sg.ones(0)] * 4, training)
    with pytest.raises(ValueError, match=re.escape("(batch, channels, ...); got shape (3,)")):
        nn.batch_norm(sg.ones(3), *stats)
    with pytest.raises(ValueError, match=re.escape("batch_norm: running_mean must have shape (2,); got")):
        nn.batch_norm(sg.ones(4, 2), *stats)
    with pytest.raises(ValueError, match=re.escape("shape (1, 3) has 1 value per channel: expected 2 or more")):
        nn.batch_norm(sg.ones(1, 3, dtype=sg.float64), *stats, training=True)


# ------------------------------------------------------------------------------------------------ layer and group norm

F = nn.functional


def standardised(x: Array, axes: tuple[int, ...], eps: float) -> Array:
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps)


@pytest.mark.parametrize("backend", ["numpy", "cpu"])
@pytest.mark.parametrize(("shape", "last"), [((3, 4), 1), ((2, 3, 4), 1), ((2, 3, 4), 2), ((5,), 1), ((2, 0, 3), 1)])
def test_layer_norm(shape: tuple[int, ...], last: int, backend: str) -> None:
    rng = np.random.default_rng(0)
    x, sizes = rng.normal(3, 2, shape), shape[len(shape) - last :]
    weight, bias = rng.normal(0, 1, (2, *sizes))
    operands = [sg.tensor(a, requires_grad=True, backend=backend) for a in (x, weight, bias)]
    expected = standardised(x, tuple(range(-last, 0)), 1e-3)
    plain = F.layer_norm(operands[0], sizes, eps=1e-3)
    np.testing.assert_allclose(plain.detach().numpy(), expected, rtol=1e-9, atol=1e-9)
    scaled = F.layer_norm(operands[0], sizes, operands[1], eps=1e-3)
    np.testing.assert_allclose(scaled.detach().numpy(), expected * weight, rtol=1e-9, atol=1e-9)
    both = F.layer_norm(operands[0], sizes if last > 1 else sizes[0], *operands[1:], eps=1e-3)
    np.testing.assert_allclose(both.detach().numpy(), expected * weight + bias, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("backend", ["numpy", "cpu"])
@pytest.mark.parametrize(("shape", "groups"), [((2, 4), 2), ((2, 4, 3), 4), ((2, 6, 2, 3), 3), ((2, 3, 5), 1)])
def test_group_norm(shape: tuple[int, ...], groups: int, backend: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(3, 2, shape)
    weight, bias = rng.normal(0, 1, (2, shape[1]))
    grouped = standardised(x.reshape(shape[0], groups, -1), (2,), 1e-5).reshape(shape)
    column = (-1, *(1,) * (len(shape) - 2))
    expected = grouped * weight.reshape(column) + bias.reshape(column)
    operands = [sg.tensor(a, backend=backend) for a in (x, weight, bias)]
    np.testing.assert_allclose(F.group_norm(operands[0], groups).numpy(), grouped, rtol=1e-9, atol=1e-9)
    found = F.group_norm(operands[0], groups, *operands[1:])
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("norm", "shape", "sizes"),
    [
        (lambda x, w, b: F.layer_norm(x, 4, w, b), (2, 3, 4), (4,)),
        (lambda x, w, b: F.layer_norm(x, (3, 4), w, b), (2, 3, 4), (3, 4)),
        (lambda x, w, b: F.group_norm(x, 2, w, b), (2, 4, 3), (4,)),
    ],
)
def test_gradients_of_layer_and_group_norm(norm: Any, shape: tuple[int, ...], sizes: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    operands = [sg.tensor(rng.normal(0, 2, size), requires_grad=True) for size in (shape, sizes, sizes)]
    target = sg.tensor(rng.normal(0, 1, shape))
    sg.grad_check(lambda *o: norm(*o) * target, *operands)

    def slope(x: sg.Tensor) -> sg.Tensor:
        (found,) = sg.grad((norm(x, *[o.detach() for o in operands[1:]]) ** 3).sum(), x, create_graph=True)
        return found

    sg.grad_check(slope, operands[0])


def test_values_of_pytorch() -> None:
    x = sg.tensor([[0.2, -1.5, 3.0], [0.7, 0.1, -0.4]], dtype="float64")
    expected = [-0.19762930693095462, -1.1139106390653806, 1.3115399459963355]
    expected += [1.2600926825712786, -0.07412309897478102, -1.1859695835964974]
    for out in (F.layer_norm(x, 3), F.group_norm(x.reshape(1, 6), 2)):
        np.testing.assert_allclose(out.numpy().ravel(), expected, rtol=1e-12)


def test_constant_input_gives_0() -> None:
    assert F.layer_norm(sg.full((2, 3), 7.0), 3).tolist() == [[0.0] * 3] * 2
    assert F.layer_norm(sg.ones(2, 1), 1).tolist() == [[0.0], [0.0]]


def test_layer_and_group_norm_errors() -> None:
    x = sg.ones(2, 4)
    for function, message in (
        (lambda: F.layer_norm(x, 3), "input of shape (2, 4): expected the last dimensions (3,)"),
        (lambda: F.layer_norm(x, (1, 2, 4)), "expected the last dimensions (1, 2, 4)"),
        (lambda: F.layer_norm(x, ()), "expected the last dimensions ()"),
        (lambda: F.layer_norm(x, 4, sg.ones(3)), "layer_norm: weight must have shape (4,); got (3,)"),
        (lambda: F.group_norm(x, 3), "num_groups 3 does not divide 4 channels"),
        (lambda: F.group_norm(x, 2, None, sg.ones(2)), "group_norm: bias must have shape (4,); got (2,)"),
        (lambda: F.group_norm(sg.ones(4), 2), "(batch, channels, ...); got shape (4,)"),
        (lambda: F.group_norm(sg.ones(1, 2), 2), "input of shape (1, 2) has 1 value per group: expected 2 or more"),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            function()
    with pytest.raises(TypeError, match="input has dtype float32 and weight float64: expected the same"):
        F.layer_norm(x, 4, sg.ones(4, dtype="float64"))
    with pytest.raises(TypeError, match="mean of dtype int64: expected float32 or float64"):
        F.layer_norm(sg.ones(2, 4, dtype="int64"), 4)
