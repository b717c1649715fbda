"""The matrix product of a fully connected layer, beyond the cases of stackgrad.tensor.testing."""

import numpy as np
import pytest

from stackgrad.tensor import linear, ones, tensor, zeros


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


def test_an_unknown_activation_is_named():
    with pytest.raises(ValueError, match=r'activation must be "relu" or None; got \[\'relu\'\]'):
        linear(ones(2, 3), ones(4, 3), activation=["relu"])
