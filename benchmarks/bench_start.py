"""The start of a new process: imports, and the first training step with and without cached kernels."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ._suite import tracked

# The first step of a default training run, including its imports and compilation.
FIRST_STEP = """
from benchmarks._steps import images, labels, model_on, training_step
training_step(model_on("lenet5"), captured=True)(images(64), labels(64)).item()
"""


def _seconds(code: str, cache: str | None = None) -> float:
    """Seconds that a new process takes for `code`."""
    environment = dict(os.environ)
    environment["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, sys.path)])
    if cache is not None:
        environment["STACKGRAD_CACHE_DIR"] = cache
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    return time.perf_counter() - start


@tracked("seconds", package=[f"stackgrad.{name}" for name in ("tensor", "kernels", "kernels.cpu", "nn", "mnist")])
def track_import(package: str) -> float:
    """Start of Python, import of one package, end; the least of three."""
    return min(_seconds(f"import {package}") for _ in range(3))


@tracked("seconds")
def track_first_step_cold() -> float:
    """Up to the end of lenet5's first training step, where no kernel was ever compiled."""
    with tempfile.TemporaryDirectory() as folder:
        return _seconds(FIRST_STEP, folder)


@tracked("seconds")
def track_first_step_warm() -> float:
    """The same where all kernels lie on disk; the least of three."""
    with tempfile.TemporaryDirectory() as folder:
        _seconds(FIRST_STEP, folder)
        return min(_seconds(FIRST_STEP, folder) for _ in range(3))
