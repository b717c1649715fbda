"""Benchmarks for asv: `nox -s bench`.

They are in the files named `bench_`; peers.py compares with PyTorch. docs/performance.md explains how to add one. asv
imports every module here, even if PyTorch is not installed: `_peers` has no `__init__.py`, so that asv skips it.
"""

import os
import sys
import tempfile
from pathlib import Path

# asv finds only this folder, not the root.
sys.path.append(str(Path(__file__).parents[1]))

# The kernels' cache is keyed by their sources, so no commit runs the code of another. Each commit still has its own
# folder: this leaves the user's cache unchanged, and the first round of a commit always starts cold. The kernels do not
# use Numba's own cache (NUMBA_CACHE_DIR).
os.environ.setdefault(
    "STACKGRAD_CACHE_DIR",
    str(Path(tempfile.gettempdir()) / "stackgrad-benchmarks" / os.environ.get("ASV_COMMIT", "tree")),
)
