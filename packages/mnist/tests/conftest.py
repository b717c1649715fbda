"""What the tests of the commands share: a folder of their own, a small data set, one trained run."""

import os

# Before NumPy is imported: the threads of its BLAS spin while they wait, and fight for the cores with all others.
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

# The same examples in every run; HYPOTHESIS_PROFILE=random looks for new ones.
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("random", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out what needs an MPI library, unless it is asked for."""
    return True if collection_path.name == "mpi" and not any("mpi" in argument for argument in config.args) else None


# As the command itself, but found without a PATH.
START = """
import os, time
time.sleep(float(os.environ.get("STARTUP_SECONDS", 0)))
from stackgrad.mnist.cli import main
main(prog_name="stackgrad-mnist")
"""


class Result(subprocess.CompletedProcess[str]):
    """What came of a command."""

    def good(self) -> str:
        """What it wrote; fails unless it succeeded."""
        assert (self.returncode, self.stderr) == (0, "")
        return self.stdout

    def error(self, status: int = 2) -> str:
        """Its one line of error, without the start; fails unless it ended in that orderly way."""
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
    """The arguments, such that `train` draws no pictures, which takes a second, unless --pictures is among them."""
    given = [str(argument) for argument in arguments]
    return ["train", "--no-pictures", *given[1:]] if given[:1] == ["train"] and "--pictures" not in given else given


def run_main(*arguments: object) -> int:
    """Run `stackgrad-mnist` in this process; the exit status."""
    try:
        main(args=without_pictures(arguments), prog_name="stackgrad-mnist")
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
    monkeypatch.setenv("STACKGRAD_DATA_DIR", str(tmp_path / "user-data"))
    yield
    set_default_backend(None)


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    """Run `stackgrad-mnist` in this process; unlike click's runner it lets an exception through that click does."""

    def run(*arguments: object) -> Result:
        capsys.readouterr()
        status = run_main(*arguments)
        captured = capsys.readouterr()
        return Result([str(argument) for argument in arguments], status, captured.out, captured.err)

    return run


@pytest.fixture
def cli_process() -> Cli:
    """Run `stackgrad-mnist` in a process of its own, with environment variables as keyword arguments."""

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
        arguments = ("--limit", 2500, "--epochs", 3, "--batch-size", 32, "--lr", 0.003, "--backend", "cpu")
        assert run_main("train", *arguments, "--out", folder) == 0
    return folder


@pytest.fixture(scope="session")
def trained_course(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a short run of the other model, on the small data set, on NumPy."""
    run = tmp_path_factory.mktemp("trained") / "course"
    arguments = ("--model", "course", "--data", folder, "--epochs", 1, "--backend", "numpy", "--out", run)
    with contextlib.redirect_stdout(io.StringIO()):
        assert run_main("train", *arguments) == 0
    return run


@pytest.fixture
def picture(mnist: Dataset) -> Path:
    """A seven."""
    Image.fromarray(mnist.test.images[0]).save("seven.png")
    return Path("seven.png")


class Mirror:
    """A server of files on this machine, which behaves as `way` says."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.way = "whole"
        self.asked: list[tuple[str, str | None]] = []
        self.url = ""

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        name, wanted = handler.path.rpartition("/")[2], handler.headers.get("Range")
        self.asked.append((name, wanted))
        content = self.files[name]
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and self.way == "whole" else 0
        if self.way == "absent":
            handler.send_error(404)
            return
        handler.send_response(206 if start else 200)
        if self.way == "half":
            handler.send_header("Content-Length", str(len(content)))
            content = content[: len(content) // 2]
        elif self.way == "altered":
            content = bytes(len(content))
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        handler.end_headers()
        with contextlib.suppress(ConnectionError):
            handler.wfile.write(content[start:])
            while self.way == "endless":
                handler.wfile.write(bytes(2**16))


@pytest.fixture
def mirror(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    """A mirror of the small data set, compressed, which is published there as "fashion-mnist"."""
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
