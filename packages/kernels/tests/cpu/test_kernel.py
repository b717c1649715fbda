"""Machine code on disk: another process finds it, it is never stale, and it is not needed if it cannot be written."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from stackgrad.kernels.cpu import _elementwise, _softmax

SCRIPT = """
import json, sys
import numpy as np
from stackgrad import kernels, tensor as sg
from stackgrad.kernels.cpu import _elementwise, _softmax
x = sg.tensor([1.0, 2.0, 3.0])
results = [(x + x).tolist(), [round(p, 3) for p in sg.softmax(x, 0).tolist()]]
imported = "numba" in sys.modules
results.append(kernels.map(lambda v: v * v)(x).tolist())
print(json.dumps({
    "results": results,
    "Numba": imported,
    "table": _elementwise._kernels("add", False).flat.cache_hits,
    "written by hand": _softmax._softmax.cache_hits,
}))
"""
RESULTS = [[2, 4, 6], [0.09, 0.245, 0.665], [1, 4, 9]]
MADE = {"results": RESULTS, "Numba": True, "table": 0, "written by hand": 0}
FOUND = {"results": RESULTS, "Numba": False, "table": 1, "written by hand": 1}


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
    assert first == MADE
    assert second == FOUND
    assert files(tmp_path) == made
    # The loop, the threads' functions, the table's kernel and the one written by hand; a user's function has no file.
    names = sorted({path.name.split("-")[0] for path in made})
    assert names == ["_softmax", "add_flat", "launch", "replay", "serve"]
    assert len({path.parent for path in made}) == 1


def damaged(folder):
    """Damage every file of that cache, each in a different way, and return their number."""
    damages = [lambda blob: b"", lambda blob: blob[:-1], lambda blob: blob[:40], lambda blob: blob[:-9] + b"\xcc" * 9]
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    contents = [path.read_bytes() for path in paths]
    for path, content, damage in zip(paths, contents, damages, strict=False):
        path.write_bytes(damage(content))
    paths[-1].write_bytes(contents[0])  # that of another kernel
    return len(paths)


def test_a_damaged_cache_is_rebuilt(tmp_path):
    run(tmp_path)
    assert damaged(tmp_path) == 5
    again, stderr = run(tmp_path, "-W", "error")
    assert again == MADE
    assert stderr == ""
    assert run(tmp_path)[0] == FOUND


def test_without_a_folder_to_write_to(tmp_path):
    blocked = tmp_path / "file"
    blocked.touch()
    found, stderr = run(blocked)
    assert found == MADE
    assert stderr.count("RuntimeWarning") == 1
    assert f"cannot write to {blocked}" in stderr
    assert files(tmp_path) == {Path("file"): blocked.stat().st_mtime_ns}


def test_kernels_of_the_table_differ_by_their_text():
    add, sub = (_elementwise._kernels(name, False).flat for name in ("add", "sub"))
    assert add._key != sub._key


def test_a_kernel_is_compiled_once_in_a_process():
    kernel = _softmax._log_softmax
    assert kernel[np.dtype("float32")] is not None
    entries = dict(kernel._entries)
    kernel[np.dtype("float32")]
    assert kernel._entries == entries
