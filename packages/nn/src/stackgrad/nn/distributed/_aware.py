"""Whether the MPI library reads and writes the memory of GPUs itself."""

from __future__ import annotations

import ctypes
from functools import cache


@cache
def is_cuda_aware() -> bool:
    """What the library that mpi4py is linked with answers; False where it has no function to be asked.

    Open MPI and MPICH have one: 1 where they were built for CUDA and it is not switched off. Open MPI before 5 tells
    the first alone, so it is not trusted.
    """
    from mpi4py import MPI

    vendor, version = MPI.get_vendor()
    if vendor == "Open MPI" and version < (5,):
        return False
    try:
        query = ctypes.CDLL(MPI.__file__).MPIX_Query_cuda_support  # searches the libraries that this one needs, too
    except (OSError, AttributeError):
        return False
    return int(query()) == 1
