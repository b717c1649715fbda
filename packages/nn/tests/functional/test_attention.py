"""Attention, against its definition, PyTorch and central differences."""

import re
from collections.abc import Callable

import numpy as np
import pytest

import stackgrad.tensor as sg
from stackgrad import nn
from stackgrad.tensor.types import HostArray as Array

F = nn.functional


def defined(q: Array, k: Array, v: Array, allowed: Array) -> Array:
    """The definition as a loop over the queries and the keys that each may attend to."""
    out = np.zeros((len(q), v.shape[1]))
    for i, query in enumerate(q):
        seen = allowed[i]
        weights = np.exp(k[seen] @ query / np.sqrt(q.shape[1]))
        out[i] = weights @ v[seen] / weights.sum() if seen.any() else 0
    return out


@pytest.mark.parametrize("backend", ["numpy", "cpu"])
@pytest.mark.parametrize("masked", ["no", "causal", "bools", "floats"])
@pytest.mark.parametrize("lead", [(), (2,), (2, 3)])
def test_attention(lead: tuple[int, ...], masked: str, backend: str) -> None:
    rng = np.random.default_rng(0)
    q, k, v = (rng.standard_normal((*lead, *size)) for size in ((4, 3), (5, 3), (5, 2)))
    allowed = {"no": np.ones((4, 5), bool), "causal": np.tri(4, 5, dtype=bool)}.get(masked, rng.random((4, 5)) < 0.6)
    if masked == "bools":
        allowed[1] = False
    mask = {"bools": allowed, "floats": np.where(allowed, 0.0, -np.inf)}.get(masked)
    tensors = [sg.tensor(a, requires_grad=True, backend=backend) for a in (q, k, v)]
    attn_mask = None if mask is None else sg.tensor(mask, backend=backend)

    def function(*tensors: sg.Tensor) -> sg.Tensor:
        return F.scaled_dot_product_attention(*tensors, attn_mask, is_causal=masked == "causal")

    expected = np.zeros((*lead, 4, 2))
    for at in np.ndindex(lead):
        expected[at] = defined(q[at], k[at], v[at], allowed)
    np.testing.assert_allclose(function(*tensors).detach().numpy(), expected, rtol=1e-9, atol=1e-12)
    if len(lead) < 2:
        sg.grad_check(function, *tensors)


def test_values_of_pytorch() -> None:
    x = sg.tensor([[[0.2, -1.5, 3.0], [0.7, 0.1, -0.4]]], dtype="float64")
    causal = F.scaled_dot_product_attention(x, x, x, is_causal=True)
    expected = [[[0.2, -1.5, 3.0], [0.5732133988227881, -0.30571712376707805, 0.46214888800504084]]]
    np.testing.assert_allclose(causal.numpy(), expected, rtol=1e-12)
    mask = sg.tensor([[True, True], [False, False]])
    expected = [[[0.20036677595743535, -1.498826316936207, 2.99750592348944], [0.0, 0.0, 0.0]]]
    np.testing.assert_allclose(F.scaled_dot_product_attention(x, x, x, mask).numpy(), expected, rtol=1e-12)


def test_fully_masked_queries_have_no_nan_gradient() -> None:
    x = sg.randn(2, 3, generator=sg.Generator(0), requires_grad=True)
    for mask in (sg.tensor([[True, True], [False, False]]), sg.tensor([[0.0, 0.0], [-np.inf, -np.inf]])):
        x.grad = None
        (F.scaled_dot_product_attention(x, x, x, mask) ** 2).sum().backward()
        assert x.grad is not None
        assert np.isfinite(x.grad.numpy()).all()


def test_scale_dropout_and_shared_heads() -> None:
    rng = sg.Generator(0)
    q, k, v = (
        sg.randn(2, 6, 4, 3, generator=rng),
        sg.randn(2, 2, 5, 3, generator=rng),
        sg.randn(2, 2, 5, 3, generator=rng),
    )
    each = [x.unsqueeze(2).expand(2, 2, 3, 5, 3).reshape(2, 6, 5, 3) for x in (k, v)]
    shared = F.scaled_dot_product_attention(q, k, v, enable_gqa=True)
    assert shared.tolist() == F.scaled_dot_product_attention(q, *each).tolist()
    even = F.scaled_dot_product_attention(q, *each, scale=0.0)
    np.testing.assert_allclose(
        even.numpy(), np.broadcast_to(each[1].numpy().mean(2, keepdims=True), even.shape), rtol=1e-5, atol=1e-6
    )
    dropped = F.scaled_dot_product_attention(q, *each, dropout_p=1.0)
    assert not dropped.numpy().any()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda x: F.scaled_dot_product_attention(x, x, x, sg.ones(2, 2), is_causal=True),
            "got both attn_mask and is_causal",
        ),
        (
            lambda x: F.scaled_dot_product_attention(x[0], x, x),
            "must be (..., length, features); got shapes (3,), (2, 3)",
        ),
        (lambda x: F.scaled_dot_product_attention(x, x, x, enable_gqa=True), "query heads must be a multiple of"),
        (lambda x: F.scaled_dot_product_attention(x, x, x, dropout_p=2.0), "p must be between 0 and 1; got 2.0"),
    ],
)
def test_errors(call: Callable[[sg.Tensor], object], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        call(sg.ones(2, 3))


def test_a_mask_of_integers_is_refused() -> None:
    """It would be added to the scores, where 0 and 1 hide nothing."""
    x = sg.ones(2, 3)
    with pytest.raises(TypeError, match="attn_mask has dtype int64: expected bool, or float32 or float64"):
        F.scaled_dot_product_attention(x, x, x, sg.ones(2, 2, dtype="int64"))
    with pytest.raises(TypeError, match="attn_mask: got list, expected a tensor"):
        F.scaled_dot_product_attention(x, x, x, [[True, True]] * 2)  # type: ignore[arg-type]
