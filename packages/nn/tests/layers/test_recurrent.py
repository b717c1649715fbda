"""Recurrent layers, against a loop over their cells, PyTorch and central differences."""

import re
from typing import Any

import numpy as np
import pytest

import stackgrad.tensor as sg
from stackgrad import nn

LAYERS: dict[str, tuple[Any, Any, int]] = {
    "RNN": (nn.RNN, nn.RNNCell, 1),
    "LSTM": (nn.LSTM, nn.LSTMCell, 2),
    "GRU": (nn.GRU, nn.GRUCell, 1),
}


def draws(*shape: int, seed: int = 0) -> sg.Tensor:
    return sg.randn(*shape, generator=sg.Generator(seed), dtype="float64")


def by_cells(layer: Any, cell_class: Any, x: sg.Tensor, states: list[sg.Tensor]) -> tuple[Any, list[Any]]:
    """The output of a layer for (length, batch, features), step by step with its cell."""
    last: list[list[Any]] = []
    for i in range(layer.num_layers):
        outs = []
        for ending in (f"l{i}", f"l{i}_reverse")[: 2 if layer.bidirectional else 1]:
            cell = cell_class(x.shape[2], layer.hidden_size, layer.bias, dtype="float64")
            cell.load_state_dict({name: getattr(layer, f"{name}_{ending}").detach() for name in cell.state_dict()})
            state = [each[len(last)] for each in states]
            found = []
            for t in range(x.shape[0]) if ending == f"l{i}" else reversed(range(x.shape[0])):
                after = cell(x[t], tuple(state) if len(state) == 2 else state[0])
                state = list(after) if isinstance(after, tuple) else [after]
                found.append(state[0])
            outs.append(sg.stack(found if ending == f"l{i}" else found[::-1]))
            last.append(state)
        x = sg.concatenate(outs, 2)
    return x.detach().numpy(), [sg.stack(list(each)).detach().numpy() for each in zip(*last, strict=True)]


@pytest.mark.parametrize("backend", ["numpy", "cpu"])
@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize(
    "options",
    [{}, {"num_layers": 2, "bidirectional": True}, {"bias": False, "batch_first": True}, {"num_layers": 3}],
    ids=str,
)
def test_a_layer_equals_its_cell_step_by_step(options: Any, name: str, backend: str) -> None:
    make, cell, count = LAYERS[name]
    layer = make(3, 4, generator=sg.Generator(1), dtype="float64", **options)
    directions = layer.num_layers * (2 if layer.bidirectional else 1)
    x, states = draws(5, 2, 3), [draws(directions, 2, 4, seed=i + 1) for i in range(count)]
    expected, ends = by_cells(layer, cell, x, states)
    layer.to(backend)
    begin = [state.to(backend) for state in states]
    given = (x.transpose(0, 1) if layer.batch_first else x).to(backend)
    out, last = layer(given, tuple(begin) if count == 2 else begin[0])
    found = out.transpose(0, 1) if layer.batch_first else out
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-10, atol=1e-12)
    for a, b in zip(last if count == 2 else (last,), ends, strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b, rtol=1e-10, atol=1e-12)
    zeros = [sg.zeros(*state.shape, dtype="float64", backend=backend) for state in states]
    without = layer(given)[0].tolist()
    assert without == layer(given, tuple(zeros) if count == 2 else zeros[0])[0].tolist()


@pytest.mark.parametrize("name", LAYERS)
def test_gradients(name: str) -> None:
    make, _, count = LAYERS[name]
    layer = make(2, 3, 2, bidirectional=True, generator=sg.Generator(1), dtype="float64")

    class Both(nn.Module):
        def __init__(self) -> None:
            self.layer = layer

        def forward(self, input: sg.Tensor) -> sg.Tensor:
            out, last = self.layer(input)
            return out.sum(0) + sum(last if count == 2 else (last,))[:2].reshape(1, -1)[:, :6]

    sg.grad_check(Both(), draws(3, 1, 2))


PYTORCH: dict[str, list[float]] = {
    "RNN": [
        *(-0.7478499261, 0.9986974192, -0.9884371371, 0.3730093893),
        *(-0.4108735748, 0.9980346216, -0.9971528778, 0.829695253),
        4.6501114945,
    ],
    "LSTM": [
        *(0.0221482143, -0.0180644229, -0.1244951849, -0.2784920166),
        *(0.0234066139, -0.0215171732, -0.1260052591, -0.273239593),
        1.8098250288,
    ],
    "GRU": [
        *(0.1190110234, -0.222400992, 0.0031885931, -0.955372304),
        *(0.1118848819, -0.129439802, 0.1190610389, -0.9608132189),
        3.4033031167,
    ],
}


