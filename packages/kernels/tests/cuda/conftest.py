"""These tests need a GPU or, with NUMBA_ENABLE_CUDASIM=1, Numba's simulator of one: `nox -s tests-cuda-simulator`.

Kernels are compiled without either: `nox -s tests-cuda-compile`.
"""

import os
from importlib.util import find_spec

from stackgrad.kernels.cuda import is_available

SIMULATED = os.environ.get("NUMBA_ENABLE_CUDASIM", "0") not in ("", "0")

# What is ignored is collected by the sessions named above.
ON_A_DEVICE = (
    *("array", "backend", "capture", "custom", "elementwise", "exchange", "gpu_check", "indexing"),
    *("kernel", "matmul", "memory", "norm", "optim", "pool", "random", "reduce", "softmax"),
)
collect_ignore = [] if is_available() else ["conv", *[f"test_{name}.py" for name in ON_A_DEVICE]]
if SIMULATED or find_spec("numba_cuda") is None:
    collect_ignore += ["test_compile.py", "test_disk_cache.py", "test_driver.py"]
