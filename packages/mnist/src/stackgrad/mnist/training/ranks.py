"""One training by several processes, as `mpiexec -n 2 python -m mpi4py -m stackgrad.mnist train` starts them.

Each of these ranks does its share of each batch; rank 0 prints and writes.
"""

from __future__ import annotations

import math
import os
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from stackgrad.nn import distributed
from stackgrad.nn.distributed import DisagreementError, world

WATCH_SECONDS = "STACKGRAD_WATCH_SECONDS"
_SHARED = "train"  # the command whose work the ranks share


@contextmanager
def one_job(command_line: Sequence[str]) -> Iterator[None]:
    """In this context a command runs as one of the ranks of a job, if a launcher has started it as one.

    Rank 0 alone has a standard output. Where a rank fails, the whole job ends, see `distributed.watch`. A command that
    ranks do not share is run by rank 0, and the others end with SystemExit.
    """
    if not distributed.launched():
        yield
        return
    if find_spec("mpi4py") is None:
        sys.exit("Error: a launcher of MPI has started this, which needs mpi4py: pip install 'stackgrad-mnist[mpi]'")
    shared = command_line[:1] == [_SHARED]
    try:
        with distributed.watch(_watch_seconds()):
            if not world().is_first:
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, 1)
                os.close(nowhere)
            try:
                distributed.agree("the command line", list(command_line))
            except DisagreementError as error:
                distributed.end(f"Error: {error}", 2)
                sys.exit(2)
            if shared:
                _divide_threads()
                yield
    finally:
        _finalize()
    if not shared:
        if not world().is_first:
            sys.exit()
        yield


def _watch_seconds() -> float:
    """For how long a rank may do nothing."""
    given = os.environ.get(WATCH_SECONDS, "6")
    try:
        seconds = float(given)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        sys.exit(f"Error: {WATCH_SECONDS} is {given!r}: expected seconds, or 0 for no watch")
    return seconds


def _finalize() -> None:
    """End the work with MPI here, or a status other than 0 would be taken for a failure of one rank alone."""
    from mpi4py import MPI

    MPI.Finalize()


def _divide_threads() -> None:
    """Give each rank of a machine its part of the cores, unless NUMBA_NUM_THREADS says otherwise."""
    if sys.platform != "linux":
        own = set(range(os.cpu_count() or 1))
    else:
        own = os.sched_getaffinity(0)  # those that the launcher has given it, perhaps
    found = [cores for host, cores in distributed.gather((socket.gethostname(), own)) if host == socket.gethostname()]
    threads = max(1, min(len(own), len(set().union(*found)) // len(found)))
    os.environ.setdefault("NUMBA_NUM_THREADS", str(threads))  # which Numba reads when it is loaded, later


def gathered(*values: float) -> NDArray[np.float64]:
    """Some numbers of each rank, on all of them: float64 (ranks, values). Takes less time than `distributed.gather`."""
    own, of_all = np.array(values, np.float64), np.empty((world().size, len(values)))
    if world().size == 1:
        return own[None]
    world().comm.Allgather(own, of_all)
    return of_all
