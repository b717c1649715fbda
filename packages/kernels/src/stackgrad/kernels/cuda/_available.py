"""Whether a GPU can be used, and if not, what to do about it."""

from __future__ import annotations

import ctypes
import sys
from importlib.util import find_spec

from ._installed import EXTRA, INSTALL, INSTALL_DRIVER, SIMULATED, version_of


def is_available() -> bool:
    """Whether the `cuda` backend works here, with numba-cuda, NVIDIA's driver and a GPU, or with Numba's simulator.

    Never raises.
    """
    return not what_is_missing()


def what_is_missing() -> str:
    """One line on what was found, what is missing and what to install; empty if nothing is missing. Never raises."""
    if find_spec("numba_cuda") is None:
        return _without_numba_cuda()
    found = f"found numba-cuda {version_of('numba-cuda') or 'of no known version'}"
    try:
        from . import _driver
    except Exception as error:
        return f"{found}, which does not load ({_one_line(error)}): {INSTALL}"
    try:
        missing = _driver.what_is_missing()
    except Exception as error:
        missing = f"the driver does not answer ({_one_line(error)})"
    return f"{found}, but {missing}" if missing else ""


def _without_numba_cuda() -> str:
    """Look for a driver first: numba-cuda and its compiler are a large download, and useless without a driver."""
    if SIMULATED:
        return f"found no numba-cuda, which simulates a GPU: pip install {EXTRA}"
    if _has_driver():
        return f"found an NVIDIA driver, but no numba-cuda: {INSTALL}"
    return (
        f"found no numba-cuda and no NVIDIA driver: {INSTALL_DRIVER}, then pip install {EXTRA}; "
        "without an NVIDIA GPU there is nothing to install"
    )


def _has_driver() -> bool:
    """Whether the driver's library can be loaded. Loading it starts nothing: that takes a call of cuInit."""
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
