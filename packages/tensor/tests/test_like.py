"""Tensors like others, and uninitialised tensors."""

import pytest

from stackgrad.tensor import (
    Generator,
    empty,
    empty_like,
    full_like,
    ones_like,
    rand,
    rand_like,
    randn,
    randn_like,
    tensor,
    zeros,
    zeros_like,
)


@pytest.mark.parametrize("function", [zeros_like, ones_like, empty_like, rand_like, randn_like])
def test_like(function):
    x = zeros(2, 3, dtype="float64")
    out = function(x)
    assert (out.shape, str(out.dtype), out.requires_grad) == ((2, 3), "float64", False)
    assert function(x, dtype="float32", requires_grad=True).requires_grad
    assert function(x, dtype="float32").dtype == "float32"


def test_values():
    x = zeros(2, 3, dtype="float64")
    assert ones_like(tensor([3])).tolist() == [1]
    assert zeros_like(tensor([True])).tolist() == [False]
    assert full_like(x, 7, dtype="int64").tolist() == [[7] * 3] * 2
    assert rand_like(x, generator=Generator(1)).tolist() == rand(2, 3, dtype="float64", generator=Generator(1)).tolist()
    assert (
        randn_like(x, generator=Generator(1)).tolist()
        == randn(x.shape, dtype="float64", generator=Generator(1)).tolist()
    )


def test_empty():
    assert empty(2, 3).dtype == "float32"
    assert empty((2,), dtype="int64").shape == (2,)
    with pytest.raises(ValueError, match=r"shape \(-2,\) is not valid"):
        empty(-2)
