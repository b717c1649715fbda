"""Batches in random order."""

import re
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import stackgrad.tensor as sg
from stackgrad import nn


@given(st.integers(0, 50), st.integers(1, 12), st.integers(0, 2**64 - 1))
def test_each_index_comes_once(n: int, batch_size: int, seed: int) -> None:
    parts = list(nn.batches(n, batch_size, sg.Generator(seed)))
    assert all(part.dtype == np.int64 for part in parts)
    assert [len(part) for part in parts[:-1]] == [batch_size] * (len(parts) - 1)
    assert sorted(int(i) for part in parts for i in part) == list(range(n))


@given(st.integers(0, 50), st.integers(1, 12))
def test_drop_last_drops_a_partial_batch(n: int, batch_size: int) -> None:
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


def test_every_position_is_equally_likely() -> None:
    generator = sg.Generator(0)
    counts = np.zeros((4, 4))
    for _ in range(1000):
        counts[np.arange(4), nn.permutation(4, generator)] += 1
    assert np.abs(counts / 1000 - 0.25).max() < 0.06


def test_errors() -> None:
    with pytest.raises(ValueError, match="n must not be negative; got -1"):
        nn.batches(-1, 2)
    with pytest.raises(ValueError, match="batch_size must be at least 1; got 0"):
        nn.batches(3, 0)


# ------------------------------------------------------------------------------------------------------- DataLoader


class Squares(nn.Dataset[tuple[int, int]]):
    """Integers and their squares; records each read and its thread."""

    def __init__(self, n: int, fails_at: int | None = None) -> None:
        self.n, self.fails_at = n, fails_at
        self.reads: list[tuple[int, str]] = []

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> tuple[int, int]:
        self.reads.append((index, threading.current_thread().name))
        if index == self.fails_at:
            raise RuntimeError(f"example {index} is damaged")
        return index, index * index


def tensors(n: int = 7) -> nn.TensorDataset:
    return nn.TensorDataset(sg.arange(n), sg.arange(n) ** 2)


def all_of(loader: nn.DataLoader) -> list[list[list[int]]]:
    return [[part.tolist() for part in batch] for batch in loader]


@pytest.mark.parametrize("num_workers", [0, 1, 3])
@pytest.mark.parametrize("make", [tensors, lambda: Squares(7), lambda: [(i, i * i) for i in range(7)]])
def test_batches_in_order_with_a_partial_last_batch(make: Any, num_workers: int) -> None:
    loader = nn.DataLoader(make(), 3, num_workers=num_workers)
    expected = [[[0, 1, 2], [0, 1, 4]], [[3, 4, 5], [9, 16, 25]], [[6], [36]]]
    assert all_of(loader) == all_of(loader) == expected
    assert len(loader) == 3
    full = nn.DataLoader(make(), 3, drop_last=True, num_workers=num_workers)
    assert all_of(full) == expected[:2]
    assert len(full) == 2
    assert len(nn.DataLoader(make(), 7)) == len(nn.DataLoader(make(), 7, drop_last=True)) == 1


@pytest.mark.parametrize("make", [tensors, lambda: Squares(7)])
def test_the_order_depends_on_the_seed_and_the_epoch(make: Any) -> None:
    def epochs(seed: int, num_workers: int) -> list[Any]:
        loader = nn.DataLoader(make(), 2, shuffle=True, num_workers=num_workers, generator=sg.Generator(seed))
        return [all_of(loader) for _ in range(3)]

    first = epochs(1, 0)
    assert epochs(1, 1) == epochs(1, 4) == first != epochs(2, 0)
    assert first[0] != first[1] != first[2]
    for batches in first:
        assert sorted(i for indices, _ in batches for i in indices) == list(range(7))
        assert all(square == i * i for indices, squares in batches for i, square in zip(indices, squares, strict=True))


def test_the_order_equals_the_order_of_batches() -> None:
    loader = nn.DataLoader(tensors(), 2, shuffle=True, generator=sg.Generator(3))
    assert [batch[0].tolist() for batch in loader] == [part.tolist() for part in nn.batches(7, 2, sg.Generator(3))]
    sg.manual_seed(3)
    assert [b[0].tolist() for b in nn.DataLoader(tensors(), 2, True)] == [
        part.tolist() for part in nn.batches(7, 2, sg.Generator(3))
    ]


def test_threads_read_ahead_and_finish() -> None:
    dataset = Squares(100)
    before = threading.active_count()
    iterator = iter(nn.DataLoader(dataset, 2, num_workers=2, prefetch_factor=2))
    next(iterator)
    assert threading.active_count() > before
    iterator.close()  # type: ignore[attr-defined] # as a break out of the loop does
    assert threading.active_count() == before
    assert {index for index, _ in dataset.reads} <= set(range(10))  # five batches at most
    assert all(name.startswith("stackgrad-data") for _, name in dataset.reads)


@pytest.mark.parametrize("num_workers", [0, 1, 2])
def test_an_error_is_raised_when_its_batch_is_due(num_workers: int) -> None:
    iterator = iter(nn.DataLoader(Squares(9, fails_at=5), 2, num_workers=num_workers))
    assert [next(iterator)[0].tolist() for _ in range(2)] == [[0, 1], [2, 3]]
    with pytest.raises(RuntimeError, match="example 5 is damaged"):
        next(iterator)


