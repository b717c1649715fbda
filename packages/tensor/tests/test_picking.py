"""gather, scatter and the like, masks and nonzero: values, gradients, and errors."""

import numpy as np
import pytest

from stackgrad.tensor import gather, index_select, masked_select, nonzero, ones, tensor, where, zeros

X = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]


def test_gather():
    x = tensor(X, requires_grad=True)
    out = x.gather(1, tensor([[0, 0], [2, 1]]))
    assert out.tolist() == [[1.0, 1.0], [6.0, 5.0]]
    out.sum().backward()
    assert x.grad.tolist() == [[2.0, 0.0, 0.0], [0.0, 1.0, 1.0]]
    assert gather(x, 0, tensor([[1, 0, 1]])).tolist() == [[4.0, 2.0, 6.0]]
    assert tensor(5.0).gather(0, tensor([0, 0])).tolist() == [5.0, 5.0]
    assert tensor([1.0, 2.0]).gather(0, tensor(1)).tolist() == 2.0
    assert x.gather(1, zeros(2, 0, dtype="int64")).shape == (2, 0)


def test_take_along_dim():
    x = tensor(X)
    assert x.take_along_dim(tensor([[2]]), 1).tolist() == [[3.0], [6.0]]
    assert x.take_along_dim(tensor([[-1], [0]]), dim=1).tolist() == [[3.0], [4.0]]
    assert x.take_along_dim(x.argsort(1, descending=True), 1).tolist() == [[3.0, 2.0, 1.0], [6.0, 5.0, 4.0]]
    assert x.take_along_dim(tensor([5, 0])).tolist() == [6.0, 1.0]


