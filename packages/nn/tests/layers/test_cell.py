"""Recurrent cells, against their definitions in NumPy."""

import re
from typing import Any

import numpy as np
import pytest

import stackgrad.tensor as sg
from stackgrad import nn
from stackgrad.tensor.types import HostArray as Array


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def defined(cell: Any, x: Array, states: list[Array]) -> list[Array]:
    state = {name: t.numpy() for name, t in cell.state_dict().items()}
    own = x @ state["weight_ih"].T + state.get("bias_ih", 0)
    past = states[0] @ state["weight_hh"].T + state.get("bias_hh", 0)
    if isinstance(cell, nn.RNNCell):
        return [np.tanh(own + past) if cell.nonlinearity == "tanh" else np.maximum(own + past, 0)]
    if isinstance(cell, nn.GRUCell):
        (r, z, n), (r2, z2, n2) = np.split(own, 3, 1), np.split(past, 3, 1)
        z = sigmoid(z + z2)
        return [(1 - z) * np.tanh(n + sigmoid(r + r2) * n2) + z * states[0]]
    i, f, g, o = np.split(own + past, 4, 1)
    c = sigmoid(f) * states[1] + sigmoid(i) * np.tanh(g)
    return [sigmoid(o) * np.tanh(c), c]


@pytest.mark.parametrize("backend", ["numpy", "cpu"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("make", "options"), [(nn.RNNCell, {}), (nn.RNNCell, {"nonlinearity": "relu"}), (nn.LSTMCell, {}), (nn.GRUCell, {})]
)
def test_a_cell_equals_its_definition(make: Any, options: Any, bias: bool, backend: str) -> None:
    cell = make(3, 4, bias=bias, generator=sg.Generator(0), dtype="float64", **options).to(backend)
    two = isinstance(cell, nn.LSTMCell)
    rng = np.random.default_rng(0)
    x, states = rng.standard_normal((2, 3)), [rng.standard_normal((2, 4)) for _ in range(1 + two)]
    tensors = [sg.tensor(a, backend=backend) for a in (x, *states)]
    for begin, given in ((states, tensors[1:]), ([np.zeros((2, 4))] * (1 + two), None)):
        hx: Any = None if given is None else tuple(given) if two else given[0]
        found = cell(tensors[0], hx)
        for a, b in zip(found if two else (found,), defined(cell, x, begin), strict=True):
            np.testing.assert_allclose(a.detach().numpy(), b, rtol=1e-10, atol=1e-12)
    alone = cell(tensors[0][0])
    whole = cell(tensors[0])
    first = [(x[0] if two else x).detach().numpy() for x in (alone, whole)]
    np.testing.assert_allclose(first[0], first[1][0], rtol=1e-12)
    if not two:
        sg.grad_check(cell, tensors[0])


def test_names_and_repr() -> None:
    assert list(nn.LSTMCell(2, 3).state_dict()) == ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]
    assert nn.GRUCell(2, 3).weight_ih.shape == (9, 2)
    assert list(nn.RNNCell(2, 3, bias=False).state_dict()) == ["weight_ih", "weight_hh"]
    assert repr(nn.RNNCell(2, 3, bias=False)) == "RNNCell(2, 3, bias=False)"


def test_errors() -> None:
    with pytest.raises(ValueError, match=re.escape("GRUCell: input of shape (2, 3): expected (batch, 2) or (2,)")):
        nn.GRUCell(2, 3)(sg.ones(2, 3))
    with pytest.raises(ValueError, match=re.escape("LSTMCell: state of shape (3,): expected (2, 3)")):
        nn.LSTMCell(2, 3)(sg.ones(2, 2), (sg.ones(2, 3), sg.ones(3)))
    with pytest.raises(TypeError, match="the state of RNNCell: got list, expected a tensor"):
        nn.RNNCell(2, 3)(sg.ones(2, 2), [1.0])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match='nonlinearity must be "tanh" or "relu"'):
        nn.RNNCell(2, 3, nonlinearity="sin")


def test_the_state_with_a_memory_is_a_pair() -> None:
    """The rows of one tensor are not its two states."""
    hidden = sg.ones(2, 2, 3)
    for layer, given, got in (
        (nn.LSTMCell(2, 3), hidden, "Tensor"),
        (nn.LSTMCell(2, 3), (hidden[0],), "tuple of 1"),
        (nn.LSTM(2, 3), hidden, "Tensor"),
        (nn.LSTM(2, 3), [hidden] * 3, "list of 3"),
    ):
        message = f"the state of {type(layer).__name__}: got {got}, expected a pair of tensors, (hidden, cell)"
        with pytest.raises(TypeError, match=re.escape(message)):
            layer(sg.ones(2, 2), given)  # type: ignore[arg-type]
