"""Rows of bytes as scaled floats."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackgrad.kernels import scaled_bytes
from stackgrad.tensor import capture, from_numpy


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
    if rows.flags.c_contiguous:
        assert np.array_equal(scaled_bytes(rows, from_numpy(index), factor, shift).numpy(), found)


@given(st.integers(1, 9), st.integers(1, 2_000), st.integers(1, 40), st.integers(0, 99))
def test_replays_read_the_rows_of_their_own_indices(n, size, count, seed):
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, 256, (n, size)).astype(np.uint8)
    pick = capture(lambda index: scaled_bytes(rows, index, 0.5, -1.0))
    for _ in range(4):
        index = rng.integers(0, n, count)
        assert np.array_equal(pick(from_numpy(index)).numpy(), scaled_bytes(rows, index, 0.5, -1.0))
    with pytest.raises(IndexError, match=f"scaled_bytes: an index outside 0 .. {n - 1}"):
        pick(from_numpy(np.full(count, n)))


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
        (BYTES[:, :0], np.array([3]), IndexError, r"an index outside 0 .. 2"),
        (BYTES[::2], np.array([2]), IndexError, r"an index outside 0 .. 1"),
        (BYTES, from_numpy(np.array([0.0])), ValueError, r"index of float64 \(1,\): expected int64 \(m,\)"),
        (BYTES, from_numpy(np.array([0]), backend="numpy"), ValueError, "on the backend numpy: expected a tensor on c"),
        (BYTES[::2], from_numpy(np.array([0])), ValueError, r"rows that are not in C order: pass np.ascontiguousarray"),
    ],
)
def test_what_is_refused(rows, index, error, text):
    with pytest.raises(error, match=text):
        scaled_bytes(rows, index, 1.0, 0.0)