def test_scatter():
    x = zeros(2, 3)
    assert x.scatter(1, tensor([[0], [2]]), 1.0).tolist() == [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    assert x.scatter(1, tensor([[0], [2]]), value=7).tolist() == [[7.0, 0.0, 0.0], [0.0, 0.0, 7.0]]
    source = tensor([[5.0, 6.0, 9.0]], requires_grad=True)
    out = x.scatter(0, tensor([[1, 1]]), source)
    assert out.tolist() == [[0.0, 0.0, 0.0], [5.0, 6.0, 0.0]]
    out.sum().backward()
    assert source.grad.tolist() == [[1.0, 1.0, 0.0]]
    assert x.tolist() == [[0.0] * 3] * 2
    assert tensor(1.0).scatter(0, tensor([0]), 2.0).tolist() == 2.0
    with pytest.raises(TypeError, match="scatter: expected src, a tensor or a value, or value, and not both"):
        x.scatter(1, tensor([[0], [2]]))


def test_of_equal_indices_the_last_wins_in_scatter_and_all_count_in_scatter_add():
    source = tensor([1.0, 10.0, 100.0], requires_grad=True)
    index = tensor([1, 1, 0])
    out = zeros(3).scatter(0, index, source)
    assert out.tolist() == [100.0, 10.0, 0.0]
    out.sum().backward()
    assert source.grad.tolist() == [0.0, 1.0, 1.0]
    source.grad = None
    out = ones(3).scatter_add(0, index, source)
    assert out.tolist() == [101.0, 12.0, 1.0]
    (out * out).sum().backward()
    assert source.grad.tolist() == [24.0, 24.0, 202.0]


def test_in_place():
    x = zeros(3)
    assert x.scatter_(0, tensor([1]), 2.0) is x
    assert x.scatter_add_(0, tensor([1, 2]), tensor([1.0, 1.0])) is x
    assert x.index_add_(0, tensor([0]), tensor([3.0]), alpha=2) is x
    assert x.tolist() == [6.0, 3.0, 1.0]
    assert x.masked_fill_(x > 2, -1) is x
    assert x.tolist() == [-1.0, -1.0, 1.0]
    source = tensor([2.0], requires_grad=True)
    y = ones(2) * 1
    y.scatter_add_(0, tensor([0]), source)
    y.masked_fill_(tensor([False, True]), source.sum())
    y.sum().backward()
    assert source.grad.tolist() == [2.0]


def test_index_select_and_index_add():
    x = tensor(X, requires_grad=True)
    assert index_select(x, 1, tensor([2, 0])).tolist() == [[3.0, 1.0], [6.0, 4.0]]
    assert x.index_select(0, tensor(1)).tolist() == [[4.0, 5.0, 6.0]]
    out = x.index_add(1, tensor([0, 0]), ones(2, 2), alpha=3)
    assert out.tolist() == [[7.0, 2.0, 3.0], [10.0, 5.0, 6.0]]
    assert tensor(5.0).index_select(0, tensor([0])).tolist() == 5.0


def test_masked_fill():
    x = tensor(X, requires_grad=True)
    out = x.masked_fill(x.detach() > 4, float("-inf"))
    np.testing.assert_array_equal(out.detach().numpy(), [[1, 2, 3], [4, -np.inf, -np.inf]])
    out[0].sum().backward()
    assert x.grad.tolist() == [[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]
    assert tensor([1, 2]).masked_fill(tensor([True, False]), 5).tolist() == [5, 2]
    assert tensor([1.0]).masked_fill(tensor([[True], [False]]), tensor(2)).tolist() == [[2.0], [1.0]]
    assert tensor([1.0]).masked_fill(tensor([True]), np.float64(2)).dtype == "float32"


def test_masks_and_nonzero():
    x = tensor([[0.0, 2.0], [3.0, 0.0]])
    assert nonzero(x).tolist() == [[0, 1], [1, 0]]
    assert [i.tolist() for i in x.nonzero(as_tuple=True)] == [[0, 1], [1, 0]]
    assert [i.tolist() for i in where(x > 0)] == [[0, 1], [1, 0]]
    with pytest.raises(TypeError, match="where of one value: expected two, or none"):
        where(x > 0, 1.0)
    assert x.argwhere().tolist() == [[0, 1], [1, 0]]
    assert masked_select(x, x > 0).tolist() == [2.0, 3.0]
    assert x.masked_select(tensor([True, False])).tolist() == [0.0, 3.0]
    assert tensor(5).nonzero().shape == (1, 0)
    assert tensor(0).nonzero().shape == (0, 0)
    assert [i.tolist() for i in tensor(5).nonzero(as_tuple=True)] == [[0]]
    assert zeros(0, 3).nonzero().shape == (0, 2)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda x: x.gather(1, tensor([[3]])),
            IndexError,
            "gather: index 3 is out of range for dim 1 of extent 3: exp",
        ),
        (
            lambda x: x.gather(1, tensor([[-1]])),
            IndexError,
            "index -1 is out of range for dim 1 of extent 3: expected 0",
        ),
        (lambda x: x.gather(1, tensor([[0.0]])), IndexError, "gather: index of dtype float32: expected int64"),
        (
            lambda x: x.gather(1, tensor([0])),
            ValueError,
            r"index of shape \(1,\) for a tensor of shape \(2, 3\): expected",
        ),
        (lambda x: x.gather(0, zeros(2, 4, dtype="int64")), ValueError, "no larger extents except in dim 0"),
        (lambda x: x.gather(1, [[0]]), TypeError, "gather: got list, expected a tensor; use tensor"),
        (lambda x: x.scatter_add(1, tensor([[0, 1]]), ones(1, 1)), ValueError, "src of shape .1, 1. for an index of"),
        (lambda x: x.scatter_add(1, tensor([[0]]), tensor([[1]])), TypeError, "scatter_add of int64 into float32"),
        (lambda x: x.index_select(0, tensor([[0]])), ValueError, r"index of shape \(1, 1\): expected one dimension"),
        (lambda x: x.index_select(0, tensor([2])), IndexError, "index_select: index 2 is out of range for dim 0"),
        (lambda x: x.index_add(0, tensor([0]), ones(2, 3)), ValueError, r"source of shape \(2, 3\): expected \(1, 3\)"),
        (lambda x: x.masked_fill(x, 0), TypeError, "masked_fill: mask of dtype float32: expected bool; compare it"),
        (lambda x: x.masked_fill([True], 0), TypeError, "masked_fill: mask: got list, expected a bool tensor"),
        (
            lambda x: x.masked_fill(x > 0, ones(2)),
            TypeError,
            r"masked_fill with a tensor of shape \(2,\): expected a scal",
        ),
        (lambda x: x.masked_fill(x > 0, "a"), TypeError, "masked_fill with str: expected a scalar"),
        (lambda x: x.long().masked_fill(x > 0, 1.5), TypeError, "masked_fill of int64 with float32 would lose values"),
        (lambda x: x.masked_select(x), TypeError, "masked_select: mask of dtype float32: expected bool"),
    ],
)
def test_invalid_arguments_raise(call, error, message):
    with pytest.raises(error, match=message):
        call(tensor(X))
