"""Whether there is a GPU to work on, and if not, what to do about it."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

INSTALL = "pip install 'stackgrad-kernels[cuda13]' (or [cuda12] for drivers of 575 to 579)"


def is_available() -> bool:
    """Whether the `cuda` backend can work here: numba-cuda, NVIDIA's driver and a GPU, or Numba's simulator of one.

    Never raises.
    """
    return not what_is_missing()


def what_is_missing() -> str:
    """One line on what was found, what is missing and what to install; empty where nothing is missing. Never raises."""
    if find_spec("numba_cuda") is None:
        return f"numba-cuda is not installed: {INSTALL}"
    found = f"found numba-cuda {_version('numba-cuda')}"
    try:
        from . import _driver
    except Exception as error:
        return f"{found}, which does not load ({_one_line(error)}): {INSTALL}"
    try:
        missing = _driver.what_is_missing()
    except Exception as error:
        missing = f"the driver does not answer ({_one_line(error)})"
    return f"{found}, but {missing}" if missing else ""


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "of no known version"


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
