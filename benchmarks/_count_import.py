"""The process that counts imports: python -m benchmarks._count_import PACKAGE..., under valgrind.

The imports that a package depends on, such as NumPy and Numba, come first and are not counted.
"""

from __future__ import annotations

import importlib
import sys
from functools import partial

from tools import callgrind

DEPENDS_ON = {
    "stackgrad.tensor": ("numpy",),
    "stackgrad.nn": ("numpy",),
    "stackgrad.kernels": ("numba", "stackgrad.nn"),
    "stackgrad.mnist": ("numba", "stackgrad.nn"),
}

if __name__ == "__main__":
    packages = sys.argv[1:]
    for package in packages:
        for below in DEPENDS_ON[package]:
            importlib.import_module(below)
    callgrind.count({f"import {package}": partial(importlib.import_module, package) for package in packages}, warm=0)
