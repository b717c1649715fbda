"""The functions that are neither convolution nor pooling."""

import re
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import stackgrad.tensor as sg
from stackgrad import nn

Array = npt.NDArray[Any]

smooth = hnp.arrays(
    np.float64,
    hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4),
    elements=st.floats(-30, 30),
)


# ------------------------------------------------------------------------------------------------------------- softmax


@given(smooth, st.data())
def test_softmax_and_log_softmax_equal_the_definition(x: Array, data: st.DataObject) -> None:
    dim = data.draw(st.integers(-x.ndim, x.ndim - 1))
    expected = np.exp(x) / np.exp(x).sum(dim, keepdims=True)
    np.testing.assert_allclose(nn.softmax(sg.tensor(x), dim).numpy(), expected, rtol=1e-10)
    log = x - np.log(np.exp(x).sum(dim, keepdims=True))
    np.testing.assert_allclose(nn.log_softmax(sg.tensor(x), dim).numpy(), log, rtol=1e-10, atol=1e-10)


@settings(max_examples=20)
@given(hnp.arrays(np.float64, (2, 3), elements=st.floats(-3, 3)), st.integers(0, 1))
def test_softmax_gradients(x: Array, dim: int) -> None:
    sg.grad_check(lambda t: nn.softmax(t, dim), sg.tensor(x, requires_grad=True))
    sg.grad_check(lambda t: nn.log_softmax(t, dim), sg.tensor(x, requires_grad=True))


def test_large_logits_do_not_overflow() -> None:
    x = sg.tensor([[1000.0, 1000.0], [-1000.0, 0.0]])
    assert nn.softmax(x, 1).tolist() == [[0.5, 0.5], [0.0, 1.0]]
    assert nn.log_softmax(x, 1).tolist()[1] == [-1000.0, 0.0]


@pytest.mark.parametrize("function", [nn.softmax, nn.log_softmax])
def test_a_dim_out_of_range(function: Callable[..., Any]) -> None:
    with pytest.raises(IndexError, match="dim 2 is out of range"):
        function(sg.ones(2, 2), 2)


# ------------------------------------------------------------------------------------------------------------- dropout


def test_dropout_of_rate_0_or_outside_of_training_gives_the_input() -> None:
    x = sg.rand(3, 4)
    assert nn.dropout(x, 0.0) is x
    assert nn.dropout(x, 0.7, training=False) is x


def test_the_third_argument_of_dropout_is_training() -> None:
    x, generator = sg.ones(3, 4), sg.Generator(3)
    assert nn.dropout(x, 0.5, False) is x
    dropped = nn.dropout(x, 0.5, True, generator=generator)
    assert sorted(set(dropped.numpy().ravel().tolist())) == [0.0, 2.0]
    assert nn.dropout(x, generator=sg.Generator(3)).tolist() == dropped.tolist()


def test_dropout_of_rate_1_gives_zeros_with_a_zero_gradient() -> None:
    x = sg.tensor(np.ones((3, 4)), requires_grad=True)
    out = nn.dropout(x, 1.0)
    np.testing.assert_array_equal(out.detach().numpy(), np.zeros((3, 4)))
    out.sum().backward()
    assert x.grad is not None
    np.testing.assert_array_equal(x.grad.numpy(), np.zeros((3, 4)))


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_drops_the_rate_and_keeps_the_mean(rate: float) -> None:
    x = sg.ones(200, 200, requires_grad=True)
    out = nn.dropout(x, rate, generator=sg.Generator(3))
    values = out.detach().numpy()
    np.testing.assert_allclose(np.unique(values), [0.0, 1 / (1 - rate)], rtol=1e-6)
    assert abs((values == 0).mean() - rate) < 0.01
    out.sum().backward()
    assert x.grad is not None
    np.testing.assert_array_equal(x.grad.numpy(), values)


def test_the_mask_depends_on_the_generator_and_not_on_the_memory_layout() -> None:
    x = sg.ones(4, 6)
    first = nn.dropout(x, 0.5, generator=sg.Generator(1)).tolist()
    assert nn.dropout(sg.ones(6, 4).T, 0.5, generator=sg.Generator(1)).tolist() == first
    assert nn.dropout(x, 0.5, generator=sg.Generator(2)).tolist() != first
    generator = sg.Generator(1)
    assert nn.dropout(x, 0.5, generator=generator).tolist() == first
    assert nn.dropout(x, 0.5, generator=generator).tolist() != first


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
@pytest.mark.parametrize("training", [True, False])
def test_dropout_of_no_probability(p: float, training: bool) -> None:
    with pytest.raises(ValueError, match=f"dropout: p must be between 0 and 1; got {p}"):
        nn.dropout(sg.ones(2), p, training)


# ---------------------------------------------------------------------------------------------- linear and pointwise


@given(st.lists(st.integers(0, 3), max_size=2), st.integers(1, 4), st.integers(1, 4), st.booleans())
def test_linear(lead: list[int], features: int, out_features: int, with_bias: bool) -> None:
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((*lead, features)), rng.standard_normal((out_features, features))
    b = rng.standard_normal(out_features) if with_bias else None
    out = nn.linear(sg.tensor(x), sg.tensor(w), None if b is None else sg.tensor(b))
    np.testing.assert_allclose(out.numpy(), x @ w.T + (0 if b is None else b), rtol=1e-12, atol=1e-12)


def test_linear_gradients() -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape) for shape in ((3, 4), (2, 4), (2,))]
    sg.grad_check(nn.linear, *(sg.tensor(array, requires_grad=True) for array in arrays))


def test_linear_of_other_features_names_both() -> None:
    with pytest.raises(ValueError, match=re.escape("input of shape (2, 3) and weight of shape (5, 4): expected")):
        nn.linear(sg.ones(2, 3), sg.ones(5, 4))


def test_pointwise() -> None:
    x = np.linspace(-3, 3, 7)
    np.testing.assert_array_equal(nn.relu(sg.tensor(x)).numpy(), np.maximum(x, 0))
    np.testing.assert_allclose(nn.sigmoid(sg.tensor(x)).numpy(), 1 / (1 + np.exp(-x)), rtol=1e-12)
    np.testing.assert_allclose(nn.tanh(sg.tensor(x)).numpy(), np.tanh(x), rtol=1e-12)


# ---------------------------------------------------------------------------------------------------------- batch norm


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
def test_batch_norm_of_an_empty_batch_moves_nothing(shape: tuple[int, ...], training: bool) -> None:
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
    with pytest.raises(ValueError, match=re.escape("running_mean must have shape (2,), one a channel")):
        nn.batch_norm(sg.ones(4, 2), *stats)
    with pytest.raises(ValueError, match=re.escape("input of shape (1, 3) has 1 value a channel: expected 2 or more")):
        nn.batch_norm(sg.ones(1, 3, dtype=sg.float64), *stats, training=True)
