"""Arrays that pass through a reusable host buffer."""

import numpy as np
import pytest

from stackgrad.tensor import get_backend


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_download_and_upload(dtype):
    backend = get_backend("numpy")
    whole = backend.from_numpy(np.arange(12, dtype=dtype))
    part = whole[3:9].reshape(2, 3)
    buffer = backend.host_buffer((2, 3), np.dtype(dtype))
    buffer.download(part)
    assert buffer.values.tolist() == [[3, 4, 5], [6, 7, 8]]
    buffer.values *= 10
    assert part.tolist() == [[3, 4, 5], [6, 7, 8]]
    buffer.upload(part)
    assert whole.tolist() == [0, 1, 2, 30, 40, 50, 60, 70, 80, 9, 10, 11]