@pytest.mark.parametrize("name", LAYERS)
def test_values_of_pytorch(name: str) -> None:
    layer = LAYERS[name][0](2, 2, 2, bidirectional=True, dtype="float64")
    start = 0
    for p in layer.parameters():  # one sine per weight
        with sg.no_grad():
            p.copy_((sg.arange(start, start + p.size, dtype="float64") * 0.7).sin().reshape(*p.shape))
        start += p.size
    out, last = layer((sg.arange(12, dtype="float64") * 0.5).cos().reshape(3, 2, 2))
    ends = last[0] * last[1] if name == "LSTM" else last
    found = [*out[0].detach().numpy().ravel(), ends.sum().item()]
    np.testing.assert_allclose(found, PYTORCH[name], rtol=1e-9, atol=1e-10)


def test_names_and_initial_weights_equal_pytorch() -> None:
    layer = nn.LSTM(3, 25, 2, bidirectional=True, generator=sg.Generator(0))
    shapes = {name: t.shape for name, t in layer.state_dict().items()}
    ends = ("l0", "l0_reverse", "l1", "l1_reverse")
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    assert list(shapes) == [f"{name}_{end}" for end in ends for name in names]
    assert shapes["weight_ih_l0"] == (100, 3)
    assert shapes["weight_ih_l1_reverse"] == (100, 50)
    assert shapes["weight_hh_l1"] == (100, 25)
    values = np.concatenate([t.numpy().ravel() for t in layer.state_dict().values()])
    assert 0.199 < np.abs(values).max() < 0.2
    assert abs(values.std() - 0.2 / np.sqrt(3)) < 0.002
    assert list(nn.GRU(2, 3, bias=False).state_dict()) == ["weight_ih_l0", "weight_hh_l0"]


def test_without_a_batch() -> None:
    for make, _, count in LAYERS.values():
        layer = make(2, 3, 2, generator=sg.Generator(0), dtype="float64")
        x, begin = draws(4, 2), [draws(2, 3, seed=i + 1) for i in range(count)]
        states = [state.unsqueeze(1) for state in begin]
        out, last = layer(x, tuple(begin) if count == 2 else begin[0])
        batched, ends = layer(x.unsqueeze(1), tuple(states) if count == 2 else states[0])
        assert out.tolist() == batched.squeeze(1).tolist()
        for a, b in zip(last if count == 2 else (last,), ends if count == 2 else (ends,), strict=True):
            assert a.tolist() == b.squeeze(1).tolist()


def test_dropout_acts_between_layers_in_training() -> None:
    layer = nn.GRU(2, 3, 2, dropout=1.0, dtype="float64")
    x = draws(4, 1, 2)
    zeros = nn.GRU(3, 3, dtype="float64")
    names = zip(list(layer.state_dict())[4:], zeros.state_dict(), strict=True)
    zeros.load_state_dict({own: layer.state_dict()[name] for name, own in names})
    expected = zeros(sg.zeros(4, 1, 3, dtype="float64"))[0]
    np.testing.assert_allclose(layer(x)[0].detach().numpy(), expected.detach().numpy())
    layer.eval()
    assert layer(x)[0].tolist() == layer(x)[0].tolist()
    assert layer(x)[0].tolist() != layer.train()(x)[0].tolist()


def test_relu_instead_of_tanh() -> None:
    layer = nn.RNN(2, 3, nonlinearity="relu", generator=sg.Generator(0))
    out, _ = layer(sg.ones(1, 1, 2))
    weights = layer.weight_ih_l0.sum(1) + layer.bias_ih_l0 + layer.bias_hh_l0  # type: ignore[attr-defined]
    np.testing.assert_allclose(out[0, 0].detach().numpy(), weights.relu().detach().numpy(), rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.RNN(0, 3), "RNN needs at least one feature for input and state; got 0 and 3"),
        (lambda: nn.GRU(2, 3, 0), "GRU needs at least one layer; got num_layers 0"),
        (lambda: nn.RNN(2, 3, nonlinearity="sin"), 'nonlinearity must be "tanh" or "relu"; got \'sin\''),
        (lambda: nn.LSTM(2, 3, dropout=2.0), "p must be between 0 and 1; got 2.0"),
        (lambda: nn.GRU(2, 3)(sg.ones(4, 1, 3)), "GRU: input of shape (4, 1, 3): expected (length, batch, 2), or"),
        (lambda: nn.GRU(2, 3, batch_first=True)(sg.ones(2)), "expected (batch, length, 2), or (length, 2) without"),
        (lambda: nn.GRU(2, 3)(sg.ones(0, 1, 2)), "input of shape (0, 1, 2) has length 0"),
        (lambda: nn.GRU(2, 3)(sg.ones(4, 1, 2), sg.ones(1, 3)), "GRU: state of shape (1, 3): expected (1, 1, 3)"),
    ],
)
def test_errors(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
