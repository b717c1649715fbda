"""Batches in random order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import stackgrad.tensor as sg
from stackgrad import nn


@given(st.integers(0, 50), st.integers(1, 12), st.integers(0, 2**64 - 1))
def test_each_number_comes_once(n: int, batch_size: int, seed: int) -> None:
    parts = list(nn.batches(n, batch_size, sg.Generator(seed)))
    assert all(part.dtype == np.int64 for part in parts)
    assert [len(part) for part in parts[:-1]] == [batch_size] * (len(parts) - 1)
    assert sorted(int(i) for part in parts for i in part) == list(range(n))


@given(st.integers(0, 50), st.integers(1, 12))
def test_drop_last_leaves_out_what_is_not_full(n: int, batch_size: int) -> None:
    kept = list(nn.batches(n, batch_size, sg.Generator(4), drop_last=True))
    assert [part.tolist() for part in kept] == [
        part.tolist() for part in nn.batches(n, batch_size, sg.Generator(4)) if len(part) == batch_size
    ]


def test_the_generator_decides_the_order() -> None:
    generator = sg.Generator(3)
    first, second = nn.permutation(20, generator).tolist(), nn.permutation(20, generator).tolist()
    assert first != second
    assert nn.permutation(20, sg.Generator(3)).tolist() == first
    sg.manual_seed(3)
    assert nn.permutation(20).tolist() == first


def test_the_order_is_drawn_at_the_call() -> None:
    generator = sg.Generator(3)
    nn.batches(5, 2, generator)
    assert generator.call == 1


def test_every_place_is_as_likely() -> None:
    generator = sg.Generator(0)
    places = np.zeros((4, 4))
    for _ in range(1000):
        places[np.arange(4), nn.permutation(4, generator)] += 1
    assert np.abs(places / 1000 - 0.25).max() < 0.06


def test_errors() -> None:
    with pytest.raises(ValueError, match="n must not be negative; got -1"):
        nn.batches(-1, 2)
    with pytest.raises(ValueError, match="batch_size must be at least 1; got 0"):
        nn.batches(3, 0)
