"""Machine code on disk: found again by another process, never stale, and done without where it cannot be written."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from stackgrad.kernels.cpu import _elementwise, _jit, _softmax

SCRIPT = """
import json
import numpy as np
from stackgrad import kernels, tensor as sg
from stackgrad.kernels.cpu import _elementwise, _softmax
x = sg.tensor([1.0, 2.0, 3.0])
results = [(x + x).tolist(), [round(p, 3) for p in sg.softmax(x, 0).tolist()], kernels.map(lambda v: v * v)(x).tolist()]
print(json.dumps({
    "results": results,
    "table": _elementwise._kernels("add", False).flat.cache_hits,
    "written by hand": _softmax._log_softmax.cache_hits,
}))
"""
RESULTS = [[2, 4, 6], [0.09, 0.245, 0.665], [1, 4, 9]]


def run(folder, *options):
    environment = {**os.environ, "STACKGRAD_CACHE_DIR": str(folder), "STACKGRAD_BACKEND": "cpu"}
    process = subprocess.run(
        [sys.executable, *options, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout), process.stderr


def files(folder):
    return {path.relative_to(folder): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_a_second_process_finds_the_kernels(tmp_path):
    first, _ = run(tmp_path, "-W", "error")
    made = files(tmp_path)
    second, _ = run(tmp_path, "-W", "error")
    assert first == {"results": RESULTS, "table": 0, "written by hand": 0}
    assert second == {"results": RESULTS, "table": 1, "written by hand": 1}
    assert files(tmp_path) == made
    # The loop, what its threads do, the table's kernel and the one written by hand; a user's function leaves nothing.
    names = sorted({path.name.split("-")[0] for path in made})
    assert names == ["_launch._log_softmax", "_launch.add_flat", "_team.launch", "_team.replay", "_team.serve"]
    assert len({path.parent for path in made}) == 1


def test_without_a_folder_to_write_to(tmp_path):
    blocked = tmp_path / "file"
    blocked.touch()
    found, stderr = run(blocked / "cache")
    assert found == {"results": RESULTS, "table": 0, "written by hand": 0}
    assert stderr.count("RuntimeWarning") == 1
    assert f"cannot write to {blocked / 'cache'}" in stderr
    assert files(tmp_path) == {Path("file"): blocked.stat().st_mtime_ns}


def test_the_warning_names_the_folder_and_the_way_out(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("STACKGRAD_CACHE_DIR", str(tmp_path / "file"))
    with pytest.warns(RuntimeWarning, match=r"cannot write to .*file.*; set STACKGRAD_CACHE_DIR to a folder"):
        assert _jit.cache_folder.__wrapped__() is None


def test_the_folder_is_named_by_the_sources(tmp_path, monkeypatch):
    monkeypatch.setenv("STACKGRAD_CACHE_DIR", str(tmp_path))
    before = _jit.cache_folder.__wrapped__()
    assert before.parent == tmp_path
    assert list(before.iterdir()) == []
    monkeypatch.setattr(_jit, "_package_digest", lambda: "another" * 10)
    after = _jit.cache_folder.__wrapped__()
    assert after.parent == tmp_path
    assert after != before


def test_the_user_s_cache_folder_is_the_default(monkeypatch, tmp_path):
    monkeypatch.delenv("STACKGRAD_CACHE_DIR", raising=False)
    monkeypatch.setattr(_jit.platformdirs, "user_cache_dir", lambda name: str(tmp_path / name))
    assert _jit.cache_folder.__wrapped__().parent == tmp_path / "stackgrad"


def test_any_change_of_a_source_changes_the_digest(tmp_path, monkeypatch):
    package = Path(_jit.__file__).parents[1]
    copied = tmp_path / "kernels"
    shutil.copytree(package, copied, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(_jit, "__file__", str(copied / "cpu" / "_jit.py"))
    digest = _jit._package_digest.__wrapped__
    assert digest() == _jit._package_digest()
    with (copied / "cpu" / "_parallel.py").open("a") as file:
        file.write("# \n")
    changed = digest()
    assert changed != _jit._package_digest()
    (copied / "cpu" / "_parallel.py").rename(copied / "cpu" / "_other.py")
    assert digest() not in (changed, _jit._package_digest())


def test_kernels_of_the_table_differ_by_their_text():
    add, sub = (_elementwise._kernels(name, False).flat._dispatcher._cache for name in ("add", "sub"))
    assert add._impl.locator.get_source_stamp() != sub._impl.locator.get_source_stamp()
    other = _jit._Locator("of another scalar")
    assert other.get_source_stamp() not in (add._impl.locator.get_source_stamp(), sub._impl.locator.get_source_stamp())


def test_a_kernel_is_compiled_once_in_a_process():
    kernel = _softmax._log_softmax
    assert kernel[np.dtype("float32")] is not None
    entries = dict(kernel._entries)
    kernel[np.dtype("float32")]
    assert kernel._entries == entries
