"""The encoder of the transformer."""

import re

import numpy as np
import pytest

import stackgrad.tensor as sg
from stackgrad import nn

F = nn.functional


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("activation", ["relu", "gelu", F.silu])
def test_a_layer_is_attention_and_two_linear_layers(norm_first: bool, activation: object) -> None:
    layer = nn.TransformerEncoderLayer(
        4,
        2,
        6,
        0.0,
        activation,
        norm_first=norm_first,
        generator=sg.Generator(0),
        dtype="float64",  # type: ignore[arg-type]
    )
    x = sg.randn(3, 2, 4, generator=sg.Generator(1), dtype="float64")
    mask = sg.tensor(~np.tri(3, dtype=bool))
    function = {"relu": F.relu, "gelu": F.gelu}.get(activation, activation)  # type: ignore[call-overload]

    def look(x: sg.Tensor) -> sg.Tensor:
        return layer.self_attn(x, x, x, attn_mask=mask)[0]

    def think(x: sg.Tensor) -> sg.Tensor:
        return layer.linear2(function(layer.linear1(x)))

    if norm_first:
        y = x + look(layer.norm1(x))
        expected = y + think(layer.norm2(y))
    else:
        y = layer.norm1(x + look(x))
        expected = layer.norm2(y + think(y))
    np.testing.assert_allclose(layer(x, mask).detach().numpy(), expected.detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(layer(x, is_causal=True).detach().numpy(), expected.detach().numpy(), rtol=1e-12)
    sg.grad_check(layer, x)


def test_an_encoder_copies_its_layer() -> None:
    layer = nn.TransformerEncoderLayer(4, 2, 6, 0.0, generator=sg.Generator(0))
    encoder = nn.TransformerEncoder(layer, 2, nn.LayerNorm(4))
    assert list(encoder.state_dict())[:4] == [
        "layers.0.self_attn.in_proj_weight",
        "layers.0.self_attn.in_proj_bias",
        "layers.0.self_attn.out_proj.weight",
        "layers.0.self_attn.out_proj.bias",
    ]
    assert [name.removeprefix("layers.1.") for name in list(encoder.state_dict())[16:24]] == [
        *("linear1.weight", "linear1.bias", "linear2.weight", "linear2.bias"),
        *("norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias"),
    ]
    x = sg.randn(3, 2, 4, generator=sg.Generator(1))
    assert encoder(x).tolist() == encoder.norm(layer(layer(x))).tolist()  # type: ignore[misc]
    assert encoder.layers[0].linear1.weight is not encoder.layers[1].linear1.weight  # type: ignore[attr-defined]


def test_an_unknown_activation() -> None:
    with pytest.raises(ValueError, match=re.escape('activation must be "relu", "gelu" or a function; got \'swish\'')):
        nn.TransformerEncoderLayer(4, 2, activation="swish")
