"""Buffers for arrays that are transferred again and again."""

import numpy as np
import pytest

from stackgrad.kernels.cuda._driver import device
from stackgrad.tensor import get_backend


@pytest.fixture
def backend():
    return get_backend("cuda")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_down_and_up(backend, dtype):
    values = np.arange(12, dtype=dtype)
    whole = backend.from_numpy(values)
    buffer = backend.host_buffer((2, 3), np.dtype(dtype))
    part = backend.reshape(backend.slice(whole, (slice(3, 9),)), (2, 3))
    buffer.download(part)
    assert buffer.values.tolist() == values[3:9].reshape(2, 3).tolist()
    buffer.values *= 10
    buffer.upload(part)
    assert backend.to_numpy(whole).tolist() == [*values[:3], *values[3:9] * 10, *values[9:]]


def test_a_buffer_is_copied_directly(backend, monkeypatch):
    asked = []
    monkeypatch.setattr(device(), "upload", lambda *arguments: asked.append("staged"))
    buffer = backend.host_buffer((3,), np.dtype("float32"))
    array = backend.empty((3,), np.dtype("float32"))
    buffer.values[:] = 7
    buffer.upload(array)
    buffer.values[:] = 0
    buffer.download(array)
    assert buffer.values.tolist() == [7, 7, 7]
    assert asked == []


def test_a_download_reports_wrong_indices_of_replays(backend):
    buffer = backend.host_buffer((1,), np.dtype("float32"))
    reported = []
    buffer._waited = lambda: reported.append(True)
    buffer.download(backend.full((1,), 1, np.dtype("float32")))
    assert reported == [True]
    assert backend.host_buffer((1,), np.dtype("float32"))._waited == backend._checks.report
