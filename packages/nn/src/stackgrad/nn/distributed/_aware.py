"""Detection of a CUDA-aware MPI library, which accesses GPU memory itself."""

from __future__ import annotations

import ctypes
from functools import cache


@cache
def is_cuda_aware() -> bool:
    """Whether the MPI library of mpi4py reports support for CUDA; False if it cannot be asked.

    Open MPI and MPICH return 1 if they were built for CUDA and it is enabled. Open MPI before 5 reports only how it was
    built, so its answer is not trusted.
    """
    from mpi4py import MPI

    vendor, version = MPI.get_vendor()
    if vendor == "Open MPI" and version < (5,):
        return False
    try:
        query = ctypes.CDLL(MPI.__file__).MPIX_Query_cuda_support  # also searches its dependencies
    except (OSError, AttributeError):
        return False
    return int(query()) == 1
