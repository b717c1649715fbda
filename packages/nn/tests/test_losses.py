"""Losses against NumPy and central differences."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import stackgrad.tensor as sg
from stackgrad import nn

REDUCE: dict[str, Callable[[Any], Any]] = {"mean": np.mean, "sum": np.sum, "none": np.asarray}
reductions = st.sampled_from(list(REDUCE))


@given(st.integers(1, 5), st.integers(1, 6), st.integers(0, 2**32 - 1), reductions)
def test_cross_entropy_and_nll_loss_equal_the_definition(batch: int, classes: int, seed: int, reduction: Any) -> None:
    rng = np.random.default_rng(seed)
    x, target = rng.normal(0, 5, (batch, classes)), rng.integers(0, classes, batch)
    log_probabilities = x - np.log(np.exp(x).sum(1, keepdims=True))
    expected = REDUCE[reduction](-log_probabilities[np.arange(batch), target])
    logits, labels = sg.tensor(x), sg.tensor(target)
    np.testing.assert_allclose(nn.cross_entropy(logits, labels, reduction).numpy(), expected, rtol=1e-10, atol=1e-10)
    nll = nn.nll_loss(nn.log_softmax(logits, 1), labels, reduction)
    np.testing.assert_allclose(nll.numpy(), expected, rtol=1e-10, atol=1e-10)


@given(st.integers(0, 2**32 - 1), reductions)
def test_mse_loss_equals_the_definition(seed: int, reduction: Any) -> None:
    x, y = np.random.default_rng(seed).standard_normal((2, 3, 4))
    expected = REDUCE[reduction]((x - y) ** 2)
    np.testing.assert_allclose(nn.mse_loss(sg.tensor(x), sg.tensor(y), reduction).numpy(), expected, rtol=1e-12)


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), reductions)
def test_gradients(seed: int, reduction: Any) -> None:
    rng = np.random.default_rng(seed)
    x = sg.tensor(rng.standard_normal((3, 4)), requires_grad=True)
    target = sg.tensor(rng.integers(0, 4, 3))
    other = sg.tensor(rng.standard_normal((3, 4)), requires_grad=True)
    sg.grad_check(lambda x: nn.cross_entropy(x, target, reduction), x)
    sg.grad_check(lambda x: nn.nll_loss(x, target, reduction), x)
    sg.grad_check(lambda x, y: nn.mse_loss(x, y, reduction), x, other)


def test_large_logits_do_not_overflow() -> None:
    assert nn.cross_entropy(sg.tensor([[1e4, 0.0]]), sg.tensor([1])).item() == 1e4


@pytest.mark.parametrize("loss", [nn.cross_entropy, nn.nll_loss])
def test_targets_are_checked(loss: Callable[..., Any]) -> None:
    x = sg.ones(2, 3)
    with pytest.raises(ValueError, match="target holds class 3: expected 0 to 2"):
        loss(x, sg.tensor([0, 3]))
    with pytest.raises(ValueError, match="target holds class -1: expected 0 to 2"):
        loss(x, sg.tensor([-1, 0]))
    with pytest.raises(TypeError, match="target of float32: expected"):
        loss(x, sg.tensor([0.0, 1.0]))
    with pytest.raises(ValueError, match=re.escape("target of shape (3,): expected (n, classes) and (n,)")):
        loss(x, sg.tensor([0, 1, 2]))
    with pytest.raises(ValueError, match=re.escape("of shape (2,) and target of shape (2,): expected (n, classes)")):
        loss(sg.ones(2), sg.tensor([0, 1]))
    with pytest.raises(ValueError, match='reduction must be "mean", "sum" or "none"; got \'average\''):
        loss(x, sg.tensor([0, 1]), reduction="average")


def test_mse_loss_does_not_broadcast() -> None:
    with pytest.raises(ValueError, match=re.escape("needs input and target of one shape; got (2, 1) and (2,)")):
        nn.mse_loss(sg.ones(2, 1), sg.ones(2))


@pytest.mark.parametrize("loss", [nn.cross_entropy, nn.nll_loss, nn.mse_loss])
def test_what_is_no_tensor(loss: Callable[..., Any]) -> None:
    x = sg.ones(2, 3)
    with pytest.raises(TypeError, match=r"input must be a Tensor; got ndarray: use .*from_numpy\(...\)"):
        loss(x.numpy(), x)
    with pytest.raises(TypeError, match=r"target must be a Tensor; got ndarray: use .*from_numpy\(...\)"):
        loss(x, np.zeros(2, np.int64))
    with pytest.raises(TypeError, match=r"target must be a Tensor; got list: use stackgrad.tensor.tensor\(...\)"):
        loss(x, [0, 1])
