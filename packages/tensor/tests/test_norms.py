"""Norms, deviations, sums of exponentials, and composed reductions: PyTorch's values and gradients."""

import math

import numpy as np
import pytest

from stackgrad.tensor import grad, logsumexp, norm, std, tensor, zeros

X = [[0.0, 0.0], [1.0, 2.0], [0.0, 3.0], [-2.0, -2.0]]


# Values and gradients of PyTorch 2.13.
@pytest.mark.parametrize(
    ("p", "values", "gradients"),
    [
        (2, [0, 2.236068, 3, 2.828427], [[0, 0], [0.4472136, 0.8944272], [0, 1], [-0.7071068, -0.7071068]]),
        (1, [0, 3, 3, 4], [[0, 0], [1, 1], [0, 1], [-1, -1]]),
        (3, [0, 2.0800838, 3, 2.5198421], [[0, 0], [0.2311204, 0.9244817], [0, 1], [-0.6299605, -0.6299605]]),
        (0.5, [0, 5.8284271, 3, 8], [[0, 0], [2.4142137, 1.7071068], [0, 1], [-2, -2]]),
        (-1, [0, 2 / 3, 0, 1], [[0, 0], [4 / 9, 1 / 9], [0, 0], [-0.25, -0.25]]),
        (math.inf, [0, 2, 3, 2], [[0, 0], [0, 1], [0, 1], [-0.5, -0.5]]),
        (-math.inf, [0, 1, 0, 2], [[0, 0], [1, 0], [0, 0], [-0.5, -0.5]]),
        (0, [0, 2, 1, 2], None),
        ("fro", [0, 2.236068, 3, 2.828427], None),
    ],
)
def test_norms(p, values, gradients):
    x = tensor(X, dtype="float64", requires_grad=True)
    out = x.norm(p, dim=1)
    np.testing.assert_allclose(out.detach().numpy(), values, rtol=1e-6)
    if gradients is not None:
        out.sum().backward()
        np.testing.assert_allclose(x.grad.numpy(), gradients, rtol=1e-6)


def test_norms_of_all_and_of_no_elements():
    assert norm(tensor([3.0, 4.0])).item() == 5.0
    assert tensor([[3.0], [4.0]]).norm(keepdim=True).shape == (1, 1)
    assert tensor([[3.0], [4.0]]).norm(dim=(0, 1)).item() == 5.0
    assert tensor(-3.0).norm().item() == tensor(-3.0).norm(1).item() == 3.0
    assert zeros(0).norm().item() == 0.0
    assert tensor([3, 4]).norm(dtype="float32").item() == 5.0
    with pytest.raises(TypeError, match="norm of int64: expected float32 or float64"):
        tensor([3, 4]).norm()
    with pytest.raises(ValueError, match="norm with p 'nuc': expected a number or 'fro'"):
        zeros(2, 2).norm("nuc")


def test_a_gradient_penalty_has_a_gradient():
    x = tensor([[3.0, 4.0], [0.0, 0.0]], dtype="float64", requires_grad=True)
    (first,) = grad((x.norm(2, dim=1) - 1).square().sum(), x, create_graph=True)
    np.testing.assert_allclose(first.detach().numpy(), [[4.8, 6.4], [0, 0]])
    (second,) = grad((first * tensor([1.0, 2.0], dtype="float64")).sum(), x)
    np.testing.assert_allclose(second.numpy(), [[2.128, 3.904], [0, 0]])


def test_std():
    x = tensor([[1.0, 3.0], [2.0, 2.0]], requires_grad=True)
    out = std(x, 1)
    np.testing.assert_allclose(out.detach().numpy(), [math.sqrt(2), 0], rtol=1e-6)
    out.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [[-math.sqrt(0.5), math.sqrt(0.5)], [0, 0]], rtol=1e-6)
    assert tensor([1.0, 3.0]).std(correction=0).item() == tensor([1.0, 3.0]).std(ddof=0).item() == 1.0
    assert tensor([1.0, 3.0]).std(unbiased=False).item() == 1.0
    assert tensor([1.0, 3.0]).var(0, unbiased=True).item() == tensor([1.0, 3.0]).var(0, True).item() == 2.0
    assert x.std(0, keepdim=True).shape == x.std(axis=0, keepdims=True).shape == (1, 2)
    with pytest.raises(TypeError, match="var of dtype int64"):
        tensor([1, 2]).std()


