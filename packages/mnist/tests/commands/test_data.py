import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stackgrad.mnist.published import PUBLISHED

Mirror = Any
Cli = Callable[..., subprocess.CompletedProcess[str]]
Result = subprocess.CompletedProcess[str]


def good(result: Result) -> str:
    """What a command that succeeded wrote."""
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


def line(result: Result, status: int = 2) -> str:
    """The one line, without its start, of a command that failed in an orderly way."""
    assert result.returncode == status, result
    assert result.stderr.count("\n") == 1, result.stderr
    assert result.stderr.startswith("Error: ")
    return result.stderr.removeprefix("Error: ").rstrip("\n")


def states(cli: Cli) -> dict[str, str]:
    """What `data --json` says of each data set."""
    return {row["name"]: row["state"] for row in json.loads(good(cli("data", "--json")))}


def test_what_is_there(mirror: Mirror, cli: Cli, tmp_path: Path) -> None:
    assert states(cli) == {"mnist": "built in", "fashion-mnist": "not fetched", "kmnist": "not fetched"}
    assert "kmnist         cursive Japanese characters  not fetched: `stackgrad-mnist data fetch kmnist` (21" in good(
        cli("data")
    )
    good(cli("data", "fetch", "fashion-mnist"))
    assert states(cli)["fashion-mnist"] == "fetched"
    assert f"  in {tmp_path}/user-data/fashion-mnist\n" in good(cli("data"))
    next((tmp_path / "user-data/fashion-mnist").glob("t10k*")).unlink()
    assert states(cli)["fashion-mnist"] == "fetched in part"


def test_fetch_and_use_by_name(mirror: Mirror, cli: Cli, tmp_path: Path) -> None:
    out = good(cli("data", "fetch", "fashion-mnist"))
    assert out == f"fashion-mnist: the published files, in {tmp_path}/user-data/fashion-mnist\n"
    options = ("--data", "fashion-mnist", "--epochs", 1, "--backend", "numpy", "--out", "run")
    assert good(cli("train", *options)).startswith("lenet5 on fashion-mnist: 100 training images")
    out = good(cli("evaluate", "run", "--backend", "numpy"))
    assert out.startswith("run: lenet5 on fashion-mnist, backend numpy\n")
    assert "\n  Ankle boot " in out


def test_a_folder_of_that_name_goes_first(folder: Path, cli: Cli) -> None:
    shutil.copytree(folder, "kmnist")
    out = good(cli("train", "--data", "kmnist", "--epochs", 1, "--backend", "numpy", "--out", "run"))
    assert out.startswith("lenet5 on kmnist: 100 training images")


def test_mnist_by_name(cli: Cli) -> None:
    out = good(cli("train", "--data", "mnist", "--limit", 50, "--epochs", 1, "--backend", "numpy", "--out", "run"))
    assert out.startswith("lenet5 on MNIST: 50 training images")


def test_not_fetched_yet(cli: Cli) -> None:
    text = "kmnist is not there yet: fetch it with `stackgrad-mnist data fetch kmnist`"
    assert text in line(cli("train", "--data", "kmnist"))
    assert line(cli("data", "verify", "kmnist")) == text


@pytest.mark.parametrize("out", [(), ("--out", "here")])
def test_another_mirror_and_folder(out: tuple[str, ...], mirror: Mirror, cli: Cli, tmp_path: Path) -> None:
    good(cli("data", "fetch", "fashion-mnist", "--mirror", "http://127.0.0.1:9/", "--mirror", mirror.url, *out))
    folder = tmp_path / ("here" if out else "user-data/fashion-mnist")
    names = {path.name for path in folder.iterdir() if path.suffix == ".gz"}
    assert names == {file.name for file in PUBLISHED["fashion-mnist"].files}


def test_fetching_fails(mirror: Mirror, cli: Cli) -> None:
    mirror.way = "absent"
    message = line(cli("data", "fetch", "fashion-mnist"), status=1)
    assert message == f"{mirror.url}train-images-idx3-ubyte.gz: Not Found"
    Path("file").touch()
    assert line(cli("data", "fetch", "fashion-mnist", "--out", "file"), status=1) == "file: File exists"


def test_wrong_arguments(cli: Cli) -> None:
    assert "'latin' is not one of 'mnist', 'fashion-mnist', 'kmnist'" in line(cli("data", "fetch", "latin"))
    message = "Invalid value for '--mirror': 'ftp://x' does not start with http:// or https://"
    assert message in line(cli("data", "fetch", "mnist", "--mirror", "ftp://x"))
    assert "No such command 'fech'" in line(cli("data", "fech"))


def test_verify(mirror: Mirror, cli: Cli, folder: Path, tmp_path: Path) -> None:
    assert good(cli("data", "verify")) == "mnist: the original files\n"
    good(cli("data", "fetch", "fashion-mnist"))
    place = tmp_path / "user-data/fashion-mnist"
    assert good(cli("data", "verify")).endswith(f"fashion-mnist: the published files, in {place}\n")
    assert good(cli("data", "verify", folder)) == (
        f"{folder}: sound: 100 training and 50 test images, labels up to 9\n"
    )
    file = place / "t10k-labels-idx1-ubyte.gz"
    content = file.read_bytes()
    file.write_bytes(content[:-1] + b"x")
    text = line(cli("data", "verify", "fashion-mnist"))
    assert text.startswith(f"{file}: not the published file: its SHA-256 is ")
    assert line(cli("data", "verify", "away")).startswith("away: No such file or directory; expected a folder")
