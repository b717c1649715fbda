"""The `cuda` backend: every kind of work in kernels that Numba compiles for NVIDIA's GPUs.

Importing this needs neither numba-cuda nor a GPU. `_driver` is the one file that imports them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._available import is_available, what_is_missing

if TYPE_CHECKING:
    from ._backend import CudaBackend

__all__ = ["backend", "is_available", "what_is_missing"]


def backend() -> CudaBackend:
    """The backend. Raises RuntimeError that says what was found, what is missing and what to install."""
    missing = what_is_missing()
    if missing:
        raise RuntimeError(missing)
    from ._backend import CudaBackend

    return CudaBackend()
