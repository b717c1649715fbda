"""Initial weights: their bounds, their spread and their generator."""

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import stackgrad.tensor as sg
from stackgrad import nn
from stackgrad.nn import init

shapes = st.lists(st.integers(1, 5), min_size=2, max_size=4)


@given(shapes)
def test_fans(shape: list[int]) -> None:
    kernel = int(np.prod(shape[2:]))
    assert init.fans(shape) == (shape[1] * kernel, shape[0] * kernel)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("linear", 1), ("sigmoid", 1), ("tanh", 5 / 3), ("relu", math.sqrt(2)), ("leaky_relu", math.sqrt(2 / 1.04))],
)
def test_gain(name: str, expected: float) -> None:
    assert init.gain(name, slope=0.2) == pytest.approx(expected)


def test_unknown_gain() -> None:
    with pytest.raises(ValueError, match="unknown nonlinearity 'gelu'; expected one of linear, sigmoid, tanh"):
        init.gain("gelu")


# 300 outputs of 20 x 3 x 3 inputs: fan in 180, fan out 2700
SHAPE = (300, 20, 3, 3)


@pytest.mark.parametrize(
    ("function", "std"),
    [
        (lambda **g: init.kaiming_normal(SHAPE, **g), math.sqrt(2 / 180)),
        (lambda **g: init.kaiming_normal(SHAPE, mode="fan_out", gain=1.0, **g), math.sqrt(1 / 2700)),
        (lambda **g: init.kaiming_uniform(SHAPE, **g), math.sqrt(2 / 180)),
        (lambda **g: init.kaiming_uniform(SHAPE, mode="fan_out", **g), math.sqrt(2 / 2700)),
        (lambda **g: init.xavier_normal(SHAPE, **g), math.sqrt(2 / 2880)),
        (lambda **g: init.xavier_uniform(SHAPE, gain=2.0, **g), 2 * math.sqrt(2 / 2880)),
    ],
)
def test_mean_and_standard_deviation(function: Callable[..., sg.Tensor], std: float) -> None:
    weight = function(generator=sg.Generator(5), dtype=sg.float64)
    assert weight.shape == SHAPE
    assert weight.dtype == sg.float64
    assert float(weight.mean()) == pytest.approx(0, abs=std / 50)
    assert float(weight.var()) == pytest.approx(std**2, rel=0.02)


@pytest.mark.parametrize(
    ("function", "bound"),
    [(init.kaiming_uniform, math.sqrt(6 / 180)), (init.xavier_uniform, math.sqrt(6 / 2880))],
)
def test_uniform_weights_fill_their_bounds(function: Callable[..., sg.Tensor], bound: float) -> None:
    weight = function(SHAPE, generator=sg.Generator(1)).numpy()
    assert weight.dtype == np.float32
    assert np.abs(weight).max() <= bound * (1 + 1e-6)
    assert weight.max() > 0.99 * bound
    assert weight.min() < -0.99 * bound


@pytest.mark.parametrize(
    "function", [init.kaiming_uniform, init.kaiming_normal, init.xavier_uniform, init.xavier_normal]
)
def test_the_same_generator_gives_the_same_weights(function: Callable[..., sg.Tensor]) -> None:
    generator = sg.Generator(1)
    first = function((3, 4), generator=generator).tolist()
    assert function((3, 4), generator=sg.Generator(1)).tolist() == first
    assert function((3, 4), generator=generator).tolist() != first
    sg.manual_seed(1)
    assert function((3, 4)).tolist() == first


@pytest.mark.parametrize(
    ("make", "bound"),
    [
        (lambda g: nn.Linear(25, 400, generator=g), 1 / 5),
        (lambda g: nn.Conv2d(8, 100, (2, 2), groups=2, generator=g), 1 / 4),
        (lambda g: nn.Conv1d(3, 300, 3, generator=g), 1 / 3),
    ],
)
def test_layers_start_as_in_pytorch(make: Callable[[Any], Any], bound: float) -> None:
    layer = make(sg.Generator(2))
    for parameter in (layer.weight, layer.bias):
        values = parameter.detach().numpy()
        assert np.abs(values).max() <= bound * (1 + 1e-6)
        assert values.std() == pytest.approx(bound / math.sqrt(3), rel=0.1)
    assert make(sg.Generator(2)).weight.tolist() == layer.weight.tolist()


