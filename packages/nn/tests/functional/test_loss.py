"""Elementwise losses, against their definitions, PyTorch and central differences."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import stackgrad.tensor as sg
from stackgrad import nn
from stackgrad.tensor.types import HostArray as Array

F = nn.functional
REDUCE: dict[str, Callable[[Any], Any]] = {"mean": np.mean, "sum": np.sum, "none": np.asarray}
X = [[0.2, -1.5, 3.0], [0.7, 0.1, -0.4]]
Y = [[0.5, 1.0, 0.0], [0.7, 0.9, 0.25]]


def huber(d: Array, delta: float) -> Array:
    return np.where(np.abs(d) < delta, 0.5 * d * d, delta * (np.abs(d) - 0.5 * delta))


LOSSES: dict[str, tuple[Callable[..., sg.Tensor], Callable[[Array, Array], Array]]] = {
    "l1_loss": (F.l1_loss, lambda x, y: np.abs(x - y)),
    "mse_loss": (F.mse_loss, lambda x, y: (x - y) ** 2),
    "huber_loss": (lambda x, y, **o: F.huber_loss(x, y, delta=0.5, **o), lambda x, y: huber(x - y, 0.5)),
    "smooth_l1_loss": (lambda x, y, **o: F.smooth_l1_loss(x, y, beta=0.5, **o), lambda x, y: huber(x - y, 0.5) / 0.5),
    "smooth_l1_loss_0": (lambda x, y, **o: F.smooth_l1_loss(x, y, beta=0, **o), lambda x, y: np.abs(x - y)),
    "binary_cross_entropy": (
        lambda x, y, **o: F.binary_cross_entropy(x.sigmoid(), y, **o),
        lambda x, y: y * np.log1p(np.exp(-x)) + (1 - y) * np.log1p(np.exp(x)),
    ),
    "binary_cross_entropy_with_logits": (
        F.binary_cross_entropy_with_logits,
        lambda x, y: y * np.log1p(np.exp(-x)) + (1 - y) * np.log1p(np.exp(x)),
    ),
    "kl_div": (F.kl_div, lambda x, y: y * (np.log(y) - x)),
    "kl_div_logs": (lambda x, y, **o: F.kl_div(x, y.log(), log_target=True, **o), lambda x, y: y * (np.log(y) - x)),
}


@given(st.sampled_from(sorted(LOSSES)), st.sampled_from(sorted(REDUCE)), st.integers(0, 2**32 - 1))
def test_losses_equal_their_definitions(name: str, reduction: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(0, 2, (3, 4)), rng.uniform(0.05, 0.95, (3, 4))
    loss, definition = LOSSES[name]
    for backend in ("numpy", "cpu"):
        found = loss(sg.tensor(x, backend=backend), sg.tensor(y, backend=backend), reduction=reduction)
        np.testing.assert_allclose(found.numpy(), REDUCE[reduction](definition(x, y)), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_gradients(name: str) -> None:
    rng = np.random.default_rng(1)
    x, y = (sg.tensor(a, requires_grad=True) for a in (rng.normal(0, 2, (2, 3)), rng.uniform(0.1, 0.9, (2, 3))))
    sg.grad_check(lambda x, y: LOSSES[name][0](x, y, reduction="none"), x, y)

    def slope(x: sg.Tensor) -> sg.Tensor:
        (found,) = sg.grad((LOSSES[name][0](x, y.detach(), reduction="none") ** 2).sum(), x, create_graph=True)
        return found

    sg.grad_check(slope, x)


def test_values_of_pytorch() -> None:
    x, y = sg.tensor(X, dtype="float64"), sg.tensor(Y, dtype="float64")
    p, w = x.sigmoid(), sg.tensor([1.0, 2.0, 3.0], dtype="float64")
    found = [
        F.huber_loss(x, y, delta=0.5),
        F.smooth_l1_loss(x, y, beta=0.5),
        F.binary_cross_entropy(p, y),
        F.binary_cross_entropy_with_logits(x, y, w, pos_weight=sg.tensor([0.5, 1.0, 2.0], dtype="float64")),
        F.kl_div(p.log(), y, reduction="batchmean"),
        F.kl_div(p.log(), y, reduction="sum", log_target=True),
    ]
    expected = [0.5033333333333333, 1.0066666666666666, 1.221456243382845, 2.9003107018575727]
    expected += [1.0266398243252346, 16.715802755245416]
    np.testing.assert_allclose([loss.item() for loss in found], expected, rtol=1e-12)


def slopes(loss: Callable[..., sg.Tensor], x: list[float], y: list[float]) -> tuple[list[float], list[float]]:
    """The losses of each element, and their gradients for x."""
    leaf = sg.tensor(x, requires_grad=True)
    losses = loss(leaf, sg.tensor(y), reduction="none")
    losses.sum().backward()
    assert leaf.grad is not None
    return losses.tolist(), leaf.grad.tolist()


def test_the_gradient_of_an_absolute_value_is_0_at_0() -> None:
    assert slopes(F.l1_loss, [1.0, 2.0, -np.inf], [1.0, 1.0, 0.0]) == ([0.0, 1.0, np.inf], [0.0, 1.0, -1.0])


@pytest.mark.parametrize("name", ["huber_loss", "smooth_l1_loss"])
def test_the_gradient_is_constant_far_from_the_target(name: str) -> None:
    scale = 1.0 if name == "huber_loss" else 2.0
    losses, found = slopes(LOSSES[name][0], [0.5, 1e30, -np.inf, 0.0], [0.0, 0.0, 0.0, 0.0])
    assert losses == pytest.approx([0.125 * scale, 5e29 * scale, np.inf, 0.0])
    assert found == [0.5 * scale, 0.5 * scale, -0.5 * scale, 0.0]


def test_probabilities_of_0_and_1_have_finite_losses_and_gradients() -> None:
    losses, found = slopes(F.binary_cross_entropy, [0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0])
    assert losses == [0.0, 100.0, 100.0, 0.0]
    assert found == pytest.approx([0.0, -1e12, 1e12, 0.0])


def test_large_logits_are_accurate() -> None:
    losses, found = slopes(F.binary_cross_entropy_with_logits, [-1000.0, -1000.0, 1000.0, 1000.0], [0.0, 1.0, 0.0, 1.0])
    assert losses == [0.0, 1000.0, 1000.0, 0.0]
    assert found == [0.0, -1.0, 1.0, 0.0]


def test_a_target_of_0_has_loss_0() -> None:
    assert slopes(F.kl_div, [-1.0, -2.0], [0.0, 1.0]) == ([0.0, 2.0], [0.0, -1.0])


@pytest.mark.parametrize("name", LOSSES)
def test_arguments(name: str) -> None:
    loss = LOSSES[name][0]
    with pytest.raises(ValueError, match=re.escape("needs input and target of the same shape; got (2, 1) and (2,)")):
        loss(sg.ones(2, 1), sg.ones(2))
    with pytest.raises(ValueError, match=r'reduction must be "mean", "sum",? .*"; got \'average\''):
        loss(sg.full(2, 0.5), sg.full(2, 0.5), reduction="average")


@pytest.mark.parametrize("loss", [F.l1_loss, F.mse_loss, F.huber_loss, F.smooth_l1_loss, F.binary_cross_entropy])
def test_an_argument_that_is_not_a_tensor(loss: Callable[..., Any]) -> None:
    x = sg.ones(2, 3)
    with pytest.raises(TypeError, match=r"input: got a NumPy array, expected a tensor; use tensor\(...\)"):
        loss(x.numpy(), x)
    with pytest.raises(TypeError, match=r"target: got list, expected a tensor; use tensor\(...\)"):
        loss(x, [0, 1])


def test_arguments_out_of_range() -> None:
    with pytest.raises(ValueError, match="delta must be above 0; got 0"):
        F.huber_loss(sg.ones(2), sg.ones(2), delta=0)
    with pytest.raises(ValueError, match="beta must be 0 or more; got -1"):
        F.smooth_l1_loss(sg.ones(2), sg.ones(2), beta=-1)
