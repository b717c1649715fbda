"""Every run uses the same examples: set HYPOTHESIS_PROFILE=random to draw new ones."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from stackgrad.tensor import set_default_backend

settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("random", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


@pytest.fixture(autouse=True)
def _on_numpy() -> Iterator[None]:
    set_default_backend("numpy")
    yield
    set_default_backend(None)
