"""What the package is to those who install it."""

import re
import subprocess
import sys
from pathlib import Path

from stackgrad import kernels
from stackgrad.tensor import available_backends, get_backend

ROOT = Path(__file__).parents[1]


def test_public_names():
    assert kernels.__all__ == sorted(kernels.__all__)
    for name in kernels.__all__:
        assert getattr(kernels, name).__doc__
    assert re.fullmatch(r"\d+\.\d+\.\d+", kernels.__version__)


def test_the_backend_is_found():
    assert "cpu" in available_backends()
    assert repr(get_backend("cpu")) == "<cpu backend>"


def test_it_is_loaded_with_the_first_tensor_and_not_on_import():
    source = (
        "import sys, stackgrad.tensor as sg; assert 'numba' not in sys.modules; sg.ones(1, backend='numpy'); "
        "assert 'numba' not in sys.modules; sg.ones(1); assert 'numba' in sys.modules"
    )
    subprocess.run(
        [sys.executable, "-W", "error", "-c", source], check=True, env={"PATH": "", "HOME": str(Path.home())}
    )


def test_files_stay_small():
    for path in (ROOT / "src").rglob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 400, path
