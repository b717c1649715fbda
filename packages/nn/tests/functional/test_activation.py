"""Activations and softmax."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import stackgrad.tensor as sg
from stackgrad import nn
from stackgrad.tensor.types import HostArray as Array

smooth = hnp.arrays(
    np.float64,
    hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4),
    elements=st.floats(-30, 30),
)


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


F = nn.functional
POINTS = [-50.0, -3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0, 50.0]
ACTIVATIONS: dict[str, Callable[..., sg.Tensor]] = {
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.2),
    "elu": lambda x: F.elu(x, 2.0),
    "softplus": F.softplus,
    "softplus_2_1": lambda x: F.softplus(x, 2.0, 1.0),
    "logsigmoid": F.logsigmoid,
    "mish": F.mish,
    "hardtanh": lambda x: F.hardtanh(x, -1.0, 0.5),
}
# What PyTorch 2.13 gives for POINTS in float64: values and gradients.
PYTORCH: dict[str, tuple[list[float], list[float]]] = {
    "gelu": (
        [
            -0.0,
            -0.00404969409489,
            -0.158655253931,
            -0.154268769363,
            0.0,
            0.345731230637,
            0.841344746069,
            2.99595030591,
            50.0,
        ],
        [
            0.0,
            -0.0119456472042,
            -0.0833154705877,
            0.132504875344,
            0.5,
            0.867495124656,
            1.08331547059,
            1.0119456472,
            1.0,
        ],
    ),
    "gelu_tanh": (
        [
            -0.0,
            -0.00363739208177,
            -0.158808009392,
            -0.154285990175,
            0.0,
            0.345714009825,
            0.841191990608,
            2.99636260792,
            50.0,
        ],
        [
            0.0,
            -0.011584166631,
            -0.0829640838458,
            0.132630096465,
            0.5,
            0.867369903535,
            1.08296408385,
            1.01158416663,
            1.0,
        ],
    ),
    "silu": (
        [
            -9.64374923982e-21,
            -0.142277619533,
            -0.26894142137,
            -0.188770334399,
            0.0,
            0.311229665601,
            0.73105857863,
            2.85772238047,
            50.0,
        ],
        [
            -9.45087425502e-21,
            -0.0881041060152,
            0.0723294881285,
            0.260038812697,
            0.5,
            0.739961187303,
            0.927670511871,
            1.08810410602,
            1.0,
        ],
    ),
    "leaky_relu": ([-10.0, -0.6, -0.2, -0.1, 0.0, 0.5, 1.0, 3.0, 50.0], [0.2, 0.2, 0.2, 0.2, 0.2, 1.0, 1.0, 1.0, 1.0]),
    "elu": (
        [-2.0, -1.90042586326, -1.26424111766, -0.786938680575, 0.0, 0.5, 1.0, 3.0, 50.0],
        [3.85749969593e-22, 0.0995741367357, 0.735758882343, 1.21306131943, 2.0, 1.0, 1.0, 1.0, 1.0],
    ),
    "softplus": (
        [
            1.92874984796e-22,
            0.0485873515737,
            0.313261687518,
            0.47407698418,
            0.69314718056,
            0.97407698418,
            1.31326168752,
            3.04858735157,
            50.0,
        ],
        [
            1.92874984796e-22,
            0.0474258731776,
            0.26894142137,
            0.377540668798,
            0.5,
            0.622459331202,
            0.73105857863,
            0.952574126822,
            1.0,
        ],
    ),
    "softplus_2_1": (
        [
            1.86003798801e-44,
            0.00123784256887,
            0.0634640055215,
            0.156630843759,
            0.34657359028,
            0.656630843759,
            1.0,
            3.0,
            50.0,
        ],
        [3.72007597602e-44, 0.00247262315663, 0.119202922022, 0.26894142137, 0.5, 0.73105857863, 1.0, 1.0, 1.0],
    ),
    "logsigmoid": (
        [
            -50.0,
            -3.04858735157,
            -1.31326168752,
            -0.97407698418,
            -0.69314718056,
            -0.47407698418,
            -0.313261687518,
            -0.0485873515737,
            -1.92874984796e-22,
        ],
        [
            1.0,
            0.952574126822,
            0.73105857863,
            0.622459331202,
            0.5,
            0.377540668798,
            0.26894142137,
            0.0474258731776,
            1.92874984796e-22,
        ],
    ),
    "mish": (
        [
            -9.64374923982e-21,
            -0.145647461276,
            -0.303401461374,
            -0.220743774652,
            0.0,
            0.375245211305,
            0.865098388267,
            2.98653500497,
            50.0,
        ],
        [
            -9.45087425502e-21,
            -0.0933931145323,
            0.0592167558774,
            0.289510677914,
            0.6,
            0.886424375358,
            1.0490362201,
            1.02110691093,
            1.0,
        ],
    ),
    "hardtanh": ([-1.0, -1.0, -1.0, -0.5, 0.0, 0.5, 0.5, 0.5, 0.5], [0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]),
}


@pytest.mark.parametrize("backend", ["numpy", "cpu"])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_and_their_gradients_equal_pytorch(name: str, backend: str) -> None:
    for dtype, rtol in (("float64", 1e-10), ("float32", 2e-6)):
        x = sg.tensor(POINTS, dtype=dtype, requires_grad=True, backend=backend)
        out = ACTIVATIONS[name](x)
        out.sum().backward()
        assert x.grad is not None
        values, slopes = PYTORCH[name]
        np.testing.assert_allclose(out.detach().numpy(), values, rtol=rtol, atol=rtol)
        np.testing.assert_allclose(x.grad.numpy(), slopes, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_have_derivatives_of_any_order(name: str) -> None:
    x = sg.tensor([-2.1, -0.7, 0.3, 0.45, 1.9], dtype="float64", requires_grad=True)  # off the kinks
    sg.grad_check(ACTIVATIONS[name], x)

    def slope(x: sg.Tensor) -> sg.Tensor:
        (found,) = sg.grad((ACTIVATIONS[name](x) ** 2).sum(), x, create_graph=True)
        return found

    sg.grad_check(slope, x)


LIMITS: dict[str, tuple[float, float, float, float]] = {  # values at minus and plus infinity, and slopes
    "leaky_relu": (-np.inf, np.inf, 0.2, 1.0),
    "elu": (-2.0, np.inf, 0.0, 1.0),
    "softplus": (0.0, np.inf, 0.0, 1.0),
    "softplus_2_1": (0.0, np.inf, 0.0, 1.0),
    "logsigmoid": (-np.inf, 0.0, 1.0, 0.0),
    "hardtanh": (-1.0, 0.5, 0.0, 0.0),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", LIMITS)
def test_activations_at_infinity(name: str, dtype: str) -> None:
    x = sg.tensor([-np.inf, np.inf], dtype=dtype, requires_grad=True)
    out = ACTIVATIONS[name](x)
    out.sum().backward()
    assert x.grad is not None
    assert (*out.tolist(), *x.grad.tolist()) == pytest.approx(LIMITS[name])


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_large_values_do_not_overflow_and_nan_stays_nan(name: str) -> None:
    x = sg.tensor([-1e18, -700.0, -100.0, 100.0, 700.0, 1e18, np.nan], requires_grad=True)
    out = ACTIVATIONS[name](x)
    out.sum().backward()
    assert x.grad is not None
    assert np.isfinite(out.detach().numpy()[:-1]).all()
    assert np.isfinite(x.grad.numpy()[:-1]).all()
    assert np.isnan(out.detach().numpy()[-1])


def test_softplus_with_a_threshold_beyond_the_range_of_exp() -> None:
    x = sg.tensor([30.0, 90.0, 1000.0], requires_grad=True)
    out = F.softplus(x, 1.0, 2000.0)
    assert out.tolist() == [30.0, 90.0, 1000.0]
    out.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("function", [F.relu, F.silu, F.leaky_relu, F.elu, F.mish, F.hardtanh])
def test_inplace_overwrites_the_input_and_passes_gradients(function: Callable[..., sg.Tensor]) -> None:
    x = sg.tensor([-1.5, -0.3, 0.4, 2.0], requires_grad=True)
    expected = function(x)
    expected.sum().backward()
    slopes, x.grad = x.grad, None
    y = x * 1
    assert function(y, inplace=True) is y
    assert y.tolist() == expected.tolist()
    y.sum().backward()
    assert x.grad is not None
    assert slopes is not None
    assert x.grad.tolist() == slopes.tolist()
    with pytest.raises(RuntimeError, match="leaf that requires a gradient"):
        function(x, inplace=True)


def test_arguments_of_activations() -> None:
    with pytest.raises(ValueError, match='gelu: approximate must be "none" or "tanh"; got \'exact\''):
        F.gelu(sg.ones(2), approximate="exact")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"hardtanh: min_val 1.0 is above max_val 0.5"):
        F.hardtanh(sg.ones(2), 1.0, 0.5)
    for name, function in ACTIVATIONS.items():
        with pytest.raises(TypeError, match=r"input: got list, expected a tensor; use tensor\(...\)"):
            function([1.0])
        assert function(sg.ones(0, 3)).shape == (0, 3), name


def test_pointwise() -> None:
    x = np.linspace(-3, 3, 7)
    np.testing.assert_array_equal(nn.relu(sg.tensor(x)).numpy(), np.maximum(x, 0))
    np.testing.assert_allclose(nn.sigmoid(sg.tensor(x)).numpy(), 1 / (1 + np.exp(-x)), rtol=1e-12)
    np.testing.assert_allclose(nn.tanh(sg.tensor(x)).numpy(), np.tanh(x), rtol=1e-12)
