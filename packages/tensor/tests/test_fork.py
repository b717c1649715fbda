"""A forked process never waits for a lock that a thread of its parent held."""

import logging
import os
import signal
import threading

import pytest

from stackgrad.tensor import _fork

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]


@pytest.fixture
def lock(monkeypatch):
    monkeypatch.setattr(_fork, "_locks", [*_fork._locks])
    return _fork.free_in_forks(threading.Lock())


def in_a_fork(work):
    """The exit status of a forked process that runs `work`; -14 if it waits too long."""
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        os._exit(0 if work() else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_fork_waits_until_a_lock_is_free(lock):
    held, let_go = threading.Event(), threading.Event()

    def hold():
        with lock:
            held.set()
            let_go.wait(0.2)  # the fork comes in the meantime

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    assert in_a_fork(lambda: lock.acquire(timeout=5)) == 0
    thread.join()
    assert not lock.locked()


def test_locks_registered_while_a_fork_waits(lock):
    """A backend that is being loaded registers locks."""
    held = threading.Event()
    later = threading.Lock()

    def hold():
        with lock:
            held.set()
            threading.Event().wait(0.2)
            _fork.free_in_forks(later)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    assert in_a_fork(lambda: lock.acquire(timeout=5) and later.acquire(timeout=5)) == 0
    thread.join()
    assert not lock.locked()
    assert not later.locked()


def test_a_thread_that_holds_a_lock_may_log(lock):
    """The logging module takes its own lock in a fork, too: it must come after ours."""
    held = threading.Event()

    def hold():
        with lock:
            held.set()
            threading.Event().wait(0.2)
            logging.getLogger("stackgrad.tests.fork")

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    assert in_a_fork(lambda: lock.acquire(timeout=5)) == 0
    thread.join()
