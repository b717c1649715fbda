"""The modules that importing the package loads."""

import subprocess
import sys

import pytest

import stackgrad.tensor


def modules_after(code: str) -> set[str]:
    code += "; import sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return set(done.stdout.split())


def test_importing_the_package_imports_numpy_and_no_more():
    new = modules_after("import stackgrad.tensor") - modules_after("import numpy")
    heavy = ("numba", "llvmlite", "scipy", "hypothesis", "safetensors", "pytest", "importlib.metadata")
    assert not [name for name in new if name.startswith(heavy)]
    assert not [name for name in new if name.startswith("stackgrad") and "testing" in name]
    assert not [name for name in new if name.startswith("stackgrad.") and not name.startswith("stackgrad.tensor")]


def test_the_namespace_belongs_to_no_package():
    import stackgrad

    assert not hasattr(stackgrad, "__file__") or stackgrad.__file__ is None


def test_public_names():
    assert len(stackgrad.tensor.__all__) == len(set(stackgrad.tensor.__all__))
    for name in stackgrad.tensor.__all__:
        assert hasattr(stackgrad.tensor, name)
    parts = stackgrad.tensor.__version__.split(".")
    assert len(parts) == 3
    assert all(part.isdigit() for part in parts)


FUNCTIONS = [name for name in stackgrad.tensor.__all__ if callable(getattr(stackgrad.tensor, name))]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_public_functions_and_classes_have_docstrings(name):
    assert getattr(stackgrad.tensor, name).__doc__
