import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from stackgrad.mnist import Dataset

Cli = Callable[..., subprocess.CompletedProcess[str]]
NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


@pytest.fixture
def picture(mnist: Dataset) -> Path:
    Image.fromarray(mnist.test.images[0]).save("seven.png")
    return Path("seven.png")


def test_json(trained: Path, picture: Path, cli: Cli) -> None:
    result = cli("predict", picture, picture, "--run", trained, "--backend", "numpy", "--json")
    assert (result.returncode, result.stderr) == (0, "")
    first, second = json.loads(result.stdout)
    assert first == second
    assert (first["image"], first["answer"]) == ("seven.png", "7")
    assert list(first["probabilities"]) == list("0123456789")
    assert sum(first["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert max(first["probabilities"], key=first["probabilities"].get) == "7"


def test_named_classes(trained: Path, picture: Path, cli: Cli) -> None:
    Path("names.txt").write_text("\n".join(NAMES))
    for given in ("names.txt", ",".join(NAMES)):
        result = cli("predict", picture, "--run", trained, "--backend", "numpy", "--labels", given)
        assert result.stdout.startswith("seven.png: seven (")
    result = cli("predict", picture, "--run", trained, "--labels", ",".join(NAMES) + ",ten")
    assert (result.returncode, result.stderr) == (2, "Error: 11 names of classes; the model tells 10 apart\n")
    result = cli("predict", picture, "--run", trained, "--labels", "away.txt")
    assert result.stderr.startswith("Error: away.txt: No such file or directory; expected a file with a name of a ")
    assert result.returncode == 2
