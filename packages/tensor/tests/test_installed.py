"""How backends are found by name."""

import copy
import os
import pickle
import subprocess
import sys
from functools import cache
from importlib.metadata import EntryPoint

import numpy as np
import pytest

from stackgrad.tensor import (
    HostBackend,
    NumpyBackend,
    _installed,
    available_backends,
    float64,
    get_backend,
    set_default_backend,
    tensor,
    zeros,
)


@pytest.fixture
def entries(monkeypatch: pytest.MonkeyPatch) -> dict[str, EntryPoint]:
    """The installed entry points; a test may add to them."""
    group = "stackgrad.backends"
    found = {
        "numpy": EntryPoint("numpy", "stackgrad.tensor._numpy:NumpyBackend", group),
        "absent": EntryPoint("absent", "no_such_module:Backend", group),
        "failing": EntryPoint("failing", "stackgrad.tensor._numpy:NoSuchClass", group),
    }
    monkeypatch.setattr(_installed, "_installed", lambda: found)
    monkeypatch.delenv("STACKGRAD_BACKEND", raising=False)
    monkeypatch.setattr(
        _installed, "_load", cache(_installed._load.__wrapped__)
    )  # other tests' tensors keep their backend
    set_default_backend(None)
    return found


def test_numpy_is_found_by_its_entry_point():
    assert "numpy" in available_backends()
    assert type(get_backend("numpy")) is NumpyBackend
    assert get_backend("numpy") is get_backend("numpy")
    assert issubclass(NumpyBackend, HostBackend)


def test_a_backend_can_be_passed_as_an_object():
    own = type("Own", (NumpyBackend,), {"name": "own"})()
    assert get_backend(own) is own
    assert zeros(2, backend=own).backend is own
    assert tensor(zeros(2, backend=own)).backend is own


def test_a_name_that_is_not_installed_is_an_error(entries):
    with pytest.raises(
        ValueError, match="backend 'nowhere' is not installed: expected one of absent, failing, numpy; 'cpu' and"
    ):
        get_backend("nowhere")
    with pytest.raises(ValueError, match="backend 'nowhere' is not installed"):
        set_default_backend("nowhere")
    with pytest.raises(ValueError, match="backend 'nowhere' is not installed"):
        zeros(2, backend="nowhere")


@pytest.mark.parametrize("dtype", [float64, np.float64, np.dtype("float64"), float, "float64", "double"])
def test_a_dtype_given_as_a_backend_is_named(entries, dtype):
    message = (
        "float64 is a dtype, not a backend: expected one of absent, failing, numpy; .astype.float64. converts a tensor"
    )
    if isinstance(dtype, str):
        with pytest.raises(ValueError, match=message):
            zeros(2).to(dtype)
    else:
        assert zeros(2).to(dtype).dtype == "float64"
    with pytest.raises((TypeError, ValueError), match=message):
        zeros(2, backend=dtype)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (NumpyBackend, "NumpyBackend is the class of a backend: pass its name, 'numpy', or an instance"),
        (type("Own", (NumpyBackend,), {"name": "own"}), "Own is the class of a backend: pass its name, 'own', or"),
        (zeros, "function is not a backend: expected one of absent, failing, numpy, by its name"),
        (copy, "module is not a backend"),
        (5, "int is not a backend"),
        ([1, 2], "list is not a backend"),
        (np.ones(2), "ndarray is not a backend"),
    ],
)
def test_arguments_that_are_not_backends_are_named(entries, given, message):
    for use in (get_backend, set_default_backend, zeros(2).to, lambda x: zeros(2, backend=x)):
        with pytest.raises(TypeError, match=message):
            use(given)


@pytest.mark.parametrize(
    ("name", "reason"), [("absent", "No module named 'no_such_module'"), ("failing", "NoSuchClass")]
)
def test_a_backend_that_fails_to_load_gives_the_reason(entries, name, reason):
    with pytest.raises(RuntimeError, match=rf"^backend '{name}' does not load: .*{reason}"):
        get_backend(name)


def test_the_default_is_cpu_where_it_is_installed(entries):
    assert get_backend().name == "numpy"
    entries["cpu"] = entries["numpy"]
    assert get_backend() is get_backend("cpu")
    assert get_backend() is not get_backend("numpy")


def test_a_default_that_does_not_load_is_an_error(entries):
    entries["cpu"] = entries["absent"]
    with pytest.raises(RuntimeError, match=r"^backend 'cpu' does not load: No module named 'no_such_module'"):
        zeros(2)


def test_the_default_can_be_set(entries, monkeypatch):
    entries["second"] = entries["numpy"]
    monkeypatch.setenv("STACKGRAD_BACKEND", "second")
    assert zeros(2).backend is get_backend("second")
    set_default_backend("numpy")
    assert zeros(2).backend is get_backend("numpy")
    own = type("Own", (NumpyBackend,), {"name": "own"})()
    set_default_backend(own)
    assert zeros(2).backend is own
    set_default_backend(None)
    assert zeros(2).backend is get_backend("second")


@pytest.mark.parametrize(
    ("value", "expected"),
    [("numpy", "<numpy backend>"), ("nowhere", "ValueError: backend 'nowhere' is not installed: expected one of")],
)
def test_the_environment_chooses(value, expected):
    code = "from stackgrad.tensor import zeros; print(zeros(2).backend)"
    environment = {**os.environ, "STACKGRAD_BACKEND": value}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert expected in done.stdout + done.stderr
    assert (done.returncode == 0) == (value == "numpy")


def test_copies_of_a_backend_are_the_backend():
    own = type("Own", (NumpyBackend,), {"name": "own"})()
    assert copy.deepcopy(own) is own
    assert pickle.loads(pickle.dumps(get_backend("numpy"))) is get_backend("numpy")
