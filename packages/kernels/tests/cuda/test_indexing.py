"""Gather and scatter beyond the table of cases: sorted and not, in the order of the rows."""

import numpy as np
import pytest

from stackgrad.kernels.cuda import _indexing
from stackgrad.tensor import from_numpy, get_backend

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("few", [0, 2**62], ids=["sorted", "few"])
@pytest.mark.parametrize("rows", [1, 16, 17, 300])
@pytest.mark.parametrize("m", [1, _indexing.CHUNK, _indexing.CHUNK + 1])
def test_rows_are_added_in_order(few, rows, m, monkeypatch):
    monkeypatch.setattr(_indexing, "FEW", few)
    index = RNG.integers(0, min(rows, 40), m)
    index[-1] = rows - 1
    g = (RNG.standard_normal((m, 1)) * 10.0 ** RNG.integers(-6, 6, (m, 1))).astype(np.float32)
    cuda, numpy = get_backend("cuda"), get_backend("numpy")
    found = cuda.to_numpy(cuda.scatter_add(cuda.from_numpy(g), cuda.from_numpy(index), rows))
    assert found.tobytes() == numpy.scatter_add(g, index, rows).tobytes()


@pytest.mark.parametrize("rows", [1, 20])
def test_of_equal_indices_the_last_one_counts(rows):
    m = 2 * _indexing.CHUNK + 1
    index = RNG.integers(0, rows, m)
    x = np.zeros(rows, np.float32)
    on_device = from_numpy(x, backend="cuda")
    on_device[from_numpy(index, backend="cuda")] = from_numpy(np.arange(m, dtype=np.float32), backend="cuda")
    x[index] = np.arange(m)
    assert on_device.tolist() == x.tolist()


def test_indices_out_of_range():
    """Indices are checked before; if memory has changed since, nothing out of bounds is read or written."""
    backend = get_backend("cuda")
    a = backend.from_numpy(np.ones((2, 2), np.float32))
    index = backend.from_numpy(np.array([1, 2, -1, 10**12]))
    assert backend.to_numpy(backend.gather(a, index)).tolist() == [[1, 1], [0, 0], [0, 0], [0, 0]]
    backend.scatter(a, index, backend.from_numpy(np.full((4, 2), 5, np.float32)))
    assert backend.to_numpy(a).tolist() == [[1, 1], [5, 5]]


@pytest.mark.parametrize("shape", [(0, 3), (7,), (2, 3, 2), (1, 5)])
def test_indices_of_true_elements(shape):
    mask = RNG.random(shape) < 0.5
    backend = get_backend("cuda")
    transposed = backend.permute(backend.from_numpy(mask), tuple(reversed(range(mask.ndim))))
    found = [backend.to_numpy(indices) for indices in backend.nonzero(transposed)]
    assert [indices.tolist() for indices in found] == [indices.tolist() for indices in mask.T.nonzero()]
    assert all(indices.dtype == np.int64 for indices in found)
