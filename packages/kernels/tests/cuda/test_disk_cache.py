"""Compiled kernels are found on disk."""

import numpy as np
import pytest

from stackgrad.kernels import _cache_files
from stackgrad.kernels.cuda import _disk_cache
from stackgrad.kernels.cuda._copy import _fill
from stackgrad.kernels.cuda._driver import compile_to_ptx

F32, F64 = np.dtype("float32"), np.dtype("float64")


@pytest.fixture
def folder(monkeypatch, tmp_path):
    monkeypatch.setattr(_cache_files, "cache_folder", lambda: tmp_path)
    return tmp_path


def ptx(dtype=F32, target=(9, 0), compiler=compile_to_ptx):
    return _disk_cache.ptx_of(compiler, _fill.source(dtype), _fill.signature(dtype), target, _fill.threads)


def again(*_):
    return "compiled again"


def test_it_is_compiled_once(folder):
    made = ptx()
    assert ".visible .entry" in made
    (path,) = folder.iterdir()
    assert path.read_bytes().endswith(made.encode())
    assert ptx(compiler=again) == made
    assert ptx(F64, compiler=again) == ptx(target=(8, 0), compiler=again) == "compiled again"
    assert len(list(folder.iterdir())) == 3


def test_another_compiler_compiles_again(folder, monkeypatch):
    ptx(compiler=again)
    monkeypatch.setattr(_disk_cache, "_surroundings", lambda: ("another",))
    ptx(compiler=again)
    assert len(list(folder.iterdir())) == 2


def test_a_damaged_file_is_compiled_again(folder):
    made = ptx()
    (path,) = folder.iterdir()
    complete = path.read_bytes()
    for damaged in (b"", complete[:-1], complete + b" ", made.encode(), complete.replace(b".entry", b".func ")):
        path.write_bytes(damaged)
        assert ptx(compiler=again) == "compiled again"
        assert ptx() == "compiled again"  # found on disk
        assert path.stat().st_size < len(complete)


def test_a_folder_that_cannot_be_written(folder, monkeypatch):
    monkeypatch.setattr(_cache_files, "_warned", False)
    (folder / "file").touch()
    monkeypatch.setattr(_cache_files, "cache_folder", lambda: folder / "file")
    with pytest.warns(RuntimeWarning, match="cannot write to .*file"):
        assert ".visible .entry" in ptx()
    assert ".visible .entry" in ptx()
