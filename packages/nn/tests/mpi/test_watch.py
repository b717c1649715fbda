"""A job ends if and only if one of its ranks fails."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

WATCHED = Path(__file__).with_name("watched.py")
MPIEXEC = Path(sys.executable).with_name("mpiexec")  # from a wheel


def run(what: str, runner: tuple[str, ...] = ("-m", "mpi4py")) -> tuple[int, str]:
    """The exit status and standard error of three ranks that run this case."""
    command = [str(MPIEXEC if MPIEXEC.exists() else "mpiexec"), "-n", "3", sys.executable, *runner, str(WATCHED), what]
    environment = os.environ | {"STACKGRAD_BACKEND": "numpy", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("kill", "was killed, perhaps for lack of memory, or ended without a message"),
        ("stop", "was stopped 1.5 s ago"),
        ("stop late", "was stopped 1.5 s ago"),
        ("sleep", "made no progress for 1.5 s, in watched.py:"),
        ("raise", "ValueError: of one"),
        ("end", "the reason of one"),
    ],
)
def test_a_rank_that_fails_is_named(what: str, reason: str) -> None:
    begun = time.monotonic()
    status, err = run(what)
    (error,) = (line for line in err.splitlines() if line.startswith("Error: "))
    assert status != 0
    assert error.startswith("Error: rank 1 (process ")
    assert reason in error
    assert time.monotonic() - begun < 20


@pytest.mark.parametrize(
    ("what", "calls"),
    [
        ("once more", "backward on ranks [1], the end of watch on ranks [0, 2] of 3"),
        ("leave", "gather on ranks [0, 2], the end of watch on ranks [1] of 3"),
    ],
)
def test_ranks_that_call_different_functions_end(what: str, calls: str) -> None:
    status, err = run(what)
    assert status != 0
    assert f"DisagreementError: the ranks call different functions: {calls}: " in err


def test_an_error_ends_all_ranks_without_the_runner_of_mpi4py() -> None:
    status, err = run("raise", ())
    assert status != 0
    assert "): ValueError: of one\n" in err


def test_a_reason_of_all_ranks_is_reported_once() -> None:
    assert run("end of all") == (0, "the reason of all\n")


def test_ranks_that_compute_and_that_wait_for_them_do_not_fail() -> None:
    assert run("compute") == (0, "")


def test_a_rank_may_wait_after_its_farewell() -> None:
    assert run("wait late") == (0, "")
