"""Numba is imported when something is compiled, and compiling takes its lock."""

import subprocess
import sys
import threading

import numpy as np
import pytest
from numba.core import types
from numba.core.compiler_lock import global_compiler_lock

from stackgrad.kernels.cpu._kernel import Kernel
from stackgrad.kernels.cpu._numba import Lazy, compiling, helper
from stackgrad.kernels.cpu._pointers import Memory, load, store

BACKEND_WITHOUT_NUMBA = """
import sys, stackgrad.kernels, stackgrad.kernels.cpu, stackgrad.kernels.course
assert "numba" not in sys.modules
"""


def test_the_backend_is_imported_without_numba():
    subprocess.run([sys.executable, "-W", "error", "-c", BACKEND_WITHOUT_NUMBA], check=True)


def test_a_name_is_resolved_at_first_use():
    name = Lazy("fractions", "Fraction")
    assert name(1, 2) == 0.5
    assert isinstance(name(1, 2), name)
    assert not isinstance(0.5, name)
    assert Lazy("math").sqrt(4) == 2


def doubled(value):
    return value + value


def body(chunk, x, out, by):
    store(out, chunk, twice(load(x, chunk)) * by)


twice = helper(doubled)


def test_a_kernel_takes_scalars_of_any_type_with_the_value():
    kernel = Kernel(body, lambda T: (Memory(T), Memory(T), T), key=None)
    x, out = np.arange(3.0), np.empty(3)
    for by in (2, 2.0, np.float32(2), np.int64(2)):
        out[:] = 0
        kernel[x.dtype](3, 0, (x, out, by))
        assert out.tolist() == [0, 4, 8]


def count_to(chunk, out, count, flag):
    store(out, chunk, count if flag else 0)


@pytest.mark.parametrize("wrong", [(1.5, True), ("1", True), (None, True), (2**70, True)])
def test_other_scalars_raise(wrong):
    kernel = Kernel(count_to, lambda T: (Memory(T), types.intp, types.boolean), key=None)
    out = np.zeros(2, np.int64)
    with pytest.raises((TypeError, OverflowError)):
        kernel[out.dtype](2, 0, (out, *wrong))
    assert out.tolist() == [0, 0]
    kernel[out.dtype](2, 0, (out, np.int64(7), np.bool_(True)))
    assert out.tolist() == [7, 7]


def test_compiling_takes_the_lock_of_numba():
    taken = threading.Event()

    def take():
        with compiling:
            taken.set()

    thread = threading.Thread(target=take)
    with global_compiler_lock:
        thread.start()
        assert not taken.wait(0.05)
    assert taken.wait(30)
    thread.join()
    with compiling, compiling:  # the same thread may take it again
        pass
