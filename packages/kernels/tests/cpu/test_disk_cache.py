"""Machine code on disk is that of this Python and this Numba (for the files see ../test_cache_files.py)."""

import numpy as np
import pytest
from numba.core.registry import cpu_target

from stackgrad.kernels import _cache_files
from stackgrad.kernels.cpu import _disk_cache, _kernel
from stackgrad.kernels.cpu._kernel import Kernel


def double(chunk, x, out):
    for i in range(x.size):
        out[i] = 2 * x[i]


def hits():
    """How many of a kernel's compiled forms are found on disk."""
    kernel = Kernel(double, lambda T: (T[::1], T[::1]))
    x = np.arange(5.0)
    kernel[x.dtype](1, x.size, (x, np.empty_like(x)))
    return kernel.cache_hits


@pytest.mark.parametrize("what", ["USING_SVML", "version", "features"])
def test_other_surroundings_compile_again(what, tmp_path, monkeypatch):
    _kernel._team()  # which has machine code of its own
    monkeypatch.setattr(_cache_files, "cache_folder", lambda: tmp_path)
    assert (hits(), hits()) == (0, 1)
    if what == "version":
        monkeypatch.setattr(_disk_cache.numba, "__version__", "99.9")
    elif what == "features":  # of the CPU, from which the width of vectors follows
        monkeypatch.setattr(cpu_target.target_context.codegen(), "_tm_features", "+avx2")
    else:
        monkeypatch.setattr(_disk_cache.numba.config, "USING_SVML", not _disk_cache.numba.config.USING_SVML)
    _disk_cache._made_by.cache_clear()
    try:
        assert hits() == 0
    finally:
        monkeypatch.undo()
        _disk_cache._made_by.cache_clear()
