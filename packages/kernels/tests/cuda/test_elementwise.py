"""Functions of single numbers, where the table of cases does not reach."""

import numpy as np

from stackgrad.tensor import from_numpy


def test_powers_of_integers_wrap_round_as_numpys():
    x = np.array([[3], [-7], [10], [2], [-1], [0]])
    y = np.array([0, 1, 2, 39, 63, 64, 65_537, 100_001])
    with np.errstate(over="ignore"):
        expected = x**y
    found = from_numpy(x, backend="cuda") ** from_numpy(y, backend="cuda")
    assert found.numpy().tolist() == expected.tolist()
    assert abs(expected).max() > 2**53
