"""Linear, batch normalisation and dropout beyond the cases of stackgrad.tensor.testing."""

import numpy as np
import pytest

from stackgrad.tensor import (
    Generator,
    avg_pool2d,
    batch_norm,
    concatenate,
    conv1d,
    conv2d,
    cross_entropy,
    dropout,
    grad,
    linear,
    log_softmax,
    max_pool2d,
    nll_loss,
    ones,
    rand,
    softmax,
    stack,
    tensor,
    zeros,
)
from stackgrad.tensor.testing import CLASS_CASES


@pytest.mark.parametrize("case", [c for c in CLASS_CASES if "batch_norm" in c.name or "dropout" in c.name], ids=str)
def test_on_numpy(case):
    case.run("numpy")


@pytest.mark.parametrize("shape", [(4,), (2, 4), (2, 3, 4), (0, 4), (2, 0, 4), (1, 1, 1, 4)])
@pytest.mark.parametrize("with_bias", [True, False])
def test_linear_takes_any_leading_dimensions(shape, with_bias):
    rng = np.random.default_rng(0)
    x, weight, bias = rng.normal(size=shape), rng.normal(size=(5, 4)), rng.normal(size=5) * with_bias
    found = linear(tensor(x), tensor(weight), tensor(bias) if with_bias else None)
    assert found.shape == (*shape[:-1], 5)
    np.testing.assert_allclose(found.numpy(), x @ weight.T + bias, rtol=1e-12)


def test_linear_without_inputs_is_the_bias():
    assert linear(zeros(2, 3, 0), zeros(4, 0), ones(4)).tolist() == np.ones((2, 3, 4)).tolist()


@pytest.mark.parametrize(
    ("x", "weight", "bias", "error", "message"),
    [
        (zeros(2, 3), zeros(4, 2), None, ValueError, r"input of shape \(2, 3\) and weight of shape \(4, 2\): expected"),
        (zeros(), zeros(4, 2), None, ValueError, r"input of shape \(\) and weight"),
        (zeros(2, 3), zeros(3), None, ValueError, r"weight of shape \(3,\)"),
        (zeros(2, 3), zeros(4, 3), zeros(3), ValueError, r"bias of shape \(3,\): expected \(4,\), one for each output"),
        (zeros(2, 3), zeros(4, 3, dtype="float64"), None, TypeError, "input has dtype float32 and weight float64"),
        (zeros(2, 3, dtype="int64"), zeros(4, 3, dtype="int64"), None, TypeError, "linear: input of dtype int64"),
    ],
)
def test_linear_names_invalid_arguments(x, weight, bias, error, message):
    with pytest.raises(error, match=message):
        linear(x.to("numpy"), weight.to("numpy"), bias if bias is None else bias.to("numpy"))


@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 5), (2, 3, 4, 5)])
def test_batch_norm_normalises_each_channel(shape):
    x = rand(shape, dtype="float64", generator=Generator(1)) * 5 + 2
    out, mean, var = batch_norm(x, ones(3, dtype="float64"), zeros(3, dtype="float64"), 1e-12)
    rest = tuple(i for i in range(len(shape)) if i != 1)
    np.testing.assert_allclose(out.mean(rest).numpy(), 0, atol=1e-12)
    np.testing.assert_allclose(out.var(rest, correction=0).numpy(), 1, rtol=1e-9)
    np.testing.assert_allclose(mean.numpy(), x.numpy().mean(axis=rest))
    np.testing.assert_allclose(var.numpy(), x.numpy().var(axis=rest))
    assert out.shape == shape
    assert not mean.requires_grad


