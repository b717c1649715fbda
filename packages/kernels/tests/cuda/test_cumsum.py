"""Running sums beyond the table of cases: at the edges of pieces, and for any grid."""

import numpy as np
import pytest

from stackgrad.kernels.cuda import _cumsum
from stackgrad.tensor import from_numpy

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("k", [_cumsum.PIECE + by for by in (-1, 0, 1)] + [_cumsum.PIECE**2 + 1])
def test_at_the_edges_of_pieces(k):
    x = RNG.integers(0, 9, (k, 2))
    assert from_numpy(x, backend="cuda").cumsum(0).tolist() == x.cumsum(0).tolist()


def test_any_grid_gives_the_same_bits(monkeypatch):
    x = from_numpy(RNG.standard_normal((3 * _cumsum.PIECE, 7)).astype("float32"), backend="cuda")
    expected = x.cumsum(0).numpy()
    for blocks in (1, 3, 5):
        monkeypatch.setattr(_cumsum, "cover", lambda count, blocks=blocks: blocks)
        assert x.cumsum(0).numpy().tobytes() == expected.tobytes()
