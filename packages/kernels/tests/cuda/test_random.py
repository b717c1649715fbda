"""Random numbers beyond the table of cases: large seeds and draws, and dropout's masks."""

import numpy as np
import pytest

from stackgrad.kernels.cuda._kernel import BLOCK
from stackgrad.tensor import get_backend

CUDA, NUMPY = get_backend("cuda"), get_backend("numpy")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("seed", [0, 2**32 - 1, 2**63 + 5, 2**64 - 1])
@pytest.mark.parametrize("call", [0, 2**32, 2**64 - 1])
@pytest.mark.parametrize("first", [0, 1, 2, 7, 2**40 + 3])
def test_the_same_numbers(dtype, seed, call, first):
    arguments = (3, 3), np.dtype(dtype), np.array([seed, call, first], np.uint64)
    assert CUDA.to_numpy(CUDA.uniform(*arguments)).tobytes() == NUMPY.uniform(*arguments).tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rate", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("n", [0, 1, 4 * BLOCK - 1, 4 * BLOCK + 1])
@pytest.mark.parametrize("first", [0, 3])
def test_the_same_masks(dtype, rate, n, first):
    x, draw = np.random.default_rng(0).standard_normal((n, 2)).astype(dtype), np.array([7, 5, first], np.uint64)
    found = CUDA.dropout(CUDA.permute(CUDA.from_numpy(x), (1, 0)), rate, draw)
    expected = NUMPY.dropout(x.T, rate, draw)
    assert [CUDA.to_numpy(a).tobytes() for a in found] == [np.ascontiguousarray(a).tobytes() for a in expected]
