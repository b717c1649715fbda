"""The commands with unusual standard input, output and error."""

import errno
import io
import os
import shutil
import struct
import subprocess
import sys
import threading
from encodings.aliases import aliases
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackgrad.mnist.commands import _streams as streams
from stackgrad.mnist.commands._failures import Commands

if sys.platform == "win32":
    pytest.skip("these are streams of POSIX", allow_module_level=True)

import fcntl
import pty
import termios

START = "from stackgrad.mnist.cli import main; main(prog_name='stackgrad-mnist')"
HIRAGANA = ",".join("あいうえおかきくけこ")
COMMANDS = {
    "help": ("train", "--help"),
    "version": ("--version",),
    "data": ("data",),
    "verify": ("data", "verify", "{data}"),
    "evaluate": ("evaluate", "{run}"),
    "json": ("evaluate", "{run}", "--json"),
    "predict": ("predict", "--run", "{run}", "seven.png"),
    "export": ("export", "{run}", "--out", "model.onnx"),
    "show": ("show", "{run}"),
    "train": ("train", "--data", "{data}", "--epochs", "1", "--no-pictures", "--out", "new"),
}


@pytest.fixture
def commands(folder: Path, trained_course: Path, picture: Path) -> dict[str, list[str]]:
    """The arguments of each command."""
    return {
        name: [one.format(data=folder, run=trained_course) for one in arguments] for name, arguments in COMMANDS.items()
    }


def start(arguments: list[str], redirect: str = "", **environment: str) -> "subprocess.CompletedProcess[bytes]":
    """Run the command in a shell that redirects its streams."""
    command = ["sh", "-c", f'exec "$@" {redirect}', "sh", sys.executable, "-W", "error", "-c", START, *arguments]
    environment = os.environ | {"STACKGRAD_BACKEND": "numpy"} | environment
    return subprocess.run(command, capture_output=True, env=environment, timeout=300)


# Closed


