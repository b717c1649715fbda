"""These tests need a GPU or, with NUMBA_ENABLE_CUDASIM=1, Numba's simulator of one: `nox -s tests-cuda-simulator`.

Kernels are compiled without either by test_compile.py: `nox -s tests-cuda-compile`.
"""

import os
from importlib.util import find_spec

from stackgrad.kernels.cuda import is_available

SIMULATED = os.environ.get("NUMBA_ENABLE_CUDASIM", "0") not in ("", "0")

collect_ignore = []
if not is_available():
    collect_ignore += [
        f"test_{name}.py" for name in ("array", "backend", "capture", "custom", "dlpack", "kernel", "memory", "reduce")
    ]
if SIMULATED or find_spec("numba_cuda") is None:
    collect_ignore.append("test_compile.py")