class Point(NamedTuple):
    x: float
    name: str


def test_collate_supports_nested_examples() -> None:
    def batch(*examples: Any) -> Any:
        (made,) = nn.DataLoader(list(examples), len(examples))
        return made

    assert batch(1, 2).dtype == sg.int64
    assert batch(0.5, 1.5).dtype == sg.float64
    assert batch(True, False).dtype == sg.bool_
    assert batch(np.float32(1), np.float32(2)).dtype == sg.float32
    assert batch(np.ones((2, 3)), np.zeros((2, 3))).shape == (2, 2, 3)
    assert batch(sg.ones(2), sg.zeros(2)).tolist() == [[1, 1], [0, 0]]
    assert batch("a", "b") == ["a", "b"]
    assert [part.tolist() for part in batch((1, 2.0), (3, 4.0))] == [[1, 3], [2, 4]]
    made = batch({"x": 1, "y": [2, 3]}, {"x": 4, "y": [5, 6]})
    assert made["x"].tolist() == [1, 4]
    assert [part.tolist() for part in made["y"]] == [[2, 5], [3, 6]]
    point = batch(Point(1.0, "a"), Point(2.0, "b"))
    assert isinstance(point, Point)
    assert (point.x.tolist(), point.name) == ([1.0, 2.0], ["a", "b"])  # type: ignore[attr-defined]
    assert list(nn.DataLoader([1, 2, 3], 2, collate_fn=sum)) == [3, 3]
    assert list(nn.DataLoader(tensors(2), 2, collate_fn=len)) == [2]


def test_a_row_of_a_tensor_dataset() -> None:
    assert [part.item() for part in tensors()[3]] == [3, 9]
    assert len(tensors()) == 7


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [([5, 2], [5, 2]), ([0.5, 0.5], [4, 3]), ([0.8, 0.1, 0.1], [6, 1, 0]), ([7], [7]), ([1.0], [7])],
)
def test_random_parts_hold_each_example_once(lengths: Any, expected: list[int]) -> None:
    parts = nn.random_split(tensors(), lengths, sg.Generator(2))
    assert [len(part) for part in parts] == expected
    found = [part[i][0].item() for part in parts for i in range(len(part))]
    assert sorted(found) == list(range(7)) != found
    again = nn.random_split(tensors(), lengths, sg.Generator(2))
    assert [part.indices for part in again] == [part.indices for part in parts]
    assert [i for x, _ in nn.DataLoader(parts[0], 3) for i in x.tolist()] == found[: expected[0]]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: nn.random_split([1, 2, 3], [1, 1]),
            ValueError,
            "lengths that add up to 3, or fractions to 1; got [1, 1]",
        ),
        (lambda: nn.random_split([1, 2, 3], [4, -1]), ValueError, "got [4, -1]"),
        (lambda: nn.DataLoader(iter([1])), TypeError, "a dataset with a length and examples by index"),
        (lambda: nn.DataLoader([1], 0), ValueError, "batch_size and prefetch_factor must be at least 1; got 0 and 2"),
        (lambda: nn.DataLoader([1], 1.5), TypeError, "batch_size must be an int; got float"),
        (lambda: nn.DataLoader([1], shuffle=1), TypeError, "shuffle must be True or False; got 1"),
        (lambda: nn.DataLoader([1], num_workers=-1), ValueError, "num_workers must not be negative; got -1"),
        (lambda: list(nn.DataLoader([object()])), TypeError, "examples of type object: give a collate_fn"),
        (lambda: list(nn.DataLoader([(1, 2), (1,)], 2)), ValueError, "zip"),
        (lambda: nn.TensorDataset(), ValueError, "must have the same length; got shapes none"),
        (lambda: nn.TensorDataset(sg.ones(2), sg.ones(3, 1)), ValueError, "got shapes (2,), (3, 1)"),
        (lambda: nn.TensorDataset(sg.tensor(1)), ValueError, "must have the same length; got shapes ()"),
        (lambda: nn.TensorDataset([1]), TypeError, "tensor 0 of a TensorDataset: got list, expected a tensor"),
        (lambda: len(nn.Dataset()), NotImplementedError, "Dataset must define __len__"),
    ],
)
def test_errors_of_loaders(make: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        make()


def test_datasets_and_loaders_say_what_they_are() -> None:
    dataset = nn.TensorDataset(sg.ones(3, 2), sg.ones(3))
    assert repr(dataset) == "TensorDataset((3, 2), (3,))"
    assert repr(nn.Subset(dataset, [1])) == "Subset(1 of 3 examples)"
    assert repr(nn.Dataset()) == "Dataset(? examples)"
    loader = nn.DataLoader(dataset, 2, shuffle=True)
    assert repr(loader) == "DataLoader(TensorDataset((3, 2), (3,)), batch_size=2, shuffle=True)"
    assert repr(nn.DataLoader([1, 2], drop_last=True)) == "DataLoader(2 examples, batch_size=1, drop_last=True)"
