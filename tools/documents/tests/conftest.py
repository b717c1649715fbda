"""Where examples run: in a folder of their own, on numpy, with the same random numbers each time."""

import pytest

import stackgrad.tensor as sg


@pytest.fixture
def surroundings(tmp_path, monkeypatch):
    sg.set_default_backend("numpy")
    sg.manual_seed(0)
    monkeypatch.chdir(tmp_path)
    yield
    sg.set_default_backend(None)
