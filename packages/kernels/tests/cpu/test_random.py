"""Random numbers: the bits of the numpy backend at the edges of the chunks."""

import numpy as np
import pytest

from stackgrad.kernels.cpu._parallel import CHUNK
from stackgrad.kernels.cpu._random import dropout, uniform
from stackgrad.tensor import NumpyBackend


def draw(seed, number, first=0):
    return np.array([seed, number, first], np.uint64)


pytestmark = pytest.mark.usefixtures("poisoned")


@pytest.mark.parametrize("serial", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_chunk_edges(run_serially, serial, dtype):
    run_serially(serial)
    dtype = np.dtype(dtype)
    for size in (0, 1, 2, 3, 4, 5, 255, 256, 257, 511, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 2):
        expected = NumpyBackend().uniform((size,), dtype, draw(2**63 + 5, 2**33))
        assert np.array_equal(uniform((size,), dtype, draw(2**63 + 5, 2**33)), expected)
    assert uniform((2, 3, 5), dtype, draw(0, 0)).shape == (2, 3, 5)
    assert uniform((), dtype, draw(0, 0)).shape == ()


@pytest.mark.parametrize(("seed", "number"), [(0, 0), (2**64 - 1, 2**64 - 1), (1, 2**32), (2**32, 1)])
def test_any_seed_and_call(seed, number):
    expected = NumpyBackend().uniform((9,), np.dtype("float32"), draw(seed, number))
    assert np.array_equal(uniform((9,), np.dtype("float32"), draw(seed, number)), expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("first", [1, 2, 3, 4, 1021, CHUNK + 1, 2**40 + 3])
def test_from_any_element_on(dtype, first):
    dtype = np.dtype(dtype)
    for size in (0, 1, 2, 3, 6, 255, CHUNK - 1, CHUNK, 2 * CHUNK + 2):
        expected = NumpyBackend().uniform((size,), dtype, draw(5, 6, first))
        assert np.array_equal(uniform((size,), dtype, draw(5, 6, first)), expected)


@pytest.mark.parametrize("serial", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rate", [0.0, 0.3, 1.0])
def test_dropout_equals_that_of_numpy(run_serially, serial, dtype, rate):
    run_serially(serial)
    x = np.random.default_rng(0).standard_normal((3, 2 * CHUNK + 5)).astype(dtype)
    x[0, :3] = np.inf, -np.inf, np.nan
    for given in (x, x[:, ::-2], x[:, :0], x[:2, 0]):
        for mine, exact in zip(
            dropout(given, rate, draw(7, 1)), NumpyBackend().dropout(given, rate, draw(7, 1)), strict=True
        ):
            assert mine.dtype == dtype
            assert np.array_equal(mine, exact, equal_nan=True)
