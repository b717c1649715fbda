"""Memory is reused, and never while anything refers to it."""

import ctypes
import gc
import threading

import numpy as np
import pytest

from stackgrad import tensor as sg
from stackgrad.kernels.cpu import _memory
from stackgrad.kernels.cpu._memory import SLACK, SMALLEST, empty, has_slack, owns_memory, pool

LARGE = SMALLEST // 4  # elements of float32


def address(array):
    return array.__array_interface__["data"][0]


def test_memory_is_reused():
    first = empty((3, LARGE), "float32")
    start = address(first)
    del first
    assert address(empty((LARGE, 3), "float32")) == start
    assert address(empty(3 * LARGE // 2, "float64")) == start


def test_bytes_in_use_are_counted():
    gc.collect()
    unused = pool.used
    kept = empty(LARGE, "float32")
    before = pool.most_used = pool.used
    block = before - unused
    assert block >= SMALLEST + SLACK
    arrays = [empty(LARGE, "float32") for _ in range(3)]
    assert pool.used == before + 3 * block
    del arrays[:2]
    arrays += [empty(LARGE, "float32")]
    assert pool.used == before + 2 * block
    assert pool.most_used == before + 3 * block
    del kept, arrays


@pytest.mark.parametrize(("size", "page"), [(SMALLEST, 64), (100_001, 64), (2**20, 2**21), (5_000_000, 2**21)])
def test_memory_is_aligned_to_a_cache_line_or_a_huge_page(size, page):
    pool.clear()
    arrays = [empty(size, "uint8") for _ in range(3)]
    assert [address(array) % page for array in arrays] == [0, 0, 0]
    for i, array in enumerate(arrays):
        array[...] = i
    assert [array.min() for array in arrays] == [array.max() for array in arrays] == [0, 1, 2]


def test_small_arrays_are_not_from_the_pool():
    assert empty(LARGE - 1, "float32").base is None
    assert empty(LARGE, "float32").base is not None


@pytest.mark.parametrize("shape", [(), 0, (0, 3), (LARGE,), (2, LARGE), (LARGE, 1, 2)])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "int32", "bool"])
def test_empty(shape, dtype):
    array = empty(shape, dtype)
    assert type(array) is np.ndarray
    assert array.shape == ((shape,) if isinstance(shape, int) else shape)
    assert array.dtype == dtype
    assert array.flags.c_contiguous
    assert array.flags.writeable
    array[...] = 1
    assert array.all()


HOLDERS = {
    "the array": lambda a: a,
    "a slice": lambda a: a[5:6],
    "a transposed view": lambda a: a.reshape(2, -1).T,
    "another dtype": lambda a: a.view(np.uint8)[::-1],
    "a diagonal": lambda a: np.diagonal(a.reshape(64, -1)),
    "an iterator": lambda a: a.flat,
    "a memoryview": lambda a: memoryview(a)[3:4],
    "DLPack": lambda a: a.__dlpack__(),
    "an array from DLPack": lambda a: np.from_dlpack(a),
    "a tensor": lambda a: sg.from_numpy(a),
    "a view of a tensor": lambda a: sg.from_numpy(a).reshape(4, -1)[1:2],
    "a tensor's array": lambda a: sg.from_numpy(a).numpy(),
    "a tensor with a history": lambda a: sg.from_numpy(a).requires_grad_() * 2,
}


@pytest.mark.parametrize("name", HOLDERS)
def test_memory_is_not_handed_out_while_something_refers_to_it(name):
    array = empty(4 * LARGE, "float32")
    array[...] = 3
    start = address(array)
    holder = HOLDERS[name](array)
    del array
    gc.collect()
    others = [empty(4 * LARGE, "float32") for _ in range(3)]
    assert start not in [address(other) for other in others]
    del holder, others
    gc.collect()
    again = [empty(4 * LARGE, "float32") for _ in range(8)]
    assert start in [address(other) for other in again]


