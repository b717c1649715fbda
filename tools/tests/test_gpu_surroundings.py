"""tools/gpu_check.py needs few packages: these tests run Python with nothing installed, as on a bare machine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools._gpu import surroundings

ROOT = Path(__file__).resolve().parents[2]
BARE = f"""
import os, subprocess, sys
from pathlib import Path

sys.path.insert(0, {str(ROOT)!r})
from tools._gpu import surroundings

surroundings.make_importable(Path({str(ROOT)!r}))
import click, platformdirs, safetensors.numpy
from importlib.metadata import entry_points

assert surroundings.is_installed("platformdirs")
assert not surroundings.is_installed("hypothesis")
from importlib.util import find_spec

find_spec("hypothesis")  # PyTorch's optimizers do so
assert entry_points(group="stackgrad.backends").names == {{"cpu", "numpy", "cuda"}}
environment = {{**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}}
child = "import platformdirs; print(platformdirs.user_cache_dir('stackgrad'))"
subprocess.run([sys.executable, "-S", "-c", child], env=environment, check=True)
"""


def test_a_machine_where_little_is_installed(tmp_path):
    """A child process finds the cache folder of compiled kernels too."""
    command = [sys.executable, "-S", "-c", BARE]
    done = subprocess.run(command, env={"HOME": str(tmp_path)}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()) == tmp_path / ".cache/stackgrad"


@pytest.mark.parametrize(
    ("toolkit", "installed", "given", "expected"),
    [
        (True, "", None, "the toolkit"),
        (True, "13.0", None, None),
        (True, "", "elsewhere", "elsewhere"),
        (False, "", None, None),
    ],
)
def test_the_machines_own_compiler(monkeypatch, tmp_path, toolkit, installed, given, expected):
    monkeypatch.setenv("CUDA_HOME", given or "")
    if given is None:
        monkeypatch.delenv("CUDA_HOME")
    monkeypatch.setattr(surroundings, "TOOLKIT", tmp_path)
    monkeypatch.setattr(surroundings, "_version", lambda name: installed)
    if toolkit:
        (tmp_path / "nvvm").mkdir()
    surroundings.find_compiler()
    assert os.environ.get("CUDA_HOME") == (str(tmp_path) if expected == "the toolkit" else expected)
