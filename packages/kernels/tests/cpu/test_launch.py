"""The same bits for any number of threads, and Python threads that launch kernels concurrently."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from stackgrad import tensor as sg
from stackgrad.kernels.cpu._kernel import Kernel
from stackgrad.kernels.cpu._parallel import SERIAL
from stackgrad.kernels.cpu._pointers import Memory, store
from stackgrad.kernels.cpu._replay import ChunkError
from stackgrad.tensor import OPS

DIGESTS = Path(__file__).with_name("digests.py")
MUCH = SERIAL  # work, for all cores
digests = runpy.run_path(str(DIGESTS))["digests"]


@pytest.fixture(scope="module")
def expected():
    """The digests computed here, on as many threads as there are cores."""
    sg.set_default_backend("cpu")
    return digests()


def in_a_process(python_threads, **environment):
    run = subprocess.run(
        [sys.executable, "-W", "error", DIGESTS, str(python_threads)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_twice_in_a_row(expected):
    assert digests() == expected


@pytest.mark.parametrize("serial", [True, False])
def test_on_one_thread_and_on_all_cores(expected, run_serially, serial):
    run_serially(serial)
    assert digests() == expected


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_any_number_of_threads(expected, threads):
    assert in_a_process(1, NUMBA_NUM_THREADS=str(threads)) == [expected]


def test_concurrent_python_threads(expected):
    assert in_a_process(3, NUMBA_NUM_THREADS="2") == [expected] * 3


def test_a_kernel_that_raises_reports_it():
    def body(chunk, x):
        if chunk == 7:
            raise ValueError
        store(x, chunk, 1)

    kernel = Kernel(body, lambda T: (Memory(T),), key=None)
    for work in (0, MUCH):
        x = np.zeros(20, np.float32)
        kernel[x.dtype](7, work, (x,))
        assert x.tolist() == [1] * 7 + [0] * 13
        with pytest.raises(ChunkError):
            kernel[x.dtype](20, work, (x,))


def test_no_chunks():
    def body(chunk, x):
        store(x, chunk, 1)

    kernel = Kernel(body, lambda T: (Memory(T),), key=None)
    x = np.zeros(1)
    for work in (0, MUCH):
        kernel[x.dtype](0, work, (x,))
    assert x.tolist() == [0]


def test_the_team_still_works_after_a_kernel_that_raised():

    def body(chunk, x):
        raise ValueError

    kernel = Kernel(body, lambda T: (Memory(T),), key=None)
    x = np.ones(100_000, np.float32)
    with pytest.raises(ChunkError):
        kernel[x.dtype](2, MUCH, (x,))
    out = sg.get_backend("cpu").elementwise(OPS["add"], x, x)
    assert (out == 2).all()
