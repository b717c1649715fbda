"""What the tests of the commands share: a folder of their own, a small data set, one trained run."""

import os

# Before NumPy is imported: the threads of its BLAS spin while they wait, and fight for the cores with all others.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import contextlib
import io
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from stackgrad.mnist import Dataset, Split, load
from stackgrad.mnist.cli import main
from stackgrad.tensor import set_default_backend

# The same examples in every run; HYPOTHESIS_PROFILE=random looks for new ones.
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("random", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

# As the command itself, but found without a PATH.
START = """
import os, time
time.sleep(float(os.environ.get("STARTUP_SECONDS", 0)))
from stackgrad.mnist.cli import main
main(prog_name="stackgrad-mnist")
"""

Cli = Callable[..., subprocess.CompletedProcess[str]]


def first(data: Dataset, train: int, test: int) -> Dataset:
    """The first images of each split."""
    return Dataset(
        Split(data.train.images[:train], data.train.labels[:train]),
        Split(data.test.images[:test], data.test.labels[:test]),
        data.name,
    )


def run_main(*arguments: object) -> int:
    """Run `stackgrad-mnist` in this process; the exit status."""
    try:
        main(args=[str(argument) for argument in arguments], prog_name="stackgrad-mnist")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    finally:
        set_default_backend(None)
    raise AssertionError("click ends with SystemExit")


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """In an empty folder, without the user's choice of a backend, in a terminal of 80 columns."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STACKGRAD_BACKEND", raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    yield
    set_default_backend(None)


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    """Run `stackgrad-mnist` in this process; unlike click's runner it lets an exception through that click does."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        capsys.readouterr()
        status = run_main(*arguments)
        captured = capsys.readouterr()
        return subprocess.CompletedProcess(
            [str(argument) for argument in arguments], status, captured.out, captured.err
        )

    return run


@pytest.fixture
def cli_process() -> Cli:
    """Run `stackgrad-mnist` in a process of its own, with environment variables as keyword arguments."""

    def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-W", "error", "-c", START, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, env=os.environ | environment, timeout=300)
        out, err = (text.decode(errors="replace").replace(os.linesep, "\n") for text in (done.stdout, done.stderr))
        return subprocess.CompletedProcess("stackgrad-mnist", done.returncode, out, err)

    return run


@pytest.fixture(scope="session")
def mnist() -> Dataset:
    return load()


@pytest.fixture(scope="session")
def tiny(mnist: Dataset) -> Dataset:
    """The first 100 training and 50 test images of MNIST."""
    return first(mnist, 100, 50)


@pytest.fixture(scope="session")
def folder(tiny: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds `tiny`. Not to be changed."""
    folder = tmp_path_factory.mktemp("data") / "tiny"
    folder.mkdir()
    for name, split in (("train", tiny.train), ("t10k", tiny.test)):
        for kind, array in (("images", split.images), ("labels", split.labels)):
            header = struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
            (folder / f"{name}-{kind}-idx{array.ndim}-ubyte").write_bytes(header + array.tobytes())
    return folder


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run on 2,500 images: it reads most digits."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    with contextlib.redirect_stdout(io.StringIO()):
        arguments = (
            "train",
            "--limit",
            2500,
            "--epochs",
            3,
            "--batch-size",
            32,
            "--lr",
            0.003,
            "--backend",
            "cpu",
            "--out",
            folder,
        )
        assert run_main(*arguments) == 0
    return folder


@pytest.fixture(scope="session")
def trained_course(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a short run of the other model, on the small data set, on NumPy."""
    run = tmp_path_factory.mktemp("trained") / "course"
    arguments = ("--model", "course", "--data", folder, "--epochs", 1, "--backend", "numpy", "--out", run)
    with contextlib.redirect_stdout(io.StringIO()):
        assert run_main("train", *arguments) == 0
    return run
