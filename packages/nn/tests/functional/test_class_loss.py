"""Classification losses, against their definitions, PyTorch and central differences."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import stackgrad.tensor as sg
from stackgrad import nn
from stackgrad.tensor.types import HostArray as Array

REDUCE: dict[str, Callable[[Any], Any]] = {"mean": np.mean, "sum": np.sum, "none": np.asarray}
reductions = st.sampled_from(list(REDUCE))


@given(st.integers(1, 5), st.integers(1, 6), st.integers(0, 2**32 - 1), reductions)
def test_cross_entropy_and_nll_loss_equal_the_definition(batch: int, classes: int, seed: int, reduction: Any) -> None:
    rng = np.random.default_rng(seed)
    x, target = rng.normal(0, 5, (batch, classes)), rng.integers(0, classes, batch)
    log_probabilities = x - np.log(np.exp(x).sum(1, keepdims=True))
    expected = REDUCE[reduction](-log_probabilities[np.arange(batch), target])
    logits, labels = sg.tensor(x), sg.tensor(target)
    np.testing.assert_allclose(
        nn.cross_entropy(logits, labels, reduction=reduction).numpy(), expected, rtol=1e-10, atol=1e-10
    )
    nll = nn.nll_loss(nn.log_softmax(logits, 1), labels, reduction=reduction)
    np.testing.assert_allclose(nll.numpy(), expected, rtol=1e-10, atol=1e-10)


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), reductions)
def test_gradients(seed: int, reduction: Any) -> None:
    rng = np.random.default_rng(seed)
    x = sg.tensor(rng.standard_normal((3, 4)), requires_grad=True)
    target = sg.tensor(rng.integers(0, 4, 3))
    sg.grad_check(lambda x: nn.cross_entropy(x, target, reduction=reduction), x)
    sg.grad_check(lambda x: nn.nll_loss(x, target, reduction=reduction), x)


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


@pytest.mark.parametrize("loss", [nn.cross_entropy, nn.nll_loss])
def test_an_argument_that_is_not_a_tensor(loss: Callable[..., Any]) -> None:
    x = sg.ones(2, 3)
    with pytest.raises(TypeError, match=r"input: got a NumPy array, expected a tensor; use tensor\(...\)"):
        loss(x.numpy(), x)
    with pytest.raises(TypeError, match=r"target: got a NumPy array, expected a tensor; use tensor\(...\)"):
        loss(x, np.zeros(2, np.int64))
    with pytest.raises(TypeError, match=r"target: got list, expected a tensor; use tensor\(...\)"):
        loss(x, [0, 1])


# ------------------------------------------------------------------------- weights, ignored classes, smoothing, shapes

LOGITS = [[0.2, -1.5, 3.0], [0.7, 0.1, -0.4]]
PROBABILITIES = [[0.5, 1.0, 0.0], [0.7, 0.9, 0.25]]
WEIGHT = [1.0, 2.0, 4.0]


def defined(x: Array, target: Array, weight: Array, ignored: int, reduction: str, smoothing: float) -> Any:
    """The definition as a loop over the targets."""
    losses, weights = np.zeros(target.shape), np.zeros(target.shape)
    for at in np.ndindex(target.shape):
        if target[at] == ignored:
            continue
        scores = x[(*at[:1], slice(None), *at[1:])]
        logs = scores - np.log(np.exp(scores).sum())
        own = -weight[target[at]] * logs[target[at]]
        losses[at] = (1 - smoothing) * own - smoothing / len(scores) * (weight * logs).sum()
        weights[at] = weight[target[at]]
    return losses.sum() / weights.sum() if reduction == "mean" else REDUCE[reduction](losses)


@pytest.mark.parametrize("backend", ["numpy", "cpu"])
@settings(max_examples=40)
@given(st.data())
def test_cross_entropy_with_all_its_arguments(backend: str, data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    shape = data.draw(st.sampled_from([(4, 3), (1, 3), (2, 3, 4), (2, 3, 2, 2)]))
    ignored = data.draw(st.sampled_from([-100, -1, 0, 2]))
    smoothing, reduction = data.draw(st.sampled_from([0.0, 0.1, 1.0])), data.draw(reductions)
    weight = rng.uniform(0.5, 2.0, 3) if data.draw(st.booleans()) else None
    x, target = rng.normal(0, 5, shape), rng.integers(0, 3, (shape[0], *shape[2:]))
    target[(0,) * target.ndim] = 1
    target[(target != 1) & (rng.random(target.shape) < 0.3)] = ignored
    options: Any = {"ignore_index": ignored, "reduction": reduction}
    logits, labels = sg.tensor(x, requires_grad=True, backend=backend), sg.tensor(target, backend=backend)
    weights = None if weight is None else sg.tensor(weight, backend=backend)
    found = nn.cross_entropy(logits, labels, weights, label_smoothing=smoothing, **options)
    expected = defined(x, target, np.ones(3) if weight is None else weight, ignored, reduction, smoothing)
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-9, atol=1e-9)
    if not smoothing:
        nll = nn.nll_loss(nn.log_softmax(logits, 1), labels, weights, **options)
        np.testing.assert_allclose(nll.detach().numpy(), expected, rtol=1e-9, atol=1e-9)
    sg.grad_check(lambda x: nn.cross_entropy(x, labels, weights, label_smoothing=smoothing, **options), logits)


def test_values_of_pytorch() -> None:
    x, t, w = sg.tensor(LOGITS, dtype="float64"), sg.tensor([2, 0]), sg.tensor(WEIGHT, dtype="float64")
    p = sg.tensor(PROBABILITIES, dtype="float64")
    found = [
        nn.cross_entropy(x, t),
        nn.cross_entropy(x, t, w),
        nn.cross_entropy(x, t, w, label_smoothing=0.1),
        nn.cross_entropy(x, t, ignore_index=0),
        nn.cross_entropy(x, p),
        nn.cross_entropy(x, p, w, label_smoothing=0.1),
    ]
    expected = [0.35080849775834955, 0.18199373227512194, 0.3125364855050557, 0.06945055528630353]
    expected += [3.9943418736778438, 7.1066493342035795]
    np.testing.assert_allclose([loss.item() for loss in found], expected, rtol=1e-12)


@pytest.mark.parametrize("reduction", REDUCE)
def test_a_one_hot_target_equals_its_class(reduction: Any) -> None:
    rng = np.random.default_rng(3)
    x, target = sg.tensor(rng.standard_normal((2, 3, 4))), rng.integers(0, 3, (2, 4))
    one_hot = sg.tensor(np.eye(3)[target].transpose(0, 2, 1))
    options: Any = {"reduction": reduction, "label_smoothing": 0.2}
    by_class = nn.cross_entropy(x, sg.tensor(target), **options).numpy()
    np.testing.assert_allclose(nn.cross_entropy(x, one_hot, **options).numpy(), by_class, rtol=1e-12)


def test_one_example_without_a_batch() -> None:
    x = sg.tensor(LOGITS[0])
    expected = nn.cross_entropy(x.unsqueeze(0), sg.tensor([2])).item()
    assert nn.cross_entropy(x, sg.tensor(2)).item() == pytest.approx(expected)
    assert nn.cross_entropy(x, sg.tensor(2), reduction="none").shape == ()
    assert nn.cross_entropy(x, sg.tensor([0.0, 0.0, 1.0])).item() == pytest.approx(expected)


@pytest.mark.parametrize("loss", [nn.cross_entropy, nn.nll_loss])
def test_ignored_targets_have_no_gradient(loss: Callable[..., sg.Tensor]) -> None:
    x = sg.tensor(LOGITS, requires_grad=True)
    loss(x, sg.tensor([-100, 0])).backward()
    assert x.grad is not None
    assert x.grad[0].tolist() == [0.0, 0.0, 0.0]
    assert x.grad[1].tolist() != [0.0, 0.0, 0.0]
    nothing = sg.tensor([-100, -100])
    assert np.isnan(loss(x, nothing).item())
    assert loss(x, nothing, reduction="sum").item() == 0
    with pytest.raises(ValueError, match="target holds class -1: expected 0 to 2"):
        loss(x, sg.tensor([-100, -1]))
    with pytest.raises(ValueError, match="target holds class -100: expected 0 to 2"):
        loss(x, sg.tensor([-100, 0]), ignore_index=1)


def test_replays_ignore_targets_that_recording_did_not_see() -> None:
    weight = sg.tensor(LOGITS, requires_grad=True, backend="cpu")

    def step(target: sg.Tensor) -> sg.Tensor:
        weight.grad = None
        loss = nn.cross_entropy(weight, target)
        loss.backward()
        return loss.detach()

    captured = sg.capture(step)
    for target in ([2, 0], [1, 1], [0, -100], [2, 2], [-100, 1]):
        expected = step(labels := sg.tensor(target, backend="cpu")).tolist(), weight.grad.tolist()
        assert (captured(labels).tolist(), weight.grad.tolist()) == expected


def test_arguments_of_class_losses() -> None:
    x = sg.tensor(LOGITS)
    with pytest.raises(ValueError, match=r"weight must have shape \(classes,\), one for each; got \(2,\) for input"):
        nn.cross_entropy(x, sg.tensor([0, 1]), sg.ones(2))
    with pytest.raises(ValueError, match=r"label_smoothing must be between 0 and 1; got 1.5"):
        nn.cross_entropy(x, sg.tensor([0, 1]), label_smoothing=1.5)
    with pytest.raises(ValueError, match=re.escape("input of shape (2, 3, 4) and target of shape (2, 3)")):
        nn.cross_entropy(sg.ones(2, 3, 4), sg.zeros(2, 3, dtype="int64"))
    with pytest.raises(TypeError, match="weight: got str, expected a tensor"):
        nn.cross_entropy(x, sg.tensor([0, 1]), "sum")  # type: ignore[arg-type]
