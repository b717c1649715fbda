"""The `cpu` backend: every kind of work in kernels that Numba compiles, parallel on all cores."""

from ._backend import CpuBackend

__all__ = ["CpuBackend"]
