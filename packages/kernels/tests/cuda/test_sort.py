"""Sorting rows in the simulator: merges of runs that do not fill the row."""

import numpy as np
import pytest

from stackgrad.tensor import NumpyBackend, get_backend

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("length", [1, 2, 3, 5, 8, 13])
@pytest.mark.parametrize("descending", [False, True])
def test_rows_are_sorted_as_by_numpy(length, descending):
    backend = get_backend("cuda")
    a = RNG.integers(0, 4, (3, length)).astype(np.float32)
    a[RNG.random(a.shape) < 0.2] = np.nan
    found = backend.to_numpy(backend.argsort(backend.from_numpy(a), descending))
    np.testing.assert_array_equal(found, NumpyBackend().argsort(a, descending))
