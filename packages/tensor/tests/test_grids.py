"""eye, linspace, logspace, the indices of triangles, and meshgrid."""

import numpy as np
import pytest

from stackgrad.tensor import eye, linspace, logspace, meshgrid, tensor, tril_indices, triu_indices, zeros


def test_patterns():
    assert eye(2).tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert eye(1, 2, dtype="int64").tolist() == [[1, 0]]
    assert linspace(0, 1, 5).tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert linspace(3, 3, 1, dtype="float64", requires_grad=True).requires_grad
    assert linspace(1, 2, 0).shape == (0,)
    assert logspace(0, 2, 3).tolist() == [1.0, 10.0, 100.0]
    assert logspace(0, 2, 3, base=2).tolist() == [1.0, 2.0, 4.0]
    assert tril_indices(2, 3).tolist() == np.array(np.tril_indices(2, 0, 3)).tolist()
    assert triu_indices(3, 2, offset=1).tolist() == np.array(np.triu_indices(3, 1, 2)).tolist()
    for call in (lambda: eye(-1), lambda: linspace(0, 1, -1)):
        with pytest.raises(ValueError, match="is not valid: expected extents of 0 or more"):
            call()


def test_meshgrid():
    x, y = tensor([1, 2, 3]), tensor([4, 5])
    for indexing in ("ij", "xy"):
        found = meshgrid(x, y, indexing=indexing)
        expected = np.meshgrid([1, 2, 3], [4, 5], indexing=indexing)
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_array_equal(a.numpy(), b)
    assert [a.shape for a in meshgrid([x, y, tensor(1)])] == [(3, 2, 1)] * 3
    with pytest.raises(ValueError, match="meshgrid with indexing 'yx': expected 'ij' or 'xy'"):
        meshgrid(x, indexing="yx")
    with pytest.raises(ValueError, match=r"meshgrid of a tensor of shape \(2, 2\)"):
        meshgrid(zeros(2, 2))
    with pytest.raises(TypeError, match="meshgrid: got int, expected tensors"):
        meshgrid(1)
