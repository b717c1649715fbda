"""Copies of data and runs that tests may damage."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def data(folder: Path, tmp_path: Path) -> Path:
    """A copy of the small data set."""
    return Path(shutil.copytree(folder, tmp_path / "data"))


@pytest.fixture
def run(trained_course: Path) -> Path:
    """A copy of a run, as "run" in the test's folder."""
    return Path(shutil.copytree(trained_course, "run"))
