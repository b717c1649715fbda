import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from stackgrad.mnist import Dataset
from stackgrad.mnist.runs.folder import load_run
from stackgrad.mnist.training.evaluate import probabilities

Cli = Any
NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


@pytest.fixture(scope="session")
def clear_digits(trained: Path, mnist: Dataset) -> dict[int, npt.NDArray[np.uint8]]:
    """One test image per digit: the correctly classified one that the model is surest of."""
    images, labels = mnist.test.images[:500], mnist.test.labels[:500]
    answers = probabilities(load_run(trained).model, images)
    return {digit: images[int((answers[:, digit] * (labels == digit)).argmax())] for digit in range(10)}


def unchanged(image: Image.Image) -> Image.Image:
    return image


def inverted(image: Image.Image) -> Image.Image:
    return image.point(lambda value: 255 - value)


def large(image: Image.Image) -> Image.Image:
    return image.resize((280, 280), Image.Resampling.BICUBIC)


def ink_on_paper(image: Image.Image) -> Image.Image:
    page = Image.new("L", (400, 600), 240)
    page.paste(
        inverted(image).resize((140, 140), Image.Resampling.BICUBIC).point(lambda value: min(value, 240)), (30, 400)
    )
    return page.convert("RGB")


def huge(image: Image.Image) -> Image.Image:
    return large(image).resize((1400, 1400))


@pytest.mark.parametrize("form", [unchanged, inverted, large, ink_on_paper, huge])
def test_predict_recognises_digits(
    form: Callable[[Image.Image], Image.Image], cli: Cli, trained: Path, clear_digits: dict[int, npt.NDArray[np.uint8]]
) -> None:
    for digit, image in clear_digits.items():
        form(Image.fromarray(image)).save(f"{digit}.png")
    out = cli("predict", *(f"{digit}.png" for digit in range(10)), "--run", trained, "--backend", "numpy").good()
    found = re.findall(r"^(\d)\.png: (\d) \((\d+\.\d)%\)$", out, re.MULTILINE)
    assert [name for name, _, _ in found] == list("0123456789")
    wrong = [(name, guess) for name, guess, _ in found if name != guess]
    assert len(wrong) <= (0 if form in (unchanged, inverted) else 1), wrong
    assert all(10 <= float(percentage) <= 100 for _, _, percentage in found)


def test_predict_on_both_backends(cli: Cli, trained: Path, picture: Path) -> None:
    outs = {cli("predict", picture, "--run", trained, "--backend", backend).good() for backend in ("cpu", "numpy")}
    assert len(outs) == 1
    assert outs.pop().startswith("seven.png: 7 (")


def test_predict_the_same_image_twice(cli: Cli, trained: Path, picture: Path) -> None:
    first, second = cli("predict", picture, picture, "--run", trained, "--backend", "numpy").good().splitlines()
    assert first == second


def test_predict_with_the_newest_run(cli: Cli, trained: Path, picture: Path) -> None:
    shutil.copytree(trained, "runs/one")
    assert cli("predict", picture, "--backend", "numpy").good().startswith("seven.png: 7 (")


def test_predict_a_file_whose_name_is_not_text(cli_process: Cli, trained: Path, picture: Path) -> None:
    os.rename(picture, b"\xff.png")
    result = cli_process("predict", os.fsdecode(b"\xff.png"), "--run", trained, "--backend", "numpy")
    assert re.fullmatch(r"\S+\.png: 7 \(\d+\.\d%\)\n", result.good())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("away.png", "away.png: No such file or directory"),
        ("folder", "folder: Is a directory"),
        ("text.png", "text.png: not an image in a known format: expected PNG, JPEG, BMP, GIF or WebP"),
        ("blank.png", "blank.png: the image is blank: no pixel differs from the background"),
        ("cut.png", "cut.png: damaged image: "),
    ],
)
def test_no_image(name: str, message: str, cli: Cli, trained_course: Path, picture: Path) -> None:
    Path("folder").mkdir()
    Path("text.png").write_text("seven")
    Image.new("L", (50, 50), 200).save("blank.png")
    shutil.copy(picture, "cut.png")
    Path("cut.png").write_bytes(picture.read_bytes()[:100])
    result = cli("predict", picture, name, "--run", trained_course, "--backend", "numpy")
    assert result.error().startswith(message)
    assert result.stdout == ""


def test_json(trained: Path, picture: Path, cli: Cli) -> None:
    out = cli("predict", picture, picture, "--run", trained, "--backend", "numpy", "--json").good()
    first, second = json.loads(out)
    assert first == second
    assert (first["image"], first["answer"]) == ("seven.png", "7")
    assert list(first["probabilities"]) == list("0123456789")
    assert sum(first["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert max(first["probabilities"], key=first["probabilities"].get) == "7"


def test_named_classes(trained: Path, picture: Path, cli: Cli) -> None:
    Path("names.txt").write_text("\n".join(NAMES))
    for given in ("names.txt", ",".join(NAMES)):
        out = cli("predict", picture, "--run", trained, "--backend", "numpy", "--labels", given).good()
        assert out.startswith("seven.png: seven (")
    message = cli("predict", picture, "--run", trained, "--labels", ",".join(NAMES) + ",ten").error()
    assert message == "got 11 names of classes, but the model has 10 classes"
    message = cli("predict", picture, "--run", trained, "--labels", "away.txt").error()
    assert message.startswith("away.txt: No such file or directory; expected a file with one name per line")
