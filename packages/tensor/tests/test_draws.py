"""Random integers, permutations, classes and normal values: their range, their frequencies, and errors."""

import math

import numpy as np
import pytest

from stackgrad.tensor import (
    Generator,
    bernoulli,
    empty,
    manual_seed,
    multinomial,
    normal,
    randint,
    randint_like,
    randperm,
    tensor,
    zeros,
)


def test_randint():
    x = randint(-2, 3, (2000,), generator=Generator(0))
    assert x.dtype == "int64"
    np.testing.assert_allclose(np.bincount(x.numpy() + 2) / 2000, [0.2] * 5, atol=0.05)
    assert set(randint(2, (50,), generator=Generator(0)).tolist()) == {0, 1}
    assert randint(5, size=(2, 2), high=6).tolist() == [[5, 5], [5, 5]]
    assert randint(3, (2,), dtype="float32").dtype == "float32"
    assert randint(2**62, 2**62 + 2, (3,)).numpy().min() >= 2**62
    assert randint_like(zeros(2, 3), 4).shape == (2, 3)
    assert randint_like(zeros(2), 4, 5).tolist() == [4.0, 4.0]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((3,), TypeError, "randint without size: expected a shape"),
        ((1, 3), TypeError, "randint without size"),
        ((3, 3, (2,)), ValueError, "randint from 3 to below 3: expected 1 to 2..53 integers"),
        ((0, 2**60, (2,)), ValueError, "expected 1 to 2..53 integers"),
        ((0, 2, (-1,)), ValueError, "is not valid"),
    ],
)
def test_randint_of_invalid_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        randint(*arguments)


def test_randperm():
    x = randperm(50, generator=Generator(0))
    assert sorted(x.tolist()) == list(range(50))
    assert x.tolist() != list(range(50))
    assert x.tolist() == randperm(50, generator=Generator(0)).tolist()
    assert randperm(0).shape == (0,)


def test_multinomial():
    weights = tensor([[1.0, 0.0, 3.0], [0.0, 2.0, 0.0]])
    x = multinomial(weights, 2000, replacement=True, generator=Generator(0))
    assert x.shape == (2, 2000)
    np.testing.assert_allclose(np.bincount(x[0].numpy(), minlength=3) / 2000, [0.25, 0, 0.75], atol=0.04)
    assert set(x[1].tolist()) == {1}
    firsts = [multinomial(tensor([1.0, 3.0, 0.0]), 2, generator=Generator(i)).tolist() for i in range(300)]
    assert {tuple(sorted(pair)) for pair in firsts} == {(0, 1)}
    assert abs(sum(pair[0] for pair in firsts) / 300 - 0.75) < 0.08
    assert sorted(multinomial(tensor([1.0] * 4), 4).tolist()) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("weights", "count", "replacement", "message"),
    [
        ([1.0, -1.0], 1, True, "a weight is negative, infinite or NaN"),
        ([1.0, math.nan], 1, False, "a weight is negative, infinite or NaN"),
        ([math.inf, 1.0], 1, False, "a weight is negative, infinite or NaN"),
        ([0.0, 0.0], 1, True, "a row has too few weights above 0"),
        ([1.0, 0.0], 2, False, "a row has too few weights above 0"),
        ([1.0, 1.0], 3, False, r"multinomial of 3 from input of shape \(2,\)"),
        ([1.0, 1.0], 0, True, "multinomial of 0 from input"),
        ([[[1.0]]], 1, True, r"input of shape \(1, 1, 1\)"),
    ],
)
def test_multinomial_of_invalid_weights(weights, count, replacement, message):
    with pytest.raises(ValueError, match=message):
        multinomial(tensor(weights), count, replacement)


def test_multinomial_of_integers():
    with pytest.raises(TypeError, match="multinomial: input of dtype int64"):
        multinomial(tensor([1, 2]), 1)


def test_normal():
    x = normal(5.0, 0.1, (1000,), generator=Generator(0))
    assert abs(x.mean().item() - 5) < 0.02
    assert abs(x.std().item() - 0.1) < 0.01
    assert normal(zeros(2, 3), tensor([1.0, 2.0, 3.0])).shape == (2, 3)
    assert normal(0.0, tensor([1.0], dtype="float64")).dtype == "float64"
    with pytest.raises(TypeError, match="normal of Python scalars without size"):
        normal(0.0, 1.0)


def test_in_place():
    x = empty(1000)
    assert x.uniform_(-1, 1, generator=Generator(0)) is x
    assert -1 <= x.numpy().min() < -0.9 < 0.9 < x.numpy().max() < 1
    assert x.normal_(3, 0.5, generator=Generator(0)) is x
    assert abs(x.mean().item() - 3) < 0.1
    manual_seed(1)
    first = x.uniform_().tolist()
    manual_seed(1)
    assert x.uniform_().tolist() == first
    for name in ("uniform_", "normal_"):
        with pytest.raises(TypeError, match=f"{name} of int64: expected float32 or float64"):
            getattr(zeros(2, dtype="int64"), name)()


def test_bernoulli_of_a_tensor():
    x = bernoulli(tensor([0.0, 1.0, 0.5], dtype="float64").expand(200, 3), generator=Generator(0))
    assert x.dtype == "float64"
    assert x[:, 0].sum().item() == 0
    assert x[:, 1].sum().item() == 200
    assert 60 < x[:, 2].sum().item() < 140
    with pytest.raises(ValueError, match="bernoulli: a probability is not from 0 to 1"):
        bernoulli(tensor([1.5]))
