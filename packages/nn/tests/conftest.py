"""The same examples in every run: set HYPOTHESIS_PROFILE=random to look for new ones.

On the numpy backend, where a test names no other and STACKGRAD_BACKEND is not set.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("random", deadline=None)
os.environ.setdefault("STACKGRAD_BACKEND", "numpy")
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Collect the tests under MPI only if they are named, since MPI is not installed by default."""
    return True if collection_path.name == "mpi" and not any("mpi" in argument for argument in config.args) else None
