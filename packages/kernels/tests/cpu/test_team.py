"""Threads that sleep, are woken, end with the process, and do not exist in a forked one."""

import multiprocessing
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import pytest
from numba.core.compiler_lock import global_compiler_lock

from stackgrad.kernels.cpu import _kernel
from stackgrad.kernels.cpu._kernel import Kernel
from stackgrad.kernels.cpu._matmul import matmul
from stackgrad.kernels.cpu._parallel import SERIAL
from stackgrad.kernels.cpu._pointers import Memory, load, store
from stackgrad.kernels.cpu._team import _REPLAY, Team
from stackgrad.tensor._tape import Tape, captured_on


def square(chunk, x, out):
    for i in range(chunk * 1000, chunk * 1000 + 1000):
        store(out, i, load(x, i) * load(x, i))


squares = Kernel(square, lambda T: (Memory(T), Memory(T)), key=None)


def run(chunks=50):
    x = np.arange(chunks * 1000.0)
    out = np.full_like(x, -1)
    squares[x.dtype](chunks, SERIAL, (x, out))
    return (out == x * x).all()


def test_many_jobs_one_after_the_other():
    assert all(run(chunks) for chunks in list(range(40)) * 50)


def test_a_thread_sleeps_and_is_woken():
    assert run()
    team = _kernel._team()
    deadline = time.monotonic() + 30
    while len(team._asleep) < len(team._threads):
        assert time.monotonic() < deadline, "some thread does not go to sleep"
        time.sleep(0.001)
    assert run()
    assert run()


def test_jobs_of_several_python_threads():
    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(run, [7, 30, 100, 3] * 100))


def test_dismissed_threads_end():
    calls = []

    def serve(address):
        calls.append(address)

    team = Team(serve, lambda words, count, address: 0)
    team._dismiss()
    assert not any(thread.is_alive() for thread in team._threads)
    assert set(calls) <= {team._address}
    assert team.run(lambda address: address) == team._address


def test_a_replay_wakes_a_thread_that_is_about_to_sleep(monkeypatch):
    monkeypatch.setenv("NUMBA_NUM_THREADS", "2")
    replaying, back = threading.Event(), threading.Event()
    services = iter([replaying.wait, back.set])

    def serve(address):
        next(services, lambda: None)()

    def replay(calls, count, address):
        replaying.set()  # the thread finds no work before the replay, and is about to sleep during it
        return int(back.wait(30))

    team = Team(serve, replay)
    assert team.replay(0, 0, alone=False)
    team._dismiss()


def test_a_thread_serves_until_the_replay_ends():
    team = _kernel._team()
    words = np.zeros_like(team._words)
    words[_REPLAY // 8] = 1
    thread = threading.Thread(target=team._serve, args=(words.ctypes.data,))
    thread.start()
    thread.join(0.05)  # without a replay it returns after a third of a millisecond
    assert thread.is_alive()
    words[_REPLAY // 8] = 0
    thread.join(30)
    assert not thread.is_alive()


@pytest.mark.parametrize(
    ("launches", "on_team", "alone"),  # launches as chunks and work
    [
        ([(1, SERIAL), (50, SERIAL), (2, SERIAL // 4), (2, SERIAL // 4 - 1)], [False, True, True, False], False),
        ([(2, SERIAL - 1), (1, SERIAL)], [True, False], True),
    ],
)
def test_a_replay_that_wakes_the_threads_uses_them_for_less_work_than_a_call(launches, on_team, alone):
    x = np.arange(50_000.0)
    out = np.zeros_like(x)
    with captured_on(tape := Tape()):
        for chunks, work in launches:
            squares[x.dtype](chunks, work, (x, out))
    (row,) = tape
    assert ([bool(word) for word in row._words[:, 3]], row._alone) == (on_team, alone)
    out[:] = 0
    row()
    size = 1000 * max(chunks for chunks, _ in launches)
    assert np.array_equal(out, np.where(np.arange(50_000) < size, x * x, 0))


SCRIPT = """
import numpy as np
from stackgrad.kernels.cpu._elementwise import elementwise
from stackgrad.tensor import OPS
x = np.ones(1_000_000, np.float32)
print(int(elementwise(OPS["add"], x, x).sum()))
"""


def test_a_process_ends_while_threads_are_awake():
    for _ in range(3):
        ended = subprocess.run(
            [sys.executable, "-W", "error", "-c", SCRIPT], capture_output=True, text=True, timeout=60
        )
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "2000000\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_computes_on_its_own():
    assert run()
    child = multiprocessing.get_context("fork").Process(target=lambda: sys.exit(not run()))
    child.start()
    child.join(30)
    assert child.exitcode == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_process_forked_while_a_thread_compiles_can_compile():
    compiling = threading.Event()

    def compile_for_a_while():
        with global_compiler_lock:
            compiling.set()
            time.sleep(0.3)  # the fork happens in the meantime

    def work():
        x, out = np.arange(1000.0, dtype=np.float32), np.empty(1000, np.float32)
        Kernel(square, lambda T: (Memory(T), Memory(T)), key=None)[x.dtype](1, 0, (x, out))
        sys.exit(not (out == x * x).all())

    thread = threading.Thread(target=compile_for_a_while)
    thread.start()
    compiling.wait()
    child = multiprocessing.get_context("fork").Process(target=work)
    child.start()
    child.join(60)
    thread.join()
    assert child.exitcode == 0


@numba.njit(parallel=True)
def in_a_prange(x, out):
    for i in numba.prange(x.size):
        out[i] = x[i] * x[i]


def best(work, times=200):
    """The least of many times, in seconds: how long the work takes if nothing else uses the cores."""
    found = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return min(found)


def test_the_threads_do_not_compete_with_those_of_numba():
    """Two pools whose threads spin while waiting take a hundred times longer when alternated than separately."""
    a = np.ones((128, 128), np.float32)
    x = np.ones(200_000, np.float32)
    out = np.empty_like(x)

    def pair():
        in_a_prange(x, out)
        matmul(a, a)

    pair()
    ratios = (best(pair) / (best(lambda: in_a_prange(x, out)) + best(lambda: matmul(a, a))) for _ in range(20))
    assert any(ratio < 2 for ratio in ratios)
