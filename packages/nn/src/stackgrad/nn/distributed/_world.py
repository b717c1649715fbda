"""The processes that train together."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from stackgrad.tensor._random import RowsBefore

ROWS = 2**24  # more rows than a rank's share of a batch
_LAUNCHERS = ("PMI_RANK", "PMIX_RANK", "OMPI_COMM_WORLD_RANK", "MPI_LOCALRANKID")


@dataclass(frozen=True)
class World:
    """All processes of the program, and the rank of this one.

    Attributes:
        rank: 0 to size - 1.
        size: the number of processes; 1 without MPI.
        local_rank, local_size: the same among the processes on this machine.
        comm: an mpi4py communicator for this package only; None without MPI.
        calls: another communicator, for the comparison of calls.
        phases: two more, for the phases of buckets, whose orders are independent.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1
    comm: Any = None
    calls: Any = field(default=None, repr=False)
    phases: tuple[Any, ...] = field(default=(), repr=False)

    @property
    def is_first(self) -> bool:
        """Whether this is rank 0, which prints and writes."""
        return self.rank == 0


def launched() -> bool:
    """Whether a launcher such as `mpiexec` has started this process."""
    return "mpi4py.MPI" in sys.modules or any(name in os.environ for name in _LAUNCHERS)


@cache
def world() -> World:
    """The processes that a launcher such as `mpiexec` started, or only this one. All ranks must make the first call.

    Raises:
        ImportError: a launcher has started the program, but mpi4py is not installed.
    """
    if not launched():
        return World()
    try:
        from mpi4py import MPI
    except ImportError as error:
        raise ImportError(
            "an MPI launcher has started this program, but mpi4py does not load: "
            f"pip install 'stackgrad-nn[mpi]' ({error})"
        ) from error
    comm = MPI.COMM_WORLD.Dup()
    machine = comm.Split_type(MPI.COMM_TYPE_SHARED)
    if comm.rank:
        RowsBefore.count = comm.rank * ROWS  # different masks on each rank, until a batch sets its first row
    calls, *phases = (comm.Dup() for _ in range(3))
    return World(comm.rank, comm.size, machine.rank, machine.size, comm, calls, tuple(phases))
