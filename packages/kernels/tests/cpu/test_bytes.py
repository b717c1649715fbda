"""Rows of bytes as scaled floats."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackgrad.kernels import scaled_bytes


@given(st.integers(1, 40), st.sampled_from([(), (3,), (28, 28), (5, 0), (9_000,)]), st.integers(0, 40), st.data())
def test_as_numpy_in_float64(n, shape, count, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    rows = rng.integers(0, 256, (n, *shape)).astype(np.uint8)
    rows = data.draw(st.sampled_from([rows, rows[::-1], np.asfortranarray(rows)]))
    index = rng.integers(0, n, 2 * count)[:: data.draw(st.sampled_from([1, 2]))]
    factor, shift = (float(x) for x in rng.integers(-64, 64, 2) / 16)  # exact, whether fused or not
    found = scaled_bytes(rows, index, factor, shift)
    assert found.dtype == np.float32
    assert np.array_equal(found, (rows[index] * factor + shift).astype(np.float32))


BYTES = np.zeros((3, 2), np.uint8)


@pytest.mark.parametrize(
    ("rows", "index", "error", "text"),
    [
        (BYTES.astype(int), np.array([0]), ValueError, r"rows of int64 \(3, 2\): expected uint8 \(n, ...\)"),
        (BYTES[0, 0], np.array([0]), ValueError, r"rows of uint8 \(\): expected uint8 \(n, ...\)"),
        (BYTES, np.array([0], np.int32), ValueError, r"index of int32 \(1,\): expected int64 \(m,\)"),
        (BYTES, np.array([[0]]), ValueError, r"index of int64 \(1, 1\): expected int64 \(m,\)"),
        (BYTES, np.array([0, 3]), IndexError, r"an index outside 0 .. 2"),
        (BYTES, np.array([-1]), IndexError, r"an index outside 0 .. 2"),
    ],
)
def test_what_is_refused(rows, index, error, text):
    with pytest.raises(error, match=text):
        scaled_bytes(rows, index, 1.0, 0.0)
