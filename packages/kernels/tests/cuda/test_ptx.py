"""Compiled kernels are found on disk."""

import numpy as np
import pytest

from stackgrad.kernels.cpu import _disk_cache
from stackgrad.kernels.cuda import _ptx
from stackgrad.kernels.cuda._copy import _fill

F32, F64 = np.dtype("float32"), np.dtype("float64")


@pytest.fixture
def folder(monkeypatch, tmp_path):
    monkeypatch.setattr(_disk_cache, "cache_folder", lambda: tmp_path)
    return tmp_path


def ptx(dtype=F32, target=(9, 0), **options):
    return _ptx.ptx_of(_fill.source(dtype), _fill.signature(dtype), target, _fill.threads, **options)


def test_it_is_compiled_once(folder, monkeypatch):
    made = ptx()
    assert ".visible .entry" in made
    (path,) = folder.iterdir()
    assert path.read_bytes().endswith(made.encode())
    monkeypatch.setattr(_ptx, "compile_to_ptx", lambda *_: "compiled again")
    assert ptx() == made
    assert ptx(F64) == ptx(target=(8, 0)) == "compiled again"
    assert len(list(folder.iterdir())) == 3


def test_another_compiler_compiles_again(folder, monkeypatch):
    monkeypatch.setattr(_ptx, "compile_to_ptx", lambda *_: "compiled")
    ptx()
    monkeypatch.setattr(_ptx, "_surroundings", lambda: ("another",))
    ptx()
    assert len(list(folder.iterdir())) == 2


def test_functions_of_users_leave_no_files(folder):
    assert ".visible .entry" in ptx(keep=False)
    assert not list(folder.iterdir())


def test_a_damaged_file_is_compiled_again(folder, monkeypatch):
    made = ptx()
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    monkeypatch.setattr(_ptx, "compile_to_ptx", lambda *_: "compiled again")
    for damaged in (b"", whole[:-1], whole + b" ", made.encode(), whole.replace(b".entry", b".func ")):
        path.write_bytes(damaged)
        assert ptx() == "compiled again"
        assert ptx() == "compiled again"  # found
        assert path.stat().st_size < len(whole)


def test_a_folder_that_cannot_be_written(folder, monkeypatch):
    monkeypatch.setattr(_disk_cache, "_warned", False)
    (folder / "file").touch()
    monkeypatch.setattr(_disk_cache, "cache_folder", lambda: folder / "file")
    with pytest.warns(RuntimeWarning, match="cannot write to .*file"):
        assert ".visible .entry" in ptx()
    assert ".visible .entry" in ptx()
