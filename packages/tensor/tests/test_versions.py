"""Backward detects saved tensors that were overwritten in place."""

import pytest

from stackgrad.tensor import batch_norm, no_grad, ones, sgd_numbers, sgd_step, tensor, zeros


def leaf(*values):
    return tensor(list(values), dtype="float64", requires_grad=True)


@pytest.mark.parametrize(
    "function",
    [
        lambda x, y: x * y,
        lambda x, y: y.log() + x,
        lambda x, y: y.reshape(2, 1) @ y.reshape(1, 2) + x,
        lambda x, y: y[:] ** 2,
    ],
)
def test_a_saved_value_that_was_changed_is_an_error(function):
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    z = y * 1
    out = function(x, z)
    with no_grad():
        z.zero_()
    with pytest.raises(
        RuntimeError, match=r"of shape .* that was changed in place \(it is at version 1, was saved at 0\)"
    ):
        out.sum().backward()


def test_a_saved_result_that_was_changed_is_an_error():
    y = leaf(1.0, 2.0).exp()
    y.detach()[0] = 5.0
    with pytest.raises(RuntimeError, match=r"backward through exp needs a tensor .* changed in place"):
        y.sum().backward()


def test_a_changed_index_is_an_error():
    x, index = leaf(1.0, 2.0), tensor([0, 1])
    y = x[index]
    index[0] = 1
    with pytest.raises(RuntimeError, match="changed in place"):
        y.sum().backward()


def test_changed_statistics_are_an_error():
    out, _, var = batch_norm(leaf(1.0, 2.0).reshape(2, 1), ones(1, dtype="float64"), zeros(1, dtype="float64"))
    var.zero_()
    with pytest.raises(RuntimeError, match=r"backward through BatchNorm needs a tensor .* changed in place"):
        out.sum().backward()


def test_an_optimizer_step_counts_as_a_change():
    x = leaf(1.0, 2.0)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    sgd_step([x], [x.grad], None, sgd_numbers(0.1))
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


def test_tensors_that_were_not_saved_may_change():
    x = leaf(1.0, 2.0)
    y = x * 1
    z = (y + 1).sum()
    with no_grad():
        y.zero_()
    z.backward()
    assert x.grad.tolist() == [1.0, 1.0]
