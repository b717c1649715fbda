"""Device memory is reused, and only when nothing refers to it."""

import gc

import numpy as np
import pytest

from stackgrad.kernels.cuda import _memory
from stackgrad.kernels.cuda._array import empty, from_numpy, permute, to_numpy
from stackgrad.kernels.cuda._driver import device
from stackgrad.kernels.cuda._memory import pool

F32 = np.dtype("float32")


@pytest.fixture(autouse=True)
def _empty_pool():
    gc.collect()
    pool.clear()
    yield
    pool.clear()


def address(a):
    return device().address(a.owner.memory)


def test_memory_is_reused():
    a = empty((100,), F32)
    first = address(a)
    del a
    assert address(empty((100,), F32)) == first
    assert pool.kept == 512


def test_a_view_keeps_it():
    a = from_numpy(np.arange(6, dtype=np.float32).reshape(2, 3))
    view = permute(a, (1, 0)).view((3,), (1,), 3)
    first = address(a)
    del a
    assert address(empty((2, 3), F32)) != first
    assert to_numpy(view).tolist() == [3.0, 4.0, 5.0]


def test_the_pool_is_bounded(monkeypatch):
    monkeypatch.setattr(pool, "bound", 2048)
    arrays = [empty((n,), F32) for n in (128, 256, 256)]
    while arrays:
        arrays.pop(0)
    assert list(pool.free) == [1024]
    assert pool.kept == 2048


def test_without_room_the_pool_is_freed(monkeypatch):
    a = _memory.Lease(100, 4)
    del a
    assert pool.kept == 512
    calls = []

    def allocate(size):
        calls.append(pool.kept)
        if len(calls) == 1:
            raise MemoryError("no room")
        return "memory"

    monkeypatch.setattr(device(), "allocate", allocate)
    assert pool.take(4096) == "memory"
    assert calls == [512, 0]


def test_no_room_at_all(monkeypatch):
    def allocate(size):
        raise MemoryError(f"no room for {size} bytes")

    monkeypatch.setattr(device(), "allocate", allocate)
    with pytest.raises(MemoryError, match="no room for 1024 bytes"):
        _memory.Lease(200, 4)
