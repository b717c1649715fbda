"""The drawings of the guides are those that the program draws."""

import pytest

from stackgrad.tensor import set_default_backend
from tools.pictures import FOLDER, PICTURES


@pytest.fixture(autouse=True)
def _on_numpy():
    set_default_backend("numpy")
    yield
    set_default_backend(None)


@pytest.mark.parametrize("name", PICTURES)
def test_pictures(name):
    assert (FOLDER / f"{name}.svg").read_text(encoding="utf-8") == PICTURES[name]()
