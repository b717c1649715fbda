"""sort, argsort, topk, kthvalue, median and unique: ties, NaN, no dimensions, no elements, and errors."""

import math

import numpy as np
import pytest

from stackgrad.tensor import median, sort, tensor, topk, zeros

TIES = [[3.0, 1.0, 3.0, math.nan, -math.inf], [0.0, -0.0, math.inf, 1.0, 0.0]]


def test_equals_stay_in_order_and_nan_is_largest():
    x = tensor(TIES)
    values, indices = x.sort()
    np.testing.assert_array_equal(values.numpy(), [[-math.inf, 1, 3, 3, math.nan], [0, 0, 0, 1, math.inf]])
    assert indices.tolist() == [[4, 1, 0, 2, 3], [0, 1, 4, 3, 2]]
    values, indices = x.sort(descending=True)
    np.testing.assert_array_equal(values.numpy(), [[math.nan, 3, 3, 1, -math.inf], [math.inf, 1, 0, 0, 0]])
    assert indices.tolist() == [[3, 0, 2, 1, 4], [2, 3, 0, 1, 4]]
    assert x.argsort(descending=True).tolist() == indices.tolist()


def test_along_another_dim_and_of_other_dtypes():
    x = tensor([[3, 1], [2, 5]])
    assert x.sort(0).values.tolist() == [[2, 1], [3, 5]]
    assert x.sort(dim=-2, descending=True).indices.tolist() == [[0, 1], [1, 0]]
    assert x.sort().values.dtype == x.sort().indices.dtype == "int64"
    values, indices = tensor([True, False, True]).sort()
    assert values.tolist() == [False, True, True]
    assert values.dtype == "bool"
    assert indices.tolist() == [1, 0, 2]
    assert sort(x, 0).values.tolist() == [[2, 1], [3, 5]]


def test_the_gradient_goes_back_to_the_original_indices():
    x = tensor([3.0, 1.0, 2.0], requires_grad=True)
    (x.sort().values * tensor([1.0, 10.0, 100.0])).sum().backward()
    assert x.grad.tolist() == [100.0, 1.0, 10.0]
    x.grad = None
    (x.topk(2).values * tensor([1.0, 10.0])).sum().backward()
    assert x.grad.tolist() == [1.0, 0.0, 10.0]
    x.grad = None
    x.median().backward()
    assert x.grad.tolist() == [0.0, 0.0, 1.0]


def test_topk():
    x = tensor([[1.0, 4.0, 4.0, 2.0]])
    assert x.topk(3).values.tolist() == [[4.0, 4.0, 2.0]]
    assert x.topk(3).indices.tolist() == [[1, 2, 3]]
    assert x.topk(2, largest=False).indices.tolist() == [[0, 3]]
    assert x.topk(1, 0).indices.tolist() == [[0, 0, 0, 0]]
    assert topk(x, 0).values.shape == (1, 0)
    for k in (5, -1):
        with pytest.raises(ValueError, match=f"topk of {k} along dim -1 of extent 4: expected 0 to 4"):
            x.topk(k)


def test_kthvalue():
    x = tensor([[5.0, 1.0, 3.0], [2.0, 2.0, 2.0]])
    assert x.kthvalue(2).values.tolist() == [3.0, 2.0]
    assert x.kthvalue(2).indices.tolist() == [2, 1]
    assert x.kthvalue(1, 0, keepdim=True).values.tolist() == [[2.0, 1.0, 2.0]]
    with pytest.raises(ValueError, match="kthvalue of 4 along dim -1 of extent 3: expected 1 to 3"):
        x.kthvalue(4)


def test_median():
    assert tensor([4.0, 1.0, 3.0, 2.0]).median().item() == 2.0
    assert tensor([[4, 1, 3]]).median(1).values.tolist() == [3]
    assert tensor([[4, 1, 3]]).median(1, keepdim=True).indices.tolist() == [[2]]
    values, indices = median(tensor([[1.0, math.nan, 3.0, math.nan]]), 1)
    assert math.isnan(values.item())
    assert indices.tolist() == [1]
    assert math.isnan(tensor([1.0, math.nan, 0.0]).median().item())
    for x, dim in ((zeros(0), None), (zeros(2, 0), 1)):
        with pytest.raises(ValueError, match="there is nothing to take the median of"):
            x.median() if dim is None else x.median(dim)


def test_without_dimensions():
    x = tensor(2.0, requires_grad=True)
    assert x.sort().values.tolist() == 2.0
    assert x.argsort(-1).tolist() == 0
    assert x.topk(1).indices.shape == ()
    assert x.kthvalue(1).values.tolist() == 2.0
    assert x.median(0).values.tolist() == 2.0
    x.sort(0).values.backward()
    assert x.grad.item() == 1.0
    with pytest.raises(IndexError, match="dim 1 is out of range"):
        x.sort(1)


def test_empty_tensors_are_sorted():
    for shape, dim in (((0,), 0), ((2, 0), 1), ((0, 3), 1)):
        assert zeros(shape).sort(dim).values.shape == shape
        assert zeros(shape).argsort(dim).shape == shape


def test_unique():
    x = tensor([[3.0, 1.0], [1.0, math.nan]])
    values, inverse, counts = x.unique(return_inverse=True, return_counts=True)
    np.testing.assert_array_equal(values.numpy(), [1, 3, math.nan])
    assert inverse.tolist() == [[1, 0], [0, 2]]
    assert counts.tolist() == [2, 1, 1]
    assert tensor([2, 1, 2]).unique().tolist() == [1, 2]
    assert tensor([math.nan, math.nan]).unique().shape == (2,)
    rows, counts = tensor([[1, 2], [0, 1], [1, 2]]).unique(dim=0, return_counts=True)
    assert rows.tolist() == [[0, 1], [1, 2]]
    assert counts.tolist() == [1, 2]
    assert tensor(5).unique().tolist() == [5]
