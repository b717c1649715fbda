"""Dropout of elements and of channels."""

from typing import Any

import numpy as np
import pytest

import stackgrad.tensor as sg
from stackgrad import nn


def test_dropout_with_rate_0_or_in_evaluation_returns_the_input() -> None:
    x = sg.rand(3, 4)
    assert nn.dropout(x, 0.0) is x
    assert nn.dropout(x, 0.7, training=False) is x


def test_the_third_argument_of_dropout_is_training() -> None:
    x, generator = sg.ones(3, 4), sg.Generator(3)
    assert nn.dropout(x, 0.5, False) is x
    dropped = nn.dropout(x, 0.5, True, generator=generator)
    assert sorted(set(dropped.numpy().ravel().tolist())) == [0.0, 2.0]
    assert nn.dropout(x, generator=sg.Generator(3)).tolist() == dropped.tolist()


def test_dropout_with_rate_1_returns_zeros_with_a_zero_gradient() -> None:
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
def test_dropout_with_an_invalid_probability(p: float, training: bool) -> None:
    with pytest.raises(ValueError, match=f"dropout: p must be between 0 and 1; got {p}"):
        nn.dropout(sg.ones(2), p, training)


# --------------------------------------------------------------------------------------------------- of whole channels


@pytest.mark.parametrize(
    ("function", "shape"), [(nn.functional.dropout1d, (40, 50, 3)), (nn.functional.dropout2d, (40, 50, 2, 3))]
)
def test_whole_channels_are_dropped(function: Any, shape: tuple[int, ...]) -> None:
    x = sg.ones(*shape, requires_grad=True)
    out = function(x, 0.25, generator=sg.Generator(3))
    values = out.detach().numpy().reshape(2000, -1)
    assert (values == values[:, :1]).all()
    np.testing.assert_allclose(np.unique(values), [0.0, 4 / 3], rtol=1e-6)
    assert abs((values == 0).mean() - 0.25) < 0.03
    out.sum().backward()
    assert x.grad is not None
    np.testing.assert_array_equal(x.grad.numpy(), out.detach().numpy())
    assert function(x, 0.25, training=False) is x
    assert function(x, 0.0) is x


@pytest.mark.parametrize("p", ["0.5", None])
def test_a_probability_is_a_number(p: object) -> None:
    message = f"dropout: p must be a number between 0 and 1; got {type(p).__name__}"
    for make in (nn.Dropout, lambda p: nn.functional.dropout(sg.ones(2), p), lambda p: nn.LSTM(1, 1, dropout=p)):
        with pytest.raises(TypeError, match=message):
            make(p)


def test_channel_dropout_needs_channels() -> None:
    with pytest.raises(ValueError, match=r"dropout2d: input of shape \(2, 3\): expected \(batch, .*, width\)"):
        nn.functional.dropout2d(sg.ones(2, 3))
    with pytest.raises(ValueError, match=r"dropout1d: input of shape \(2, 3\): expected \(batch, channels, width\)"):
        nn.functional.dropout1d(sg.ones(2, 3))
    with pytest.raises(ValueError, match=r"dropout: p must be between 0 and 1; got 2"):
        nn.functional.dropout2d(sg.ones(2, 3, 1, 1), 2)
