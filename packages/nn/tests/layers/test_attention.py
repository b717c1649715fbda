"""Multi-head attention, and the encoder that uses it."""

import re
from typing import Any

import numpy as np
import pytest

import stackgrad.tensor as sg
from stackgrad import nn


def draws(*shape: int, seed: int = 0) -> sg.Tensor:
    return sg.randn(*shape, generator=sg.Generator(seed), dtype="float64")


def by_heads(layer: nn.MultiheadAttention, q: Any, k: Any, v: Any, added: Any) -> tuple[Any, Any]:
    """The definition in NumPy, a loop over batch and heads: q (L, N, E), k (S, N, E), v (S, N, E), added (L, S)."""
    state = {name: t.numpy() for name, t in layer.state_dict().items()}
    e, h = layer.embed_dim, layer.num_heads
    w, b = state["in_proj_weight"], state["in_proj_bias"]
    q, k, v = (x @ w[i * e : (i + 1) * e].T + b[i * e : (i + 1) * e] for i, x in enumerate((q, k, v)))
    out, seen = np.zeros(q.shape), np.zeros((q.shape[1], h, q.shape[0], k.shape[0]))
    for n in range(q.shape[1]):
        for i in range(h):
            part = slice(i * e // h, (i + 1) * e // h)
            scores = np.exp(q[:, n, part] @ k[:, n, part].T / np.sqrt(e // h) + added)
            seen[n, i] = scores / scores.sum(1, keepdims=True)
            out[:, n, part] = seen[n, i] @ v[:, n, part]
    return out @ state["out_proj.weight"].T + state["out_proj.bias"], seen


@pytest.mark.parametrize("backend", ["numpy", "cpu"])
@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("masked", ["no", "bools", "floats", "causal"])
def test_multihead_attention(masked: str, batch_first: bool, backend: str) -> None:
    layer = nn.MultiheadAttention(6, 2, batch_first=batch_first, generator=sg.Generator(1), dtype="float64").to(backend)
    with sg.no_grad():
        layer.in_proj_bias.copy_(draws(18, seed=2).to(backend))  # type: ignore[union-attr]
    q, k, v = draws(4, 3, 6), draws(5, 3, 6, seed=3), draws(5, 3, 6, seed=4)
    forbidden = ~np.tri(4, 5, dtype=bool)
    added = np.where(forbidden, -np.inf, 0.0) if masked != "no" else np.zeros((4, 5))
    mask = {"bools": sg.tensor(forbidden), "floats": sg.tensor(added)}.get(masked)
    expected, seen = by_heads(layer, q.numpy(), k.numpy(), v.numpy(), added)
    inputs = [(x.transpose(0, 1) if batch_first else x).to(backend) for x in (q, k, v)]
    options: Any = {"attn_mask": None if mask is None else mask.to(backend), "is_causal": masked == "causal"}
    out, weights = layer(*inputs, **options)
    found = out.detach().numpy()
    np.testing.assert_allclose(found.swapaxes(0, 1) if batch_first else found, expected, rtol=1e-9, atol=1e-9)
    assert weights is not None
    np.testing.assert_allclose(weights.detach().numpy(), seen.mean(1), rtol=1e-9, atol=1e-12)
    each = layer(*inputs, average_attn_weights=False, **options)[1]
    assert each is not None
    np.testing.assert_allclose(each.detach().numpy(), seen, rtol=1e-9, atol=1e-12)
    assert layer(*inputs, need_weights=False, **options)[1] is None


def test_padded_keys_are_ignored() -> None:
    layer = nn.MultiheadAttention(4, 2, batch_first=True, generator=sg.Generator(1), dtype="float64")
    x, padding = draws(2, 3, 4), sg.tensor([[False, False, True], [False, False, False]])
    short, _ = layer(x[:1, :2], x[:1, :2], x[:1, :2])
    for mask in (padding, padding.where(-np.inf, sg.zeros((), dtype="float64"))):
        out, weights = layer(x, x, x, key_padding_mask=mask)
        assert weights is not None
        assert weights[0, :, 2].tolist() == [0.0, 0.0, 0.0]
        np.testing.assert_allclose(out[0, :2].detach().numpy(), short[0].detach().numpy(), rtol=1e-12)
        for other in (sg.tensor(~np.tri(3, dtype=bool)), sg.tensor(np.where(np.tri(3, dtype=bool), 0.0, -np.inf))):
            both, _ = layer(x, x, x, key_padding_mask=mask, attn_mask=other)
            causal, _ = layer(x, x, x, key_padding_mask=mask, is_causal=True)
            np.testing.assert_allclose(both.detach().numpy(), causal.detach().numpy(), rtol=1e-12)


def test_without_a_batch_and_with_a_mask_for_each_head() -> None:
    layer = nn.MultiheadAttention(4, 2, generator=sg.Generator(1), dtype="float64")
    x = draws(3, 4)
    batched, seen = layer(x.unsqueeze(1), x.unsqueeze(1), x.unsqueeze(1))
    out, weights = layer(x, x, x)
    assert out.tolist() == batched.squeeze(1).tolist()
    assert weights is not None
    assert seen is not None
    assert weights.tolist() == seen[0].tolist()
    mask = sg.tensor(np.stack([np.eye(3) == 0, np.zeros((3, 3), bool)]))
    _, each = layer(x, x, x, attn_mask=mask, average_attn_weights=False)
    assert each is not None
    assert each[0].tolist() == np.eye(3).tolist()


def test_names_shapes_and_initial_weights_equal_pytorch() -> None:
    layer = nn.MultiheadAttention(64, 4, generator=sg.Generator(1))
    assert {name: t.shape for name, t in layer.state_dict().items()} == {
        "in_proj_weight": (192, 64),
        "in_proj_bias": (192,),
        "out_proj.weight": (64, 64),
        "out_proj.bias": (64,),
    }
    state = {name: t.numpy() for name, t in layer.state_dict().items()}
    assert 0.98 * np.sqrt(6 / 256) < np.abs(state["in_proj_weight"]).max() < np.sqrt(6 / 256)
    assert 0.98 / 8 < np.abs(state["out_proj.weight"]).max() < 1 / 8
    assert not state["in_proj_bias"].any()
    assert not state["out_proj.bias"].any()
    other = nn.MultiheadAttention(6, 2, bias=False, kdim=4, vdim=3)
    shapes = {"q_proj_weight": (6, 6), "k_proj_weight": (6, 4), "v_proj_weight": (6, 3), "out_proj.weight": (6, 6)}
    assert {name: t.shape for name, t in other.state_dict().items()} == shapes
    assert other(sg.ones(2, 1, 6), sg.ones(3, 1, 4), sg.ones(3, 1, 3))[0].shape == (2, 1, 6)


def test_gradients() -> None:
    layer = nn.MultiheadAttention(4, 2, generator=sg.Generator(1), dtype="float64")

    class Output(nn.Module):
        def __init__(self) -> None:
            self.attention = layer

        def forward(self, input: sg.Tensor) -> sg.Tensor:
            return self.attention(input, input, input, is_causal=True)[0]

    sg.grad_check(Output(), draws(3, 2, 4))


def test_dropout_acts_only_in_training() -> None:
    layer = nn.MultiheadAttention(4, 2, dropout=0.5, generator=sg.Generator(1))
    x = sg.randn(5, 2, 4, generator=sg.Generator(2))
    assert layer(x, x, x)[0].tolist() != layer(x, x, x)[0].tolist()
    layer.eval()
    assert layer(x, x, x)[0].tolist() == layer(x, x, x)[0].tolist()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.MultiheadAttention(5, 2), "num_heads 2 does not divide embed_dim 5"),
        (lambda: _call(sg.ones(3, 2, 4), attn_mask=sg.ones(2, 2)), "attn_mask must have shape (queries, keys), (3, 3)"),
        (
            lambda: _call(sg.ones(3, 2, 4), key_padding_mask=sg.ones(3, 2)),
            "key_padding_mask must have shape (batch, keys), (2, 3)",
        ),
        (lambda: _call(sg.ones(4)), "must all have 3 dimensions, or 2 without a batch; got shapes (4,)"),
    ],
)
def test_errors(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


@pytest.mark.parametrize(("name", "shape"), [("attn_mask", (3, 3)), ("key_padding_mask", (2, 3))])
def test_a_mask_of_integers_is_refused(name: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(TypeError, match=f"{name} has dtype int64: expected bool, or float32 or float64"):
        _call(sg.ones(3, 2, 4), **{name: sg.ones(shape, dtype="int64")})
    with pytest.raises(TypeError, match=f"{name}: got list, expected a tensor"):
        _call(sg.ones(3, 2, 4), **{name: [[True]]})  # type: ignore[arg-type]


def _call(x: sg.Tensor, **masks: sg.Tensor) -> object:
    return nn.MultiheadAttention(4, 2)(x, x, x, **masks)
