import json
import shutil
from pathlib import Path
from typing import Any

import platformdirs
import pytest

from stackgrad.mnist.data.published import PUBLISHED

Mirror = Any
Cli = Any


def states(cli: Cli) -> dict[str, str]:
    """The state of each data set, from `data --json`."""
    return {row["name"]: row["state"] for row in json.loads(cli("data", "--json").good())}


def test_states(mirror: Mirror, cli: Cli, tmp_path: Path) -> None:
    assert states(cli) == {"mnist": "built in", "fashion-mnist": "not fetched", "kmnist": "not fetched"}
    assert (
        "kmnist         cursive Japanese characters  not fetched: `stackgrad-mnist data fetch kmnist` (21"
        in cli("data").good()
    )
    cli("data", "fetch", "fashion-mnist").good()
    assert states(cli)["fashion-mnist"] == "fetched"
    assert f"  in {tmp_path}/user-data/fashion-mnist\n" in cli("data").good()
    next((tmp_path / "user-data/fashion-mnist").glob("t10k*")).unlink()
    assert states(cli)["fashion-mnist"] == "fetched in part"


def test_fetch_and_use_by_name(mirror: Mirror, cli: Cli, tmp_path: Path) -> None:
    out = cli("data", "fetch", "fashion-mnist").good()
    assert out == f"fashion-mnist: the published files, in {tmp_path}/user-data/fashion-mnist\n"
    options = ("--data", "fashion-mnist", "--epochs", 1, "--backend", "numpy", "--out", "run")
    assert cli("train", *options).good().startswith("lenet5 on fashion-mnist: 100 training images")
    out = cli("evaluate", "run", "--backend", "numpy").good()
    assert out.startswith("run: lenet5 on fashion-mnist, backend numpy\n")
    assert "\n  Ankle boot " in out


def test_an_existing_folder_has_precedence_over_a_name(folder: Path, cli: Cli) -> None:
    shutil.copytree(folder, "kmnist")
    out = cli("train", "--data", "kmnist", "--epochs", 1, "--backend", "numpy", "--out", "run").good()
    assert out.startswith("lenet5 on kmnist: 100 training images")


def test_mnist_by_name(cli: Cli) -> None:
    out = cli("train", "--data", "mnist", "--limit", 50, "--epochs", 1, "--backend", "numpy", "--out", "run").good()
    assert out.startswith("lenet5 on MNIST: 50 training images")


def test_not_fetched_yet(cli: Cli) -> None:
    text = "kmnist is not fetched yet: run `stackgrad-mnist data fetch kmnist`"
    assert text in cli("train", "--data", "kmnist").error()
    assert cli("data", "verify", "kmnist").error() == text


@pytest.mark.parametrize("out", [(), ("--out", "here")])
def test_another_mirror_and_folder(out: tuple[str, ...], mirror: Mirror, cli: Cli, tmp_path: Path) -> None:
    cli("data", "fetch", "fashion-mnist", "--mirror", "http://127.0.0.1:9/", "--mirror", mirror.url, *out).good()
    folder = tmp_path / ("here" if out else "user-data/fashion-mnist")
    names = {path.name for path in folder.iterdir() if path.suffix == ".gz"}
    assert names == {file.name for file in PUBLISHED["fashion-mnist"].files}


def test_fetching_fails(mirror: Mirror, cli: Cli) -> None:
    mirror.mode = "absent"
    message = cli("data", "fetch", "fashion-mnist").error(status=1)
    assert message == f"{mirror.url}train-images-idx3-ubyte.gz: Not Found"
    Path("file").touch()
    assert cli("data", "fetch", "fashion-mnist", "--out", "file").error(status=1) == "file: File exists"


def test_wrong_arguments(cli: Cli) -> None:
    assert "'latin' is not one of 'mnist', 'fashion-mnist', 'kmnist'" in cli("data", "fetch", "latin").error()
    message = "Invalid value for '--mirror': 'ftp://x' does not start with http:// or https://"
    assert message in cli("data", "fetch", "mnist", "--mirror", "ftp://x").error()
    assert "No such command 'fech'" in cli("data", "fech").error()


def test_verify(mirror: Mirror, cli: Cli, folder: Path, tmp_path: Path) -> None:
    assert cli("data", "verify").good() == "mnist: the original files\n"
    cli("data", "fetch", "fashion-mnist").good()
    fetched = tmp_path / "user-data/fashion-mnist"
    assert cli("data", "verify").good().endswith(f"fashion-mnist: the published files, in {fetched}\n")
    assert cli("data", "verify", folder).good() == (
        f"{folder}: valid: 100 training and 50 test images, labels up to 9\n"
    )
    file = fetched / "t10k-labels-idx1-ubyte.gz"
    content = file.read_bytes()
    file.write_bytes(content[:-1] + b"x")
    text = cli("data", "verify", "fashion-mnist").error()
    assert text.startswith(f"{file}: not the published file: its SHA-256 is ")
    assert cli("data", "verify", "away").error().startswith("away: No such file or directory; expected a folder")


def test_no_home(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def user_data_path(name: str) -> Path:
        raise RuntimeError("could not determine the home directory")

    monkeypatch.delenv("STACKGRAD_DATA_DIR")
    monkeypatch.setattr(platformdirs, "user_data_path", user_data_path)
    assert states(cli)["kmnist"] == "not fetched"
    message = cli("data", "fetch", "kmnist").error()
    assert message.startswith("there is no home folder for data sets: name a folder with --out (see")
