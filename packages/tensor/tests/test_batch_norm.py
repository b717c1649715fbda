"""Batch normalisation beyond the cases of stackgrad.tensor.testing."""

import numpy as np
import pytest

from stackgrad.tensor import Generator, batch_norm, ones, rand, zeros
from stackgrad.tensor.testing import CLASS_CASES


@pytest.mark.parametrize("case", [case for case in CLASS_CASES if "batch_norm" in case.name], ids=str)
def test_on_numpy(case):
    case.run("numpy")


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


@pytest.mark.parametrize("activation", [None, "relu"])
@pytest.mark.parametrize("shape", [(0, 2), (0, 2, 3), (3, 2, 0), (0, 2, 3, 4)])
def test_batch_norm_of_an_empty_batch(shape, activation):
    x = zeros(*shape, requires_grad=True)
    weight, bias = ones(2, requires_grad=True), zeros(2, requires_grad=True)
    out, mean, var = batch_norm(x, weight, bias, activation=activation)
    out.sum().backward()
    assert out.shape == x.grad.shape == shape
    assert weight.grad.tolist() == bias.grad.tolist() == [0.0, 0.0]
    assert np.isnan(mean.numpy()).all()
    assert np.isnan(var.numpy()).all()
