"""Pooling beyond the table of cases: at the edges of a thread's runs of pixels, and for any grid."""

import numpy as np
import pytest

from stackgrad.kernels.cuda import _pool
from stackgrad.kernels.cuda._array import from_numpy, to_numpy
from stackgrad.tensor import Window
from stackgrad.tensor.testing import loops

RNG = np.random.default_rng(0)
WINDOWS = {
    "apart": Window((2, 2), (2, 2)),
    "overlapping": Window((3, 2), (1, 1), ((1, 1), (1, 0))),
    "with gaps": Window((1, 1), (3, 2)),
}


@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
@pytest.mark.parametrize("height", [_pool.RUN + by for by in (-1, 0, 1)])
def test_runs_at_their_edges(height, window):
    x = RNG.permutation(height * 3).astype(np.float32).reshape(1, 1, height, 3)
    out, taps = _pool.max_pool2d(from_numpy(x), window)
    expected, _ = loops.max_pool2d(x, window)
    assert np.array_equal(to_numpy(out), expected)
    g = RNG.integers(-3, 4, expected.shape).astype(np.float32)
    found = _pool.max_pool2d_grad(from_numpy(g), taps, (height, 3), window)
    assert np.array_equal(to_numpy(found), loops.max_pool2d_grad(g, x, window))
    found = _pool.avg_pool2d_grad(from_numpy(g), (height, 3), window)
    np.testing.assert_allclose(to_numpy(found), loops.avg_pool2d_grad(g, (height, 3), window), rtol=1e-5, atol=1e-6)


def test_any_grid_gives_the_same_bits(monkeypatch):
    window = WINDOWS["overlapping"]
    x = from_numpy(RNG.standard_normal((2, 1, 5, 3)).astype(np.float32))
    expected = [to_numpy(a).tobytes() for a in (_pool.avg_pool2d(x, window), _pool.avg_pool2d_grad(x, (5, 4), window))]
    for blocks in (1, 3):
        monkeypatch.setattr(_pool, "cover", lambda count, blocks=blocks: blocks)
        found = _pool.avg_pool2d(x, window), _pool.avg_pool2d_grad(x, (5, 4), window)
        assert [to_numpy(a).tobytes() for a in found] == expected
