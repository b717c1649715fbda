"""Messages without a GPU, or without the packages to use it."""

import importlib.util
import re
import subprocess
import sys

import pytest

from stackgrad.kernels import cuda
from stackgrad.kernels.cuda import _available
from stackgrad.tensor import available_backends


def test_it_is_installed_under_its_name():
    assert "cuda" in available_backends()


DRIVERS = "580 or newer for [cuda13], 575 or newer for [cuda12]"
NOTHING = (
    f"found no numba-cuda and no NVIDIA driver: install the driver of your GPU, {DRIVERS}, "
    "then pip install 'stackgrad-kernels[cuda13]'; without an NVIDIA GPU there is nothing to install"
)
INSTALL = f"pip install 'stackgrad-kernels[cuda13]' (driver {DRIVERS})"


@pytest.fixture
def without_numba_cuda(monkeypatch):
    """A function that pretends a driver and a simulator or not, and returns the list of libraries asked for."""
    asked = []

    def choose(has_driver, simulated=False):
        def load(name):
            asked.append(name)
            if not has_driver:
                raise OSError("cannot open shared object file")

        monkeypatch.setattr(_available, "find_spec", lambda name: None)
        monkeypatch.setattr(_available, "SIMULATED", simulated)
        monkeypatch.setattr(_available.ctypes, "CDLL", load)
        return asked

    return choose


@pytest.mark.parametrize(
    ("has_driver", "simulated", "text"),
    [
        (False, False, NOTHING),
        (True, False, f"found an NVIDIA driver, but no numba-cuda: {INSTALL}"),
        (False, True, "found no numba-cuda, which simulates a GPU: pip install 'stackgrad-kernels[cuda13]'"),
    ],
)
def test_numba_cuda_is_missing(without_numba_cuda, has_driver, simulated, text):
    without_numba_cuda(has_driver, simulated)
    assert not cuda.is_available()
    assert cuda.what_is_missing() == text
    with pytest.raises(RuntimeError, match=f"^{re.escape(text)}$"):
        cuda.backend()


@pytest.mark.parametrize(("platform", "library"), [("linux", "libcuda.so.1"), ("win32", "nvcuda.dll")])
def test_the_driver_has_another_name_on_windows(without_numba_cuda, monkeypatch, platform, library):
    asked = without_numba_cuda(False)
    monkeypatch.setattr(sys, "platform", platform)
    assert cuda.what_is_missing() == NOTHING
    assert asked == [library]


def test_a_toolkit_that_does_not_load(monkeypatch):
    monkeypatch.setattr(_available, "find_spec", lambda name: object())
    monkeypatch.setitem(sys.modules, "stackgrad.kernels.cuda._driver", None)
    monkeypatch.delattr(cuda, "_driver", raising=False)
    assert not cuda.is_available()
    assert "which does not load (" in cuda.what_is_missing()
    assert "\n" not in cuda.what_is_missing()


def test_importing_it_imports_no_driver():
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
    assert f"no NVIDIA driver: install the driver of your GPU, {DRIVERS}" in cuda.what_is_missing()
    assert cuda.what_is_missing().startswith("found numba-cuda ")
