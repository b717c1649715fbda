"""Composed elementwise methods, and the names of torch.autograd and torch.linalg."""

import math

import numpy as np
import pytest

import stackgrad.tensor as sg
from stackgrad.tensor import linalg, tensor


def test_values():
    x, y = tensor([1.0, 2.0]), tensor([3.0, 5.0])
    assert x.lerp(y, 0.5).tolist() == [2.0, 3.5]
    assert sg.lerp(x, y, tensor([0.0, 1.0])).tolist() == [1.0, 5.0]
    assert x.addcmul(x, y, value=2).tolist() == [7.0, 22.0]
    assert x.addcmul(x, 2.0).tolist() == [3.0, 6.0]
    assert x.addcdiv(y, x).tolist() == [4.0, 4.5]
    assert x.addcdiv(y, x, value=2).tolist() == [7.0, 7.0]
    assert tensor([0, 3, -1]).exp2().tolist() == [1.0, 8.0, 0.5]
    assert tensor([1, 3, 6, 10]).diff().tolist() == [2, 3, 4]
    assert tensor([[1.0, 3.0], [6.0, 10.0]]).diff(dim=0).tolist() == [[5.0, 7.0]]
    assert tensor([1, 3, 6, 10]).diff(n=2).tolist() == [1, 1]
    assert tensor([1, 3]).diff(n=0).tolist() == [1, 3]
    assert tensor([1, 3]).diff(n=5).shape == (0,)
    assert y.clamp_min(4).tolist() == [4.0, 5.0]
    assert y.clamp_max(tensor(4.0)).tolist() == [3.0, 4.0]
    with pytest.raises(TypeError, match="lerp of int64 to int64: expected float32 or float64, both the same"):
        tensor([1]).lerp(tensor([2]), 0.5)
    with pytest.raises(TypeError, match="lerp: end: got float"):
        x.lerp(1.0, 0.5)


def test_logaddexp():
    x = tensor([math.inf, -math.inf, 1.0, 1000.0], requires_grad=True)
    out = x.logaddexp(tensor([[math.inf, -math.inf, 1.0, 0.0]]))
    np.testing.assert_allclose(out.detach().numpy(), [[math.inf, -math.inf, 1 + math.log(2), 1000]], rtol=1e-6)
    out[0, 2:].sum().backward()
    np.testing.assert_allclose(x.grad.numpy()[2:], [0.5, 1])


def test_logit():
    x = tensor([0.0, 0.5, 1.0, 2.0])
    np.testing.assert_array_equal(x.logit().numpy(), [-math.inf, 0, math.inf, math.nan])
    np.testing.assert_allclose(x.logit(eps=0.1).numpy(), [-2.1972246, 0, 2.1972246, 2.1972246], atol=1e-6)


def test_nan_to_num():
    x = tensor([1.0, math.nan, math.inf, -math.inf], requires_grad=True)
    most = float(np.finfo(np.float32).max)
    assert x.nan_to_num().tolist() == [1.0, 0.0, most, -most]
    assert x.nan_to_num(nan=7, posinf=1, neginf=-1).tolist() == [1.0, 7.0, 1.0, -1.0]
    x.nan_to_num().sum().backward()
    assert x.grad.tolist() == [1.0, 0.0, 0.0, 0.0]
    assert tensor([1]).nan_to_num().tolist() == [1]


def test_autograd():
    x, y = tensor(2.0, requires_grad=True), tensor(1.0, requires_grad=True)
    (g,) = sg.autograd.grad(outputs=x**3, inputs=x, create_graph=True, retain_graph=True, only_inputs=True)
    assert g.item() == 12.0
    assert sg.autograd.grad(g, (x, y), allow_unused=True)[1] is None
    with pytest.raises(ValueError, match="grad with only_inputs=False: expected True"):
        sg.grad(x * 1, x, only_inputs=False)
    assert sg.autograd.Function is sg.Function


def test_norms_of_linalg():
    x = tensor([[3.0, 4.0], [0.0, 0.0]])
    assert linalg.vector_norm(x).item() == linalg.norm(x).item() == linalg.norm(x, "fro").item() == 5.0
    assert linalg.vector_norm(x, ord=1, dim=1, keepdim=True).tolist() == [[7.0], [0.0]]
    assert linalg.norm(x, 1, dim=1).tolist() == [7.0, 0.0]
    assert linalg.norm(x[0], math.inf).item() == 4.0
    with pytest.raises(ValueError, match=r"linalg.norm with ord 1 of a matrix: expected None or 'fro'"):
        linalg.norm(x, 1)


def test_arguments_that_must_be_tensors():
    array = np.zeros(2)
    shared = sg.as_tensor(array)
    array[0] = 1
    assert shared.tolist() == [1.0, 0.0]
    assert sg.as_tensor(shared) is shared
    assert sg.as_tensor([1, 2], dtype="float64").dtype == "float64"
    assert sg.asarray(shared, dtype=sg.float32).dtype == "float32"
    assert sg.is_tensor(shared)
    assert not sg.is_tensor(array)
