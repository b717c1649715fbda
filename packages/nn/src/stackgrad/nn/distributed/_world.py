"""The processes that train together."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from stackgrad.tensor._random import RowsBefore

ROWS = 2**24  # more than a rank's share of a batch has
_LAUNCHERS = ("PMI_RANK", "PMIX_RANK", "OMPI_COMM_WORLD_RANK", "MPI_LOCALRANKID")


@dataclass(frozen=True)
class World:
    """All processes of the program, and which of them this one is.

    Attributes:
        rank: 0 to size - 1.
        size: how many there are; 1 without MPI.
        local_rank, local_size: the same among those of this machine.
        comm: the communicator of mpi4py, for this package alone; None in a world of one without MPI.
        calls: another one, for what each rank has called.
        phases: two more, for the phases of buckets: so that the order in one is no matter for the others.
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
    """The processes that a launcher such as `mpiexec` started, or this one alone. The first call is one of all ranks.

    Raises:
        ImportError: a launcher has started the program, and mpi4py is not installed.
    """
    if not launched():
        return World()
    try:
        from mpi4py import MPI
    except ImportError as error:
        raise ImportError(
            "a launcher of MPI has started this program, and mpi4py does not load: "
            f"pip install 'stackgrad-nn[mpi]' ({error})"
        ) from error
    comm = MPI.COMM_WORLD.Dup()
    machine = comm.Split_type(MPI.COMM_TYPE_SHARED)
    if comm.rank:
        RowsBefore.count = comm.rank * ROWS  # until a batch says which it has: other masks than those of the others
    calls, *phases = (comm.Dup() for _ in range(3))
    return World(comm.rank, comm.size, machine.rank, machine.size, comm, calls, tuple(phases))
