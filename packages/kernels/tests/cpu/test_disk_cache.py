"""Machine code on disk belongs to this CPU, this Python and this Numba (see ../test_cache_files.py for the files)."""

import numpy as np
import pytest

from stackgrad.kernels import _cache_files
from stackgrad.kernels.cpu import _disk_cache, _kernel
from stackgrad.kernels.cpu._kernel import Kernel
from stackgrad.kernels.cpu._pointers import Memory, load, store


def double(chunk, x, out):
    store(out, chunk, 2 * load(x, chunk))


def hits():
    """How many of a kernel's compiled variants are found on disk."""
    kernel = Kernel(double, lambda T: (Memory(T), Memory(T)))
    x = np.arange(5.0)
    kernel[x.dtype](x.size, x.size, (x, np.empty_like(x)))
    return kernel.cache_hits


OTHERS = {
    "version of Numba": (_disk_cache, "version", lambda name: "99.9"),
    "version of llvmlite": (_disk_cache.llvmlite, "__version__", "99.9"),
    "version of Python": (_disk_cache.sys, "version", "99.9"),
    "features of the CPU": (_disk_cache.binding, "get_host_cpu_features", _disk_cache.binding.targets.FeatureMap),
    "CPU": (_disk_cache.binding, "get_host_cpu_name", lambda: "another"),
    "system": (_disk_cache.binding, "get_process_triple", lambda: "another"),
    "SVML": (_disk_cache, "_uses_svml", lambda: True),
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty cache, with no results remembered from another one."""
    _kernel._team()  # it has machine code of its own
    monkeypatch.setattr(_cache_files, "cache_folder", lambda: tmp_path)
    yield tmp_path
    _disk_cache._surroundings.cache_clear()


def known_again():
    _disk_cache._surroundings.cache_clear()
    return hits()


@pytest.mark.parametrize("what", OTHERS)
def test_other_surroundings_compile_again(what, folder, monkeypatch):
    assert (hits(), known_again()) == (0, 1)
    monkeypatch.setattr(*OTHERS[what])
    assert known_again() == 0
    monkeypatch.undo()


def surroundings():
    _disk_cache._surroundings.cache_clear()
    return _disk_cache._surroundings()


@pytest.mark.parametrize("setting", ["CPU_NAME", "CPU_FEATURES", "ENABLE_AVX", "OPT"])
def test_other_settings_of_numba_compile_again(setting, folder, monkeypatch):
    before = surroundings()
    monkeypatch.setenv(f"NUMBA_{setting}", "0")
    assert surroundings() != before


def test_another_host_does_not_matter_where_numba_is_told_the_cpu(folder, monkeypatch):
    """Under valgrind, for instance, the host has fewer features."""
    monkeypatch.setenv("NUMBA_CPU_NAME", "haswell")
    monkeypatch.setenv("NUMBA_CPU_FEATURES", "+avx2")
    before = surroundings()
    for what in ("CPU", "features of the CPU"):
        monkeypatch.setattr(*OTHERS[what])
    assert surroundings() == before


def test_other_settings_in_a_file_compile_again(folder, monkeypatch):
    monkeypatch.chdir(folder)
    before = surroundings()
    (folder / ".numba_config.yaml").write_text("opt: 1")
    assert surroundings() != before