@pytest.mark.parametrize(
    ("x", "weight", "bias", "error", "message"),
    [
        (zeros(4, 3), ones(2), zeros(2), ValueError, r"input of shape \(4, 3\), weight \(2,\), bias \(2,\): expected"),
        (zeros(4, 3), ones(3), zeros(2), ValueError, r"bias \(2,\)"),
        (zeros(4), ones(4), zeros(4), ValueError, r"input of shape \(4,\)"),
        (
            zeros(1, 3),
            ones(3),
            zeros(3),
            ValueError,
            r"input of shape \(1, 3\) has 1 value per channel: expected 2 or more, or none",
        ),
        (zeros(3, 0, 2), zeros(0), zeros(0), ValueError, "has no channels: expected 1 or more"),
        (zeros(4, 3), ones(3, dtype="float64"), zeros(3), TypeError, "input has dtype float32 and weight float64"),
        (
            zeros(4, 3, dtype="int64"),
            ones(3, dtype="int64"),
            zeros(3, dtype="int64"),
            TypeError,
            "batch_norm: input of dtype int64: expected float32 or float64",
        ),
    ],
)
def test_batch_norm_names_invalid_arguments(x, weight, bias, error, message):
    with pytest.raises(error, match=message):
        batch_norm(x.to("numpy"), weight.to("numpy"), bias.to("numpy"))


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("shape", [(0, 2), (0, 2, 3), (3, 2, 0), (0, 2, 3, 4)])
def test_batch_norm_of_an_empty_batch(shape, relu):
    x = zeros(*shape, requires_grad=True)
    weight, bias = ones(2, requires_grad=True), zeros(2, requires_grad=True)
    out, mean, var = batch_norm(x, weight, bias, relu=relu)
    out.sum().backward()
    assert out.shape == x.grad.shape == shape
    assert weight.grad.tolist() == bias.grad.tolist() == [0.0, 0.0]
    assert np.isnan(mean.numpy()).all()
    assert np.isnan(var.numpy()).all()


def test_dropout_keeps_the_mean_and_scales():
    x = ones(1 << 16)
    out = dropout(x, 0.25, Generator(1))
    np.testing.assert_allclose(np.unique(out.numpy()), [0, 4 / 3], rtol=1e-6)
    assert abs(out.mean().item() - 1) < 5 * np.sqrt(1 / 3 / (1 << 16))
    assert dropout(x, 0.0).tolist() == x.tolist()
    assert dropout(x, 1.0).sum().item() == 0.0


def test_the_mask_of_dropout_depends_on_the_index_alone():
    x = ones(6, 4)
    straight = dropout(x, 0.5, Generator(7))
    turned = dropout(ones(4, 6).T, 0.5, Generator(7))
    assert straight.tolist() == turned.tolist()
    assert dropout(x, 0.5, Generator(8)).tolist() != straight.tolist()


def test_the_gradient_of_dropout_goes_through_its_mask():
    x = ones(100, requires_grad=True)
    out = dropout(x, 0.5, Generator(3))
    out.sum().backward()
    assert x.grad.tolist() == out.tolist()


@pytest.mark.parametrize(
    ("dtype", "rate", "error", "message"),
    [
        ("float32", -0.1, ValueError, "dropout: rate -0.1: expected 0 to 1"),
        ("float32", 1.5, ValueError, "dropout: rate 1.5"),
        ("float32", float("nan"), ValueError, "dropout: rate nan"),
        ("int64", 0.5, TypeError, "dropout: input of dtype int64: expected float32 or float64"),
    ],
)
def test_dropout_names_invalid_arguments(dtype, rate, error, message):
    with pytest.raises(error, match=message):
        dropout(ones(3, dtype=dtype), rate)


@pytest.mark.parametrize("wrong", [np.ones((2, 2)), [[1.0, 2.0]], 5.0])
@pytest.mark.parametrize(
    "function",
    [
        lambda x: linear(x, ones(2, 2)),
        lambda x: linear(ones(2, 2), x),
        lambda x: linear(ones(2, 2), ones(2, 2), x),
        lambda x: conv1d(x, ones(1, 1, 1)),
        lambda x: conv2d(ones(1, 1, 1, 1), x),
        lambda x: batch_norm(x, ones(2), ones(2)),
        lambda x: batch_norm(ones(2, 2), x, ones(2)),
        lambda x: dropout(x, 0.5),
        lambda x: max_pool2d(x, (1, 1), (1, 1)),
        lambda x: avg_pool2d(x, (1, 1), (1, 1)),
        lambda x: softmax(x, 0),
        lambda x: log_softmax(x, 0),
        lambda x: cross_entropy(x, tensor([0, 1])),
        lambda x: cross_entropy(ones(2, 2), x),
        lambda x: nll_loss(ones(2, 2), x),
        lambda x: stack([ones(2, 2), x]),
        lambda x: concatenate([x, ones(2, 2)]),
        lambda x: grad(ones(1, requires_grad=True).sum(), [x]),
    ],
)
def test_arguments_that_are_not_tensors_are_named(function, wrong):
    kind = "a NumPy array" if isinstance(wrong, np.ndarray) else type(wrong).__name__
    with pytest.raises(TypeError, match=rf"got {kind}, expected (a tensor|tensors); use tensor\(...\)"):
        function(wrong)
