"""Rows by index, at the edges of the ranges."""

import numpy as np
import pytest

from stackgrad.kernels.cpu import _indexing
from stackgrad.kernels.cpu._parallel import CHUNK
from stackgrad.tensor import NumpyBackend

pytestmark = pytest.mark.usefixtures("poisoned")

RNG = np.random.default_rng(0)
NUMPY = NumpyBackend()


def integers(*shape, dtype="float32"):
    return RNG.integers(-9, 9, shape).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "bool"])
@pytest.mark.parametrize(("rows", "k", "count"), [(5, 3, 7), (1, 1, CHUNK + 1), (9, CHUNK + 1, 4), (1000, 40, 2000)])
def test_gather_and_scatter(rows, k, count, dtype):
    a, index, source = integers(rows, k, dtype=dtype), RNG.integers(0, rows, count), integers(count, k, dtype=dtype)
    assert np.array_equal(_indexing.gather(a, index), a[index])
    assert np.array_equal(_indexing.gather(a[::-1, ::-1], index[::-1]), a[::-1, ::-1][index[::-1]])
    for target in (a.copy(), np.repeat(a, 2, axis=1)[:, ::2]):
        expected = target.copy()
        for i, row in enumerate(index):  # of equal indices, the last one counts
            expected[row] = source[i]
        _indexing.scatter(target, index, source)
        assert np.array_equal(target, expected)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
@pytest.mark.parametrize(("rows", "k", "count"), [(5, 3, 7), (7, 1, CHUNK + 1), (9, CHUNK + 1, 4), (1000, 40, 2000)])
def test_rows_are_added_where_they_belong(rows, k, count, dtype):
    g, index = (RNG.standard_normal((count, k)) * 100).astype(dtype), RNG.integers(0, rows, count)
    expected, found = NUMPY.scatter_add(g, index, rows), _indexing.scatter_add(g, index, rows)
    assert found.dtype == dtype
    eps = np.finfo(dtype).eps if dtype != "int64" else 0
    bound = (2 if count > _indexing.FEW else count) * eps * NUMPY.scatter_add(np.abs(g), index, rows)
    assert np.all(np.abs(found - expected) <= bound)
    assert np.array_equal(_indexing.scatter_add(g[:, ::-1], index, rows), found[:, ::-1])


@pytest.mark.parametrize(("rows", "k", "count"), [(0, 3, 0), (4, 0, 2), (4, 3, 0)])
def test_no_rows(rows, k, count):
    a, index, g = integers(rows, k), np.zeros(count, np.int64), integers(count, k)
    assert _indexing.gather(a, index).shape == (count, k)
    assert np.array_equal(_indexing.scatter_add(g, index, rows), np.zeros((rows, k)))
    before = a.copy()
    _indexing.scatter(a, index, g)
    assert np.array_equal(a, before)
