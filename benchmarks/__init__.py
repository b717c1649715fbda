"""Benchmarks for asv: `nox -s bench`.

The files named `bench_` hold them, peers.py compares with PyTorch; docs/performance.md says how to add one. asv imports
every module here, also where PyTorch is not installed: `_peers` has no `__init__.py`, so that asv passes it over.
"""

import os
import sys
import tempfile
from pathlib import Path

# asv finds this folder and nothing beside it.
sys.path.append(str(Path(__file__).parents[1]))

# The kernels' cache is keyed on their sources, so no commit runs another's code. A folder for each commit is still
# wanted: the user's own cache stays as it is, and the first round of a commit is cold whatever was measured before.
# Numba's own cache (NUMBA_CACHE_DIR) is not used by any kernel.
os.environ.setdefault(
    "STACKGRAD_CACHE_DIR",
    str(Path(tempfile.gettempdir()) / "stackgrad-benchmarks" / os.environ.get("ASV_COMMIT", "tree")),
)
