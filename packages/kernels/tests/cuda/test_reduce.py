"""Reductions beyond the table of cases: at the edges of pieces, in several stages, and for any grid."""

import numpy as np
import pytest

from stackgrad.kernels.cuda import _reduce
from stackgrad.tensor import Tape, arange, from_numpy, tensor
from stackgrad.tensor._plans import Plans
from stackgrad.tensor._tape import captured_on

RNG = np.random.default_rng(0)


def values(*shape, dtype="float32"):
    return RNG.standard_normal(shape).astype(dtype)


def on_device(array):
    return from_numpy(array, backend="cuda")


EDGES = [
    n + by
    for n in (_reduce.SHORT, _reduce.LANES, 2 * _reduce.LANES, _reduce.PIECE, 2 * _reduce.PIECE)
    for by in (-1, 0, 1)
]


@pytest.mark.parametrize("k", EDGES)
def test_rows_at_the_edges_of_pieces(k):
    x = values(2, k)
    np.testing.assert_allclose(on_device(x).sum(1).numpy(), x.sum(1), rtol=1e-5, atol=1e-5)
    assert on_device(x).max(1).tolist() == x.max(1).tolist()


@pytest.mark.parametrize("k", [_reduce.PIECE_OF_COLUMN + by for by in (-1, 0, 1)])
def test_columns_at_the_edges_of_pieces(k):
    x = values(k, 3)
    np.testing.assert_allclose(on_device(x).sum(0).numpy(), x.sum(0), rtol=1e-5, atol=1e-5)
    assert on_device(x).min(0).tolist() == x.min(0).tolist()


def test_three_stages():
    n = 2 * _reduce.PIECE * (_reduce.SHORT + 1)
    x = np.ones(n, np.float32)
    assert on_device(x).sum().item() == n


@pytest.mark.parametrize("k", [_reduce.PIECE_OF_COLUMN + by for by in (-1, 0, 1)] + [_reduce.PIECE_OF_COLUMN**2 + 1])
def test_extremes_at_the_edges_of_pieces(k):
    x = RNG.integers(0, 9, (k, 2))
    assert on_device(x).argmax(0).tolist() == x.argmax(0).tolist()


def test_a_dimension_of_one_in_transposed_memory():
    x = values(4, 1, 3)
    transposed = on_device(x).permute(2, 1, 0)
    assert transposed.sum(1).tolist() == x.transpose(2, 1, 0)[:, 0].tolist()
    transposed.sum(1)[0, 0] = 7.0
    assert transposed.tolist() == x.transpose(2, 1, 0).tolist()


@pytest.mark.parametrize(
    ("shape", "dims", "launches"),
    [
        ((3, 2, 2, 2), (0, 2, 3), 2),  # (3, 2, |2, 2|), then (|3|, 2)
        ((2, 3, 2), (0, 2), 2),
        ((1, 3, 2, 1), (0, 2), 1),
        ((2, 1, 2), (0, 2), 1),
        ((2, 2, 2, 2, 2), (0, 2, 4), 3),
        ((2, 1, 3), (1,), 1),  # a copy
    ],
)
def test_separate_dimensions_are_folded_without_a_copy(shape, dims, launches):
    x = values(*shape)
    on = on_device(x)
    with captured_on(tape := Tape()):
        found = on.sum(dims)
    (row,) = tape
    assert len(row._calls) == launches
    np.testing.assert_allclose(found.numpy(), x.sum(dims), rtol=1e-5, atol=1e-5)
    assert found.shape == x.sum(dims).shape
    transposed = on.permute(*reversed(range(len(shape)))).sum(dims)
    np.testing.assert_allclose(transposed.numpy(), x.T.sum(dims), rtol=1e-5, atol=1e-5)


def test_any_grid_gives_the_same_bits(monkeypatch):
    x = on_device(values(3 * _reduce.PIECE_OF_COLUMN, 7))
    monkeypatch.setattr(Plans, "find", lambda plans, key, *arguments: plans._make(*arguments))
    expected = x.sum(0).numpy()
    for blocks in (1, 3, 5):
        monkeypatch.setattr(_reduce, "cover", lambda count, blocks=blocks: blocks)
        assert x.sum(0).numpy().tobytes() == expected.tobytes()


def test_no_elements():
    x = on_device(np.zeros((0, 2), np.float32))
    assert x.sum(0).tolist() == [0.0, 0.0]
    assert x.prod(0).tolist() == [1.0, 1.0]
    assert tensor([[True, False]], backend="cuda").max(1).tolist() == [True]
    assert arange(0, backend="cuda").sum().item() == 0
