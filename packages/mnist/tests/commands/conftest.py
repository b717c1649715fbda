"""What the commands are given: data and runs to be damaged, and a picture."""

import shutil
from pathlib import Path

import pytest
from PIL import Image

from stackgrad.mnist import Dataset


@pytest.fixture
def data(folder: Path, tmp_path: Path) -> Path:
    """A copy of the small data set."""
    return Path(shutil.copytree(folder, tmp_path / "data"))


@pytest.fixture
def run(trained_course: Path) -> Path:
    """A copy of a run, "run" in the test's folder."""
    return Path(shutil.copytree(trained_course, "run"))


@pytest.fixture
def picture(mnist: Dataset) -> Path:
    """A seven."""
    Image.fromarray(mnist.test.images[0]).save("seven.png")
    return Path("seven.png")
