"""Installed versions of the packages that the backend needs, and what to install."""

from __future__ import annotations

import os
from importlib.metadata import PackageNotFoundError, version

SIMULATED = os.environ.get("NUMBA_ENABLE_CUDASIM", "0") not in ("", "0")
EXTRA = "'stackgrad-kernels[cuda13]'"
DRIVERS = "580 or newer for [cuda13], 575 or newer for [cuda12]"
COMPILERS = ("nvidia-nvvm", "nvidia-cuda-nvcc-cu12")  # the packages with NVIDIA's compiler, for CUDA 13 and 12
INSTALL = f"pip install {EXTRA} (driver {DRIVERS})"
INSTALL_DRIVER = f"install the driver of your GPU, {DRIVERS}"


def version_of(distribution: str) -> str:
    """The installed version, or an empty string."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""
