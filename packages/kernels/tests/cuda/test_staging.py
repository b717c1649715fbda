"""Uploads through staging memory, with a fake device that fetches only when it is waited for."""

import ctypes

import numpy as np
import pytest

from stackgrad.kernels.cuda import _staging


class Fetching:
    def __init__(self, size):
        self.host = np.full(size, 0xFF, np.uint8)
        self.device = np.zeros(4 * size, np.uint8)
        self.asked, self.waits = [], 0

    def fetch(self, source, target, size):
        self.asked.append((source, target, size))

    def wait(self):
        self.waits += 1
        for source, target, size in self.asked:
            ctypes.memmove(self.device.ctypes.data + target, source, size)
        self.asked.clear()


@pytest.fixture
def device(monkeypatch):
    monkeypatch.setattr(_staging, "SIZE", 256)
    return Fetching(256)


def test_values_may_change_once_they_are_staged(device):
    staging = _staging.Staging(device.host.ctypes.data, device.fetch, device.wait)
    values = np.zeros(5, np.float32)
    for i in range(9):  # each takes 64 bytes, so four fit
        values[:] = i
        staging.upload(values, 20 * i)
    assert device.waits == 2
    device.wait()
    assert device.device[: 9 * 20].view(np.float32).tolist() == [i for i in range(9) for _ in range(5)]


def test_large_values_are_uploaded_in_parts(device):
    staging = _staging.Staging(device.host.ctypes.data, device.fetch, device.wait)
    values = np.arange(100).reshape(10, 10)
    staging.upload(np.ones((), np.bool_), 1000)
    staging.upload(values, 8)
    device.wait()
    assert device.device[8:808].view(np.int64).tolist() == list(range(100))
    assert device.device[1000] == 1
