"""Special values: PyTorch's table on NumPy, and further cases."""

import math

import numpy as np
import pytest

from stackgrad.tensor import dropout, from_numpy, grad, tensor
from stackgrad.tensor.testing import SPECIAL_CASES

F64 = np.dtype("float64")


@pytest.mark.parametrize("case", SPECIAL_CASES, ids=str)
def test_on_numpy(case):
    case.run("numpy")


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, 4, -1, -2])
@pytest.mark.parametrize("as_tensor", [False, True], ids=["a scalar", "a tensor that requires a gradient"])
def test_all_derivatives_of_a_whole_power(exponent, as_tensor):
    values = np.array([0.0, -0.0, -2.0, 3.0])
    x = tensor(values, requires_grad=True)
    k = tensor(np.full(4, float(exponent)), requires_grad=True) if as_tensor else exponent
    out, factor = x**k, 1
    for order in range(7):
        with np.errstate(divide="ignore"):
            expected = factor * values ** float(exponent - order) if factor else np.zeros(4)
        np.testing.assert_allclose(out.detach().numpy(), expected, rtol=1e-13, err_msg=f"order {order}")
        (out,) = grad(out.sum(), x, create_graph=True)
        factor *= exponent - order


def test_powers_of_scalars_and_arrays_agree():
    for base in (-math.inf, -2.0, -0.0, 0.0, math.inf):
        for exponent in (0.5, -0.5, 2.0, -1.0):
            with np.errstate(all="ignore"):
                expected = np.power(np.full(2, base), np.full(2, exponent))[0]
            for x in (tensor(base, dtype=F64), tensor([base], dtype=F64), tensor([[base] * 3] * 2, dtype=F64)):
                np.testing.assert_array_equal((x**exponent).numpy(), np.full(x.shape, expected))


def test_dropout_multiplies_infinities_as_pytorch_does():
    x = from_numpy(np.full(50, math.inf), requires_grad=True)
    out = dropout(x, 0.5)
    out.sum().backward()
    kept = x.grad.numpy() != 0
    assert 0 < kept.sum() < 50
    assert out.detach().numpy()[kept].tolist() == [math.inf] * kept.sum()
    assert np.isnan(out.detach().numpy()[~kept]).all()
