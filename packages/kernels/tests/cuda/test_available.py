"""What is said where there is no GPU, or nothing to use it with."""

import importlib.util
import subprocess
import sys

import pytest

from stackgrad.kernels import cuda
from stackgrad.kernels.cuda import _available
from stackgrad.tensor import available_backends


def test_it_is_installed_under_its_name():
    assert "cuda" in available_backends()


def test_numba_cuda_is_missing(monkeypatch):
    monkeypatch.setattr(_available, "find_spec", lambda name: None)
    assert not cuda.is_available()
    assert cuda.what_is_missing() == (
        "numba-cuda is not installed: pip install 'stackgrad-kernels[cuda13]' (or [cuda12] for drivers of 575 to 579)"
    )
    with pytest.raises(RuntimeError, match=r"^numba-cuda is not installed"):
        cuda.backend()


def test_a_toolkit_that_does_not_load(monkeypatch):
    monkeypatch.setattr(_available, "find_spec", lambda name: object())
    monkeypatch.setitem(sys.modules, "stackgrad.kernels.cuda._driver", None)
    monkeypatch.delattr(cuda, "_driver", raising=False)
    assert not cuda.is_available()
    assert "which does not load (" in cuda.what_is_missing()
    assert "\n" not in cuda.what_is_missing()


def test_importing_it_takes_nothing_along():
    source = (
        "import sys; from stackgrad.kernels import cuda; assert 'stackgrad.kernels.cuda._driver' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", source], check=True)


numba_cuda_alone = pytest.mark.skipif(
    importlib.util.find_spec("numba_cuda") is None or cuda.is_available(),
    reason="there is a GPU or a simulator of one, or no numba-cuda",
)


@numba_cuda_alone
def test_a_driver_is_missing():
    assert "no NVIDIA driver: install the driver of your GPU" in cuda.what_is_missing()
    assert cuda.what_is_missing().startswith("found numba-cuda ")
