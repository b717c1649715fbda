import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

Cli = Any
START = "from stackgrad.mnist.cli import main; main(prog_name='stackgrad-mnist')"


@contextmanager
def serving(*arguments: object) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """Run the command in its own process; yields it and the two lines that it prints when it is ready."""
    command = [sys.executable, "-W", "error", "-c", START, "serve", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield process, [process.stdout.readline(), process.stdout.readline()]
        finally:
            process.kill()


def get(url: str) -> Any:
    with urlopen(url, timeout=30) as response:
        return json.load(response)


def end(process: subprocess.Popen[str], signum: int) -> tuple[int, str, str]:
    process.send_signal(signum)
    out, err = process.communicate(timeout=30)
    return process.returncode, out, err


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_a_signal_ends_it(signum: int, trained_course: Path) -> None:
    with serving(trained_course, "--port", 0, "--backend", "numpy") as (process, lines):
        assert lines[0] == f"{trained_course}: course, backend numpy\n"
        address, hint = lines[1].split(" ", 1)
        assert (address[:17], hint) == ("http://127.0.0.1:", "(Ctrl-C ends it)\n")
        about = get(f"{address}run")
        assert (about["model"], about["layers"]) == ("course", [[4, 28, 28], [8, 28, 28]])
        assert get(f"{address}examples/0")["label"] == 7
        assert end(process, signum) == (0, "", "")


def test_it_ends_although_a_browser_keeps_its_connection(trained_course: Path) -> None:
    with serving(trained_course, "--port", 0, "--backend", "numpy") as (process, lines):
        port = int(lines[1].split(":")[2].split("/")[0])
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            connection.sendall(b"GET /run HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
            assert end(process, signal.SIGTERM) == (0, "", "")


@pytest.mark.parametrize("sent", [b"", b"POST /picture HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"])
def test_idle_connections_do_not_keep_others_out(sent: bytes, trained_course: Path) -> None:
    with serving(trained_course, "--port", 0, "--backend", "numpy") as (process, lines):
        address = lines[1].split()[0]
        host = ("127.0.0.1", int(address.split(":")[2].strip("/")))
        idle = [socket.create_connection(host, timeout=30) for _ in range(30)]
        for connection in idle if sent else []:
            connection.sendall(sent + b"Content-Length: 10000000\r\n\r\nx")
        strokes = Request(f"{address}strokes", b"[[[0.2, 0.3]]]", {"Content-Type": "application/json"})
        with urlopen(strokes, timeout=30) as response:
            assert len(json.load(response)["probabilities"]) == 10
        assert end(process, signal.SIGTERM) == (0, "", "")
        for connection in idle:
            connection.close()


def test_a_run_whose_data_was_removed(cli: Cli, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for file in folder.iterdir():
        (tmp_path / "data" / file.name).write_bytes(file.read_bytes())
    options = ("--epochs", 1, "--backend", "numpy", "--out", "run")
    assert cli("train", "--data", tmp_path / "data", *options).returncode == 0
    for file in (tmp_path / "data").iterdir():
        file.unlink()
    with serving("run", "--port", 0, "--backend", "numpy") as (process, lines):
        assert get(f"{lines[1].split()[0]}run")["examples"] == 0
        assert end(process, signal.SIGTERM)[0] == 0


def test_all_addresses(trained_course: Path) -> None:
    with serving(trained_course, "--port", 0, "--host", "0.0.0.0", "--backend", "numpy") as (process, lines):
        assert lines[1].startswith("http://localhost:")
        assert get(f"{lines[1].split()[0]}run")["model"] == "course"
        assert end(process, signal.SIGTERM)[0] == 0


def test_a_port_in_use(cli: Cli, trained_course: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        message = cli("serve", trained_course, "--port", port, "--backend", "numpy").error(status=1)
    assert message == f"port {port} is in use: name another with --port"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--host", "192.0.2.1"), "Invalid value for '--host': '192.0.2.1' is not an address of this computer"),
        (("--host", "x" * 70), f"Invalid value for '--host': '{'x' * 70}' is not an address of this computer"),
        (("--port", "65536"), "Invalid value for '--port': '65536' is not a whole number, from 0 to 65,535"),
        (("--port", "http"), "Invalid value for '--port': 'http' is not a whole number, from 0 to 65,535"),
    ],
)
def test_mistakes(options: tuple[str, str], message: str, cli: Cli, trained_course: Path) -> None:
    error = cli("serve", trained_course, *options, "--backend", "numpy").error()
    assert error == f"{message} (see `stackgrad-mnist serve --help`)"


def test_no_run(cli: Cli, tmp_path: Path) -> None:
    message = cli("serve", "--backend", "numpy").error()
    assert message.startswith(f"no finished run in {tmp_path}/runs: name one, or train one with")
