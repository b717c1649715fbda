"""The files that `nox -s release` builds, published to an index on 127.0.0.1 and installed by name.

`nox -s tests-index` runs this.
"""

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

DIST = Path(__file__).resolve().parents[3] / "dist"
PACKAGES = ("tensor", "kernels", "nn", "mnist")
BUILT = sorted(file for package in PACKAGES for file in (DIST / package).glob("stackgrad_*"))


def run(*command: str | Path, cwd: Path) -> str:
    """The output of a program. If the program fails, this fails and shows it."""
    done = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an index to which all files have been uploaded."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    folder = tmp_path_factory.mktemp("index")
    # Anyone may upload, and packages that it does not have are not fetched from elsewhere.
    options = ("--interface", "127.0.0.1", "--port", port, "--passwords", ".", "--authenticate", ".")
    command = [sys.executable, "-m", "pypiserver", "run", *options, "--disable-fallback", str(folder)]
    address = f"http://127.0.0.1:{port}"
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            for _ in range(300):
                try:
                    urllib.request.urlopen(address, timeout=10).close()
                    break
                except OSError:
                    assert server.poll() is None, "the index has ended"
                    time.sleep(0.1)
            login = ("--username", "anyone", "--password", "any", "--non-interactive")
            upload = (sys.executable, "-m", "twine", "upload", "--repository-url", address, *login)
            run(*upload, *BUILT, cwd=folder.parent)
            yield f"{address}/simple/"
        finally:
            server.terminate()


def install(index: str, requirement: str, folder: Path) -> tuple[Path, dict[str, str]]:
    """The folder with the programs of a new environment with `requirement`, and where pip found each distribution."""
    run(sys.executable, "-m", "venv", folder / "environment", cwd=folder)
    programs = folder / "environment" / ("Scripts" if os.name == "nt" else "bin")
    report = folder / "report.json"
    options = ("--quiet", "--extra-index-url", index, "--report", report)
    run(programs / "python", "-m", "pip", "install", *options, requirement, cwd=folder)
    found = json.loads(report.read_text(encoding="utf-8"))["install"]
    return programs, {each["metadata"]["name"]: each["download_info"]["url"] for each in found}


def test_each_package_is_published_as_sdist_and_wheel(index: str) -> None:
    assert len(BUILT) == 2 * len(PACKAGES)
    for package in PACKAGES:
        with urllib.request.urlopen(f"{index}stackgrad-{package}/") as page:
            names = re.findall(r">(stackgrad_[^<]+)<", page.read().decode())
        assert sorted(names) == sorted(file.name for file in BUILT if file.parent.name == package)


@pytest.mark.parametrize(
    ("requirement", "siblings", "absent"),
    [
        ("stackgrad-nn", {"stackgrad-tensor", "stackgrad-nn"}, {"numba", "mpi4py"}),
        ("stackgrad-nn[cpu]", {"stackgrad-tensor", "stackgrad-kernels", "stackgrad-nn"}, {"mpi4py", "numba-cuda"}),
    ],
)
def test_a_package_alone(index: str, requirement: str, siblings: set[str], absent: set[str], tmp_path: Path) -> None:
    programs, found = install(index, requirement, tmp_path)
    assert {name for name in found if name.startswith("stackgrad")} == siblings
    assert all(found[name].startswith(index.removesuffix("simple/")) for name in siblings)
    assert not absent & set(found)
    code = "from stackgrad import nn; from stackgrad.tensor import ones; print(nn.Linear(2, 3)(ones(4, 2)).shape)"
    assert run(programs / "python", "-c", code, cwd=tmp_path) == "(4, 3)\n"


def test_the_program(index: str, tmp_path: Path) -> None:
    programs, found = install(index, "stackgrad-mnist", tmp_path)
    assert {f"stackgrad-{package}" for package in PACKAGES} <= set(found)
    train = (programs / "stackgrad-mnist", "train", "--epochs", "1", "--limit", "640", "--no-pictures")
    assert "test accuracy" in run(*train, cwd=tmp_path)