def test_logsumexp():
    x = tensor([[1000.0, 1000.0], [-math.inf, 0.0], [-math.inf, -math.inf], [math.inf, 1.0]], requires_grad=True)
    out = logsumexp(x, 1)
    np.testing.assert_allclose(out.detach().numpy(), [1000 + math.log(2), 0, -math.inf, math.inf], rtol=1e-6)
    out.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [[0.5, 0.5], [0, 1], [math.nan, math.nan], [math.nan, 0]])
    assert x.logsumexp((0, 1), keepdim=True).shape == (1, 1)
    assert zeros(0).logsumexp(0).item() == -math.inf
    assert tensor([0, 0]).logsumexp(0).dtype == "float32"


def test_softmax_is_a_method():
    x = tensor([[1.0, 1.0], [0.0, -math.inf]])
    assert x.softmax(1).tolist() == [[0.5, 0.5], [1.0, 0.0]]
    assert x.log_softmax(dim=-1)[1].tolist() == [0.0, -math.inf]
    assert tensor([1, 1]).softmax(0, dtype="float64").tolist() == [0.5, 0.5]


def test_any_and_all():
    x = tensor([[0.0, 2.0], [math.nan, 1.0]])
    assert x.any(1).tolist() == [True, True]
    assert x.all(1).tolist() == [False, True]
    assert x.all(dim=0, keepdim=True).tolist() == [[False, True]]
    assert x.any().dtype == "bool"
    assert zeros(0).all().item() is True
    assert zeros(2, 0).any(1).tolist() == [False, False]
    assert zeros(2, 0).all(-1, keepdim=True).tolist() == [[True], [True]]
    assert tensor(0).any().item() is False
    assert x.any(axis=(0, 1)).item() is True
    assert x.any(()).tolist() == x.all(dim=()).tolist() == [[False, True], [True, True]]
    flags = x > 1
    assert flags.any(()) is not flags


def test_extremes_that_share_the_gradient():
    x = tensor([[2.0, 2.0], [1.0, 0.0]], requires_grad=True)
    x.amax(1).sum().backward()
    assert x.grad.tolist() == [[0.5, 0.5], [1.0, 0.0]]
    x.grad = None
    x.amin(dim=(0, 1), keepdim=True).sum().backward()
    assert x.grad.tolist() == [[0.0, 0.0], [0.0, 1.0]]


def test_counts_and_reductions_that_ignore_nan():
    x = tensor([[1.0, math.nan], [0.0, 3.0]], requires_grad=True)
    assert x.count_nonzero().item() == 3
    assert x.count_nonzero(0).tolist() == [1, 2]
    assert x.nansum(1).tolist() == [1.0, 3.0]
    assert x.nanmean(1).tolist() == [1.0, 1.5]
    x.nanmean().backward()
    np.testing.assert_allclose(x.grad.numpy(), [[1 / 3, 0], [1 / 3, 1 / 3]], rtol=1e-6)
    assert tensor([1, 2]).nansum().item() == 3
    with pytest.raises(TypeError, match="nanmean of dtype int64"):
        tensor([1]).nanmean()


def test_running_products():
    x = tensor([[2.0, 0.0, 3.0], [1.0, 2.0, 3.0]], requires_grad=True)
    out = x.cumprod(1)
    assert out.tolist() == [[2.0, 0.0, 0.0], [1.0, 2.0, 6.0]]
    out.sum().backward()
    assert x.grad.tolist() == [[1.0, 8.0, 0.0], [9.0, 4.0, 2.0]]
    assert tensor([2, 3]).cumprod(0).tolist() == [2, 6]
    assert tensor(2.0).cumprod(0).item() == 2.0
    assert zeros(0).cumprod(0).shape == (0,)