@pytest.mark.parametrize("seed", range(10))
def test_arrays_that_come_and_go_keep_their_values(seed):
    """Arrays and views of them; each array is filled with its own number, which must stay."""
    rng = np.random.default_rng(seed)
    held = []
    for number in range(400):
        choice = rng.integers(0, 4)
        if choice == 0 or not held:
            dtype = np.dtype(rng.choice(["float32", "float64", "int64"]))
            array = empty(int(rng.integers(8, 11)) * 4096 // dtype.itemsize, dtype)
            array[...] = number
            held.append((array, number))
        elif choice == 1:
            array, kept = held[rng.integers(len(held))]
            views = (array[-1:], array[::-7], sg.from_numpy(array).numpy(), array[None].T)
            held.append((views[rng.integers(len(views))], kept))
        else:
            held.pop(rng.integers(len(held)))
        for array, kept in held:
            assert array.item(-1) == array.item(0) == kept
    for array, kept in held:
        assert (array == kept).all()


def in_pool():
    return sum(size * len(blocks) for size, blocks in pool.free.items())


def test_the_pool_is_bounded(monkeypatch):
    monkeypatch.setattr(pool, "bound", 300_000)
    arrays = [empty(size, "float32") for size in (LARGE, 2 * LARGE, 3 * LARGE) * 5]
    while arrays:
        arrays.pop()
        assert pool.kept == in_pool() <= 300_000
    assert pool.kept > 200_000


def test_the_least_recently_used_size_is_dropped_first(monkeypatch):
    monkeypatch.setattr(pool, "bound", 3 * SMALLEST)
    one, two, three = (blocks * LARGE - SLACK // 4 for blocks in (1, 2, 3))
    monkeypatch.setattr(_memory, "SMALLEST", 0)
    for size in (one, two, one, two):
        empty(size, "float32")
    assert list(pool.free) == [SMALLEST, 2 * SMALLEST]
    empty(one, "float32")
    empty(three, "float32")
    assert list(pool.free) == [3 * SMALLEST]


def test_memory_after_an_array_can_be_read():
    array = empty(LARGE, "float32").reshape(2, -1)
    assert has_slack(array)
    assert has_slack(array[1].reshape(-1))
    end = array.__array_interface__["data"][0] + array.nbytes
    assert ctypes.string_at(end, SLACK)
    assert not has_slack(np.zeros(LARGE, np.float32))
    assert not has_slack(empty(3, "float32"))


def test_threads_share_the_pool():
    wrong = []

    def work(number):
        rng = np.random.default_rng(number)
        held = []
        for _ in range(1500):
            array = empty(int(rng.integers(1, 4)) * LARGE, "float32")
            array[::1000] = number
            held.append(array)
            if len(held) > rng.integers(0, 6):
                wrong.extend(a for a in held if (a[::1000] != number).any())
                held.clear()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    empty(99 * LARGE, "float32")  # a new block is allocated, and `kept` is recounted before
    assert pool.kept == in_pool()


def test_a_block_may_come_back_during_an_allocation(monkeypatch):
    held, allocate = [empty(5 * LARGE, "float32")], pool.allocate
    start = address(held[0])
    pool.clear()

    def interrupted(size):
        held.clear()
        return allocate(size)

    monkeypatch.setattr(pool, "allocate", interrupted)
    other = empty(7 * LARGE, "float32")
    assert address(empty(5 * LARGE, "float32")) == start
    del other
    assert pool.kept == in_pool()
    assert len(pool.free) == 2


@pytest.mark.parametrize("size", [4, LARGE])
def test_owns_memory(size):
    array = empty((2, size), "float32")
    assert owns_memory(array)
    assert not owns_memory(array[:])
    assert not owns_memory(array.T)
    assert not owns_memory(np.broadcast_to(array, (3, 2, size)))
    x = sg.ones(2, size)
    assert (x + 1).owns_memory
    assert (x @ x.T).owns_memory
    assert not (x + 1).T.owns_memory
    assert not x[0].owns_memory