@pytest.mark.parametrize("redirect", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_training_with_closed_streams(redirect: str, commands: dict[str, list[str]]) -> None:
    done = start(commands["train"], redirect)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (b"test accuracy" in done.stdout) == (">&-" not in redirect.split())
    assert Path("new/summary.json").exists()
    for path in Path("new").glob("*.json*"):
        assert path.read_bytes().startswith(b"{")  # no output of a stream went into the file


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_with_all_streams_closed(name: str, commands: dict[str, list[str]]) -> None:
    done = start(commands[name], "<&- >&- 2>&-")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert name != "export" or Path("model.onnx").exists()


@pytest.mark.parametrize("redirect", ["2>&-", "2>/dev/full", "<&- >&- 2>&-"])
def test_a_mistake_that_cannot_be_printed(redirect: str) -> None:
    done = start(["evaluate", "nothing"], redirect)
    assert (done.returncode, done.stdout, done.stderr) == (2, b"", b"")


# Full or broken


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("name", ["help", "version", "json", "export", "train"])
def test_standard_output_on_a_full_disk(name: str, commands: dict[str, list[str]]) -> None:
    done = start(commands[name], ">/dev/full")
    assert (done.returncode, done.stderr) == (1, b"Error: standard output: No space left on device\n")
    assert name != "train" or Path("new/summary.json").exists()
    assert name != "export" or Path("model.onnx").exists()


@pytest.mark.parametrize("name", ["version", "json", "train"])
def test_the_reader_is_gone(name: str, commands: dict[str, list[str]]) -> None:
    command = [sys.executable, "-W", "error", "-c", START, *commands[name]]
    environment = os.environ | {"STACKGRAD_BACKEND": "numpy"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        assert process.stdout
        process.stdout.close()
        assert process.stderr
        assert process.stderr.read() == b""
    assert process.returncode == 141
    assert name != "train" or Path("new/summary.json").exists()


def test_a_non_blocking_pipe() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    received = bytearray()

    def read() -> None:
        while part := os.read(reading, 1000):
            received.extend(part)

    reader = threading.Thread(target=read)
    with io.FileIO(writing, "wb") as raw:
        stream = streams._unfailing(io.TextIOWrapper(raw, "ascii"), 1)
        reader.start()
        stream.write("x" * 500_000)
    reader.join()
    os.close(reading)
    assert received == b"x" * 500_000


def test_output_after_a_failure_is_dropped() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with io.FileIO(writing, "wb") as raw:
        stream = streams._unfailing(io.TextIOWrapper(raw), 1)
        assert stream.write("one\n") == stream.write("two\n") == 4
        assert isinstance(stream, io.TextIOWrapper)
        failure = stream.buffer.failure  # type: ignore[attr-defined]
        assert failure.errno == errno.EPIPE


def test_streams_of_a_calling_program_are_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = io.StringIO()
    monkeypatch.setattr(sys, "stdout", mine)
    with pytest.raises(SystemExit) as end:
        Commands().main(["--help"], prog_name="a")
    assert end.value.code == 0
    assert sys.stdout is mine
    assert mine.getvalue().startswith("Usage: a ")


# Encodings


@pytest.mark.parametrize(
    ("encoding", "first", "last"),
    [
        ("ascii", r"\u3042", r"\xe9"),
        ("cp1252", r"\u3042", "é"),
        ("latin-1:strict", r"\u3042", "é"),
        ("ascii:surrogateescape", r"\u3042", r"\xe9"),
        ("ascii:surrogatepass", r"\u3042", r"\xe9"),
        ("ascii:xmlcharrefreplace", "&#12354;", "&#233;"),
        ("ascii:unheard-of", r"\u3042", r"\xe9"),
        ("idna", r"\u3042", r"\xe9"),  # cannot write escapes
        ("shift_jis", "あ", r"\xe9"),
        ("utf-16-le", "あ", "é"),
        ("utf-8", "あ", "é"),
    ],
)
def test_characters_that_an_encoding_lacks(encoding: str, first: str, last: str, trained_course: Path) -> None:
    done = start(["evaluate", str(trained_course), "--labels", f"{HIRAGANA[:-1]}é"], PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, b"")
    lines = done.stdout.decode(encoding.split(":")[0]).splitlines()
    assert (lines[2].split()[0], lines[-1].split()[0]) == (first, last)


@given(
    st.sampled_from(sorted({*aliases.values(), "idna", "punycode", "undefined", "no such"})),
    st.sampled_from(["strict", "ignore", "replace", "surrogateescape", "surrogatepass", "namereplace", "no such"]),
    st.text(st.characters(), min_size=1),
)
def test_any_text_can_be_written(encoding: str, errors: str, text: str) -> None:
    try:
        written = io.TextIOWrapper(io.BytesIO(), encoding, errors)
    except LookupError:
        return  # Python would not start with this encoding
    streams._unfailing(written, 1).write(text)
    written.flush()


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_a_mistake_with_characters_that_an_encoding_lacks(encoding: str, trained_course: Path) -> None:
    done = start(["evaluate", str(trained_course), "--labels", "い,→,い"], PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stdout) == (2, b"")
    name = "い" if encoding == "utf-8" else r"\u3044"
    assert done.stderr.decode(encoding) == f"Error: classes 0 and 2 are both named '{name}': use different names\n"


def test_the_bare_locale(folder: Path) -> None:
    bare = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    options = ("--epochs", "1", "--no-pictures", "--out", "éè", "--labels", HIRAGANA)
    arguments = ["train", "--data", str(folder), *options]
    done = start(arguments, **bare)
    assert (done.returncode, done.stderr) == (0, b"")
    assert Path("éè/summary.json").exists()
    names = start(["evaluate", "éè"], **bare).stdout.decode("ascii").splitlines()
    assert names[2].split()[0] == r"\u3042"
    assert "あ" in start(["evaluate", "éè"], PYTHONIOENCODING="utf-8").stdout.decode()


@pytest.mark.skipif(sys.platform != "linux", reason="file names are text there")
def test_names_of_files_that_are_not_text(folder: Path) -> None:
    name = os.fsdecode(b"x\xff")
    shutil.copytree(folder, name)
    done = start(["train", "--data", name, "--epochs", "1", "--out", f"{name}-run"])
    assert (done.returncode, done.stderr) == (0, b"")
    assert rb"on x\udcff: " in done.stdout
    assert Path(f"{name}-run/report.html").exists()
    assert start(["data", "verify", name]).stdout.startswith(rb"x\udcff: valid: ")


# Terminals


def in_terminal(arguments: list[str], size: tuple[int, int], **environment: str) -> tuple[int, str]:
    """Run the command in a terminal with `size` rows and columns. Returns its status and its output."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
    command = [sys.executable, "-W", "error", "-c", START, *arguments]
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "TERM")} | environment
    process = subprocess.Popen(command, stdin=its, stdout=its, stderr=its, env=environment)
    os.close(its)
    seen = bytearray()
    try:
        while part := os.read(ours, 10_000):
            seen += part
    except OSError:
        pass  # Linux reports this way that the terminal is closed
    os.close(ours)
    return process.wait(), seen.decode()


@pytest.mark.parametrize(
    ("size", "environment", "width"),
    [
        ((24, 100), {}, 99),
        ((0, 0), {}, 79),
        ((0, 0), {"TERM": "dumb", "COLUMNS": "0"}, 79),
        ((0, 0), {"NO_COLOR": "1", "COLUMNS": "60"}, 59),
        ((1, 1), {"TERM": "vt100"}, 19),
        ((9999, 9999), {}, 119),
        ((0, 0), {"PYTHONIOENCODING": "ascii", "COLUMNS": "wide"}, 79),
    ],
)
def test_progress(size: tuple[int, int], environment: dict[str, str], width: int, folder: Path) -> None:
    arguments = ["train", "--data", str(folder), "--epochs", "1", "--no-pictures", "--backend", "numpy", "--out", "new"]
    status, seen = in_terminal(arguments, size, **environment)
    assert status == 0
    assert "\x1b" not in seen  # no colours or cursor movements
    assert "\r\ntest accuracy" in seen
    bars = [line.split("\r")[-1] for line in seen.split("\r\n") if "epoch 1/1 100% |" in line]
    assert [len(bar) for bar in bars] == [width]
    assert seen.isascii() == ("PYTHONIOENCODING" in environment)


def test_a_terminal_that_is_closed(folder: Path) -> None:
    ours, its = pty.openpty()
    command = [
        sys.executable,
        "-c",
        START,
        "train",
        "--data",
        str(folder),
        "--epochs",
        "2",
        "--backend",
        "numpy",
        "--no-pictures",
    ]
    with subprocess.Popen([*command, "--out", "new"], stdin=its, stdout=its, stderr=its) as process:
        os.close(its)
        assert os.read(ours, 6) == b"lenet5"
        os.close(ours)
    assert process.returncode == 1  # its last lines could not be written
    assert Path("new/summary.json").exists()
