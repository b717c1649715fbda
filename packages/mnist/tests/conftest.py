"""Shared fixtures: an empty working folder, a small data set, and a trained run."""

import os

# Must be set before NumPy is imported: its BLAS threads spin while they wait, and compete with others for the cores.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import contextlib
import gzip
import hashlib
import io
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import settings
from PIL import Image

from stackgrad.mnist import Dataset, Split, load
from stackgrad.mnist.cli import main
from stackgrad.mnist.data.published import PUBLISHED, File
from stackgrad.tensor import set_default_backend

# Every run uses the same examples; HYPOTHESIS_PROFILE=random tries new ones.
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("random", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Skip the tests that need an MPI library, unless they are named on the command line."""
    return True if collection_path.name == "mpi" and not any("mpi" in argument for argument in config.args) else None


# Does what the command does, but does not need a PATH.
START = """
import os, time
time.sleep(float(os.environ.get("STARTUP_SECONDS", 0)))
from stackgrad.mnist.cli import main
main(prog_name="stackgrad-mnist")
"""


class Result(subprocess.CompletedProcess[str]):
    """The result of a command."""

    def good(self) -> str:
        """Its output; fails unless the command succeeded."""
        assert (self.returncode, self.stderr) == (0, "")
        return self.stdout

    def error(self, status: int = 2) -> str:
        """Its one-line error message, without "Error: "; fails unless the command ended with one."""
        assert self.returncode == status, self
        assert self.stderr.count("\n") == 1, self.stderr
        assert "Traceback" not in self.stdout
        assert self.stderr.startswith("Error: ")
        return self.stderr.removeprefix("Error: ").rstrip("\n")


Cli = Callable[..., Result]


def first(data: Dataset, train: int, test: int) -> Dataset:
    """The first images of each split."""
    return Dataset(
        Split(data.train.images[:train], data.train.labels[:train]),
        Split(data.test.images[:test], data.test.labels[:test]),
        data.name,
    )


def without_pictures(arguments: Sequence[object]) -> list[str]:
    """The arguments, with --no-pictures for `train` unless they contain --pictures, since drawing takes a second."""
    given = [str(argument) for argument in arguments]
    return ["train", "--no-pictures", *given[1:]] if given[:1] == ["train"] and "--pictures" not in given else given


def run_main(*arguments: object) -> int:
    """Run `stackgrad-mnist` in this process. Returns the exit status."""
    try:
        main(args=without_pictures(arguments), prog_name="stackgrad-mnist")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    finally:
        set_default_backend(None)
    raise AssertionError("click ends with SystemExit")


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run each test in an empty folder, without the user's environment variables, in a terminal of 80 columns."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STACKGRAD_BACKEND", raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("STACKGRAD_DATA_DIR", str(tmp_path / "user-data"))
    yield
    set_default_backend(None)


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    """Run `stackgrad-mnist` in this process. Unlike click's test runner, it does not catch exceptions that click does
    not."""

    def run(*arguments: object) -> Result:
        capsys.readouterr()
        status = run_main(*arguments)
        captured = capsys.readouterr()
        return Result([str(argument) for argument in arguments], status, captured.out, captured.err)

    return run


@pytest.fixture
def cli_process() -> Cli:
    """Run `stackgrad-mnist` in its own process, with environment variables as keyword arguments."""

    def run(*arguments: object, **environment: str) -> Result:
        command = [sys.executable, "-W", "error", "-c", START, *without_pictures(arguments)]
        done = subprocess.run(command, capture_output=True, env=os.environ | environment, timeout=300)
        out, err = (text.decode(errors="replace").replace(os.linesep, "\n") for text in (done.stdout, done.stderr))
        return Result("stackgrad-mnist", done.returncode, out, err)

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
    """A folder with the files of `tiny`. Tests must not change it."""
    folder = tmp_path_factory.mktemp("data") / "tiny"
    folder.mkdir()
    for name, split in (("train", tiny.train), ("t10k", tiny.test)):
        for part, array in (("images", split.images), ("labels", split.labels)):
            header = struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
            (folder / f"{name}-{part}-idx{array.ndim}-ubyte").write_bytes(header + array.tobytes())
    return folder


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run on 2,500 images, whose model recognises most digits."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    with contextlib.redirect_stdout(io.StringIO()):
        arguments = ("--limit", 2500, "--epochs", 3, "--batch-size", 32, "--lr", 0.003, "--backend", "cpu")
        assert run_main("train", *arguments, "--out", folder) == 0
    return folder


@pytest.fixture(scope="session")
def trained_course(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a short run of the model `course`, on the small data set and the numpy backend."""
    run = tmp_path_factory.mktemp("trained") / "course"
    arguments = ("--model", "course", "--data", folder, "--epochs", 1, "--backend", "numpy", "--out", run)
    with contextlib.redirect_stdout(io.StringIO()):
        assert run_main("train", *arguments) == 0
    return run


@pytest.fixture
def picture(mnist: Dataset) -> Path:
    """A picture of a seven."""
    Image.fromarray(mnist.test.images[0]).save("seven.png")
    return Path("seven.png")


class Mirror:
    """A local server of files, with the behaviour that `mode` names."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.mode = "whole"
        self.asked: list[tuple[str, str | None]] = []
        self.url = ""

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        name, wanted = handler.path.rpartition("/")[2], handler.headers.get("Range")
        self.asked.append((name, wanted))
        content = self.files[name]
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and self.mode == "whole" else 0
        if self.mode == "absent":
            handler.send_error(404)
            return
        handler.send_response(206 if start else 200)
        if self.mode == "half":
            handler.send_header("Content-Length", str(len(content)))
            content = content[: len(content) // 2]
        elif self.mode == "altered":
            content = bytes(len(content))
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        handler.end_headers()
        with contextlib.suppress(ConnectionError):
            handler.wfile.write(content[start:])
            while self.mode == "endless":
                handler.wfile.write(bytes(2**16))


@pytest.fixture
def mirror(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    """A mirror that serves the compressed small data set as "fashion-mnist"."""
    served = Mirror({f"{path.name}.gz": gzip.compress(path.read_bytes(), mtime=0) for path in folder.iterdir()})

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.answer(self)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        served.url = f"http://127.0.0.1:{server.server_port}/set/"
        files = tuple(
            File(file.name, len(content), hashlib.sha256(content).hexdigest())
            for file in PUBLISHED["fashion-mnist"].files
            for content in [served.files[file.name]]
        )
        changed = replace(PUBLISHED["fashion-mnist"], files=files, mirrors=(served.url,))
        monkeypatch.setitem(PUBLISHED, "fashion-mnist", changed)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield served
        server.shutdown()
        thread.join()
