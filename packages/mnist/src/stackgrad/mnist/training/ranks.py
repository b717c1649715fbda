"""Training with several processes, started by `mpiexec -n 2 python -m mpi4py -m stackgrad.mnist train`.

Each of these ranks computes its share of each batch. Rank 0 prints and writes files.
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
_SHARED = "train"  # the only command whose work the ranks share


@contextmanager
def one_job(command_line: Sequence[str]) -> Iterator[None]:
    """Within this context, a command runs as a rank of a job, if an MPI launcher started the process.

    Only rank 0 has a standard output. If a rank fails, the whole job ends, see `distributed.watch`. Commands that ranks
    do not share run on rank 0, and the other ranks raise SystemExit.
    """
    if not distributed.launched():
        yield
        return
    if find_spec("mpi4py") is None:
        sys.exit("Error: to run under an MPI launcher, install mpi4py: pip install 'stackgrad-mnist[mpi]'")
    shared = command_line[:1] == [_SHARED]
    try:
        with distributed.watch(_watch_seconds()):
            if not world().is_first:
                null = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, 1)
                os.close(null)
            try:
                distributed.agree("the command line", list(command_line))
            except DisagreementError as error:
                distributed.end(f"Error: {error}", 2)
                sys.exit(2)
            if shared:
                _divide_threads()
                yield
    finally:
        from mpi4py import MPI

        MPI.Finalize()  # else the launcher takes an exit status other than 0 for the failure of one rank
    if not shared:
        if not world().is_first:
            sys.exit()
        yield


def _watch_seconds() -> float:
    """How long a rank may be idle before the job ends; 0 for any time."""
    given = os.environ.get(WATCH_SECONDS, "6")
    try:
        seconds = float(given)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        sys.exit(f"Error: {WATCH_SECONDS} is {given!r}: expected a time in seconds, or 0 for no watch")
    return seconds


def _divide_threads() -> None:
    """Divide the cores of a machine among its ranks, unless NUMBA_NUM_THREADS is set."""
    if sys.platform != "linux":
        own = set(range(os.cpu_count() or 1))
    else:
        own = os.sched_getaffinity(0)  # the launcher may have assigned some cores
    found = [cores for host, cores in distributed.gather((socket.gethostname(), own)) if host == socket.gethostname()]
    threads = max(1, min(len(own), len(set().union(*found)) // len(found)))
    os.environ.setdefault("NUMBA_NUM_THREADS", str(threads))  # Numba reads it when it is imported, which is later


def gathered(*values: float) -> NDArray[np.float64]:
    """The values of all ranks, on every rank: float64 (ranks, values). Faster than `distributed.gather`."""
    own, every = np.array(values, np.float64), np.empty((world().size, len(values)))
    if world().size == 1:
        return own[None]
    world().comm.Allgather(own, every)
    return every
