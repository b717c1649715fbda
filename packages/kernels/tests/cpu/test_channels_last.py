"""Images brought to channels-last memory."""

import numpy as np
import pytest

from stackgrad.kernels.cpu._channels_last import (
    channels_first,
    channels_last,
    in_order,
    readable_beyond,
    spread,
)
from stackgrad.kernels.cpu._copy import copy
from stackgrad.kernels.cpu._memory import SMALLEST

pytestmark = pytest.mark.usefixtures("poisoned")

RNG = np.random.default_rng(0)


def test_channels_last_memory_is_not_copied():
    x = RNG.standard_normal((2, 4, 5, 3)).transpose(0, 3, 1, 2)
    assert np.shares_memory(channels_last(x), x)
    assert np.array_equal(channels_first(channels_last(x)), x)
    x = np.ascontiguousarray(x)
    assert not np.shares_memory(channels_last(x), x)
    assert channels_last(x).flags.c_contiguous
    assert np.array_equal(channels_first(channels_last(x)), x)


@pytest.mark.parametrize("copied", [copy, in_order])
def test_a_copy_can_be_read_beyond_its_end(copied):
    x = RNG.standard_normal((7, SMALLEST // 4)).astype("float32").T
    out = copied(x)
    assert np.array_equal(out, x)
    assert out.flags.c_contiguous
    assert np.shares_memory(readable_beyond(out, 7, 8), out)
    assert not np.shares_memory(readable_beyond(np.ascontiguousarray(x), 7, 8), x)


@pytest.mark.parametrize("serial", [True, False])
@pytest.mark.parametrize("fill", [0.0, -np.inf])
@pytest.mark.parametrize("corner", [(0, 0), (2, 1), (0, 5)])
@pytest.mark.parametrize("channels", [1, 3, 8])
def test_spread(run_serially, serial, fill, corner, channels):
    run_serially(serial)
    x = RNG.standard_normal((3, 4, 6, channels)).astype("float32")
    size = (corner[0] + 4 + 2, corner[1] + 6 + 3)
    flat = spread(x, size, corner, slack=10, fill=fill)
    expected = np.full((3, *size, channels), fill, np.float32)
    expected[:, corner[0] : corner[0] + 4, corner[1] : corner[1] + 6] = x
    assert np.array_equal(flat[:-10].reshape(expected.shape), expected)
    assert flat.size == expected.size + 10


@pytest.mark.parametrize("shape", [(0, 4, 6, 3), (3, 0, 6, 3), (3, 4, 0, 3), (3, 4, 6, 0)])
def test_nothing_spread(shape):
    flat = spread(np.ones(shape, np.float32), (9, 9), (1, 1), slack=4)
    assert flat.size == shape[0] * 81 * shape[3] + 4
    assert flat[:-4].tolist() == [0] * (flat.size - 4)
