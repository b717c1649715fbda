"""Sorting rows: long ones and many of them, in the order of the numpy backend."""

import numpy as np
import pytest

from stackgrad.kernels.cpu._sort import RUN, argsort
from stackgrad.tensor import NumpyBackend

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(1, 100_000), (3000, 7), (5, RUN), (5, RUN + 1), (4, 2 * RUN + 1), (2, 5000)])
@pytest.mark.parametrize("descending", [False, True])
def test_rows_of_any_length_are_sorted_as_by_numpy(shape, descending):
    few = RNG.integers(0, 50, shape).astype(np.float32)
    few[RNG.random(shape) < 0.05] = np.nan
    for a in (few, RNG.integers(-3, 3, shape), RNG.standard_normal(shape)[:, ::-1]):
        np.testing.assert_array_equal(argsort(a, descending), NumpyBackend().argsort(a, descending))


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (2, 1)])
def test_few_elements_are_sorted(shape):
    assert argsort(np.ones(shape, np.float32), True).shape == shape
