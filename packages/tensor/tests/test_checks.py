"""The checks that the layers share."""

import numpy as np
import pytest

from stackgrad.tensor import (
    avg_pool1d,
    batch_norm,
    concatenate,
    conv1d,
    conv2d,
    conv_transpose1d,
    conv_transpose2d,
    cross_entropy,
    dropout,
    embedding,
    grad,
    linear,
    log_softmax,
    max_pool2d,
    nll_loss,
    ones,
    softmax,
    stack,
    tensor,
)


@pytest.mark.parametrize("wrong", [np.ones((2, 2)), [[1.0, 2.0]], 5.0])
@pytest.mark.parametrize(
    "function",
    [
        lambda x: linear(x, ones(2, 2)),
        lambda x: linear(ones(2, 2), x),
        lambda x: linear(ones(2, 2), ones(2, 2), x),
        lambda x: conv1d(x, ones(1, 1, 1)),
        lambda x: conv2d(ones(1, 1, 1, 1), x),
        lambda x: conv_transpose2d(ones(1, 1, 1, 1), ones(1, 1, 1, 1), x),
        lambda x: embedding(x, ones(2, 2)),
        lambda x: batch_norm(x, ones(2), ones(2)),
        lambda x: batch_norm(ones(2, 2), x, ones(2)),
        lambda x: dropout(x, 0.5),
        lambda x: max_pool2d(x, 1),
        lambda x: avg_pool1d(x, 1),
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


@pytest.mark.parametrize("function", [conv1d, conv2d, conv_transpose1d, conv_transpose2d, linear])
@pytest.mark.parametrize("name", ["input", "weight", "bias"])
def test_which_argument_is_not_a_tensor(function, name):
    given = {"input": ones(1), "weight": ones(1), "bias": ones(1), name: [1.0]}
    with pytest.raises(TypeError, match=rf"{function.__name__}: {name}: got list, expected a tensor; use tensor"):
        function(**given)
