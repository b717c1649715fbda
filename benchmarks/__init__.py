"""Benchmarks for asv: `nox -s bench`."""

import os
import tempfile
from pathlib import Path

# Kernels cached on disk outlive the installation: without a folder for each commit, one would run another's code.
os.environ["NUMBA_CACHE_DIR"] = str(
    Path(tempfile.gettempdir()) / "stackgrad-benchmarks" / os.environ.get("ASV_COMMIT", "tree")
)