def test_errors() -> None:
    with pytest.raises(ValueError, match=re.escape("(out, in, ...); got shape (3,)")):
        init.xavier_uniform((3,))
    with pytest.raises(ValueError, match=re.escape("at least one element; got shape (3, 0)")):
        init.kaiming_normal((3, 0))
    with pytest.raises(ValueError, match='mode must be "fan_in" or "fan_out"; got \'fan\''):
        init.kaiming_uniform((3, 4), mode="fan")  # type: ignore[arg-type]


FUNCTIONS: list[Callable[..., Any]] = [
    init.kaiming_uniform,
    init.kaiming_normal,
    init.xavier_uniform,
    init.xavier_normal,
    lambda shape: init.uniform(shape, 1.0),
    lambda shape: init.normal(shape, 1.0),
]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_parameter_is_not_a_shape(function: Callable[..., Any]) -> None:
    message = r"take a shape and return a new tensor; got a Parameter of shape \(2, 3\): pass x.shape, and write"
    with pytest.raises(TypeError, match=message):
        function(nn.Parameter(sg.ones(2, 3)))
    for value, name in ((3, "int"), ("ab", "str"), (np.ones(2), "ndarray")):
        with pytest.raises(TypeError, match=rf"take a shape, such as \(out, in\); got {name}"):
            function(value)


# ------------------------------------------------------------------------------------------------ written over a tensor


@pytest.mark.parametrize("backend", ["numpy", "cpu"])
@pytest.mark.parametrize(
    ("write", "make"),
    [
        (lambda x, g: init.normal_(x, 1.0, 0.5, g), lambda s, g: init.normal(s, 0.5, g) + 1),
        (lambda x, g: init.uniform_(x, -0.5, 0.5, g), lambda s, g: init.uniform(s, 0.5, g)),
        (lambda x, g: init.xavier_uniform_(x, 2.0, g), lambda s, g: init.xavier_uniform(s, 2.0, g)),
        (lambda x, g: init.xavier_normal_(x, generator=g), lambda s, g: init.xavier_normal(s, generator=g)),
        (
            lambda x, g: init.kaiming_uniform_(x, 0.2, generator=g),
            lambda s, g: init.kaiming_uniform(s, init.gain("leaky_relu", 0.2), generator=g),
        ),
        (
            lambda x, g: init.kaiming_normal_(x, mode="fan_out", nonlinearity="relu", generator=g),
            lambda s, g: init.kaiming_normal(s, mode="fan_out", generator=g),
        ),
        (lambda x, g: init.constant_(x, 2.5), lambda s, g: sg.full(s, 2.5)),
        (lambda x, g: init.zeros_(x), lambda s, g: sg.zeros(s)),
        (lambda x, g: init.ones_(x), lambda s, g: sg.ones(s)),
    ],
)
def test_initialisers_overwrite_a_parameter(write: Any, make: Any, backend: str) -> None:
    parameter = nn.Parameter(sg.full((4, 3), 7.0, backend=backend))
    assert write(parameter, sg.Generator(3)) is parameter
    assert parameter.requires_grad
    assert parameter.is_leaf
    assert parameter.backend.name == backend
    np.testing.assert_allclose(parameter.detach().numpy(), make((4, 3), sg.Generator(3)).numpy(), rtol=1e-6, atol=1e-7)


def test_initialisers_overwrite_only_tensors() -> None:
    with pytest.raises(TypeError, match="the argument of an initialiser: got tuple, expected a tensor"):
        init.normal_((3, 4))  # type: ignore[arg-type]
    assert init.normal_(sg.zeros(2, dtype="float64")).dtype == np.float64
