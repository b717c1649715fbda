"""Make the packages importable without an installation, and describe the machine."""

from __future__ import annotations

import atexit
import os
import platform
import shutil
import sys
import tempfile
import tomllib
from importlib.machinery import ModuleSpec
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

# Modules that the packages import at the top, and that are not needed here.
NOT_NEEDED = (
    *("hypothesis", "safetensors", "safetensors.numpy", "mnist", "PIL", "PIL.Image", "filelock", "click", "tqdm"),
)
# The part of platformdirs that the packages use. It is a file, since child processes need it and have no stand-ins.
PLATFORMDIRS = """
from pathlib import Path

def user_cache_dir(name):
    return str(Path.home() / ".cache" / name)
"""
COMPILERS = ("nvidia-nvvm", "nvidia-cuda-nvcc-cu12")  # the packages that contain libNVVM
TOOLKIT = Path("/usr/local/cuda")
DISTRIBUTIONS = ("numba-cuda", "numba", "numpy", "cuda-core", "cuda-bindings", "torch")


class _Absent(ModuleType):
    """Stand-in for a module that is not installed: every attribute is an empty class."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (Exception,), {})


def is_installed(name: str) -> bool:
    """Whether a module is installed, not a stand-in for it."""
    return not isinstance(sys.modules.get(name), _Absent) and find_spec(name) is not None


def make_importable(root: Path) -> None:
    """Make the packages of this tree importable, and register their backends."""
    for package in ("tensor", "kernels", "nn", "mnist"):
        sys.path.insert(0, str(root / "packages" / package / "src"))
    for name in NOT_NEEDED:
        if not is_installed(name.partition(".")[0]):
            sys.modules[name] = _Absent(name)
            sys.modules[name].__spec__ = ModuleSpec(name, None)  # PyTorch's optimizers look for one
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    if not is_installed("platformdirs"):
        (folder / "platformdirs.py").write_text(PLATFORMDIRS, encoding="utf-8")
    for package in ("tensor", "kernels"):
        text = (root / "packages" / package / "pyproject.toml").read_text(encoding="utf-8")
        _announce(folder, tomllib.loads(text)["project"])
    sys.path.append(str(folder))


def find_compiler() -> None:
    """Let numba-cuda find libNVVM if only the machine's CUDA toolkit has it."""
    if (TOOLKIT / "nvvm").is_dir() and not any(map(_version, COMPILERS)):
        os.environ.setdefault("CUDA_HOME", str(TOOLKIT))


def _announce(folder: Path, project: dict[str, Any]) -> None:
    """Register the backends of a package, as its installation would."""
    if not _version(project["name"]):
        made = folder / f"{project['name'].replace('-', '_')}-0.dist-info"
        made.mkdir()
        (made / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: 0\n")
        points = project["entry-points"]["stackgrad.backends"].items()
        lines = "".join(f"{name} = {target}\n" for name, target in points)
        (made / "entry_points.txt").write_text(f"[stackgrad.backends]\n{lines}")


def device_name() -> str:
    """The name of the GPU."""
    from stackgrad.kernels.cuda._driver import device

    return device().name


def versions() -> str:
    """The versions of Python, the driver and the packages."""
    found = [*_driver(), f"Python {platform.python_version()}"]
    found += [f"{name} {_version(name)}" for name in DISTRIBUTIONS if _version(name)]
    return ", ".join(found)


def _driver() -> list[str]:
    """The CUDA version that NVIDIA's driver supports; nothing in the simulator."""
    from stackgrad.kernels.cuda._driver import SIMULATED, dotted

    if SIMULATED:
        return []
    from cuda.bindings import driver

    _, known = driver.cuDriverGetVersion()
    return [f"driver for CUDA {dotted(known)}"]


def _version(distribution: str) -> str:
    """The installed version, or an empty string."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""
