"""Conversion of images to channels-last memory."""

import numpy as np
import pytest

from stackgrad.kernels.cpu._channels_last import channels_first, channels_last, in_order
from stackgrad.kernels.cpu._copy import copy, with_slack
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


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "bool"])
@pytest.mark.parametrize("channels", [1, 6, 8, 16, 17, 40])
@pytest.mark.parametrize("size", [(3, 5), (4, 4), (5, 5), (16, 16), (1, 257), (27, 10)])
def test_both_directions_keep_every_value(dtype, channels, size):
    x = RNG.integers(0, 2 if dtype == "bool" else 2**20, (3, channels, *size)).astype(dtype)
    last = channels_last(x)
    assert last.flags.c_contiguous
    assert np.array_equal(last, x.transpose(0, 2, 3, 1))
    back = in_order(channels_first(last))
    assert back.flags.c_contiguous
    assert np.array_equal(back, x)


@pytest.mark.parametrize("copied", [copy, in_order])
def test_a_copy_can_be_read_beyond_its_end(copied):
    x = RNG.standard_normal((7, SMALLEST // 4)).astype("float32").T
    out = copied(x)
    assert np.array_equal(out, x)
    assert out.flags.c_contiguous
    assert np.shares_memory(with_slack(out.reshape(-1)), out)
