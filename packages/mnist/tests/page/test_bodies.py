"""Bodies of requests, over real connections if their end matters."""

import asyncio
import http.client
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx2 as httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from stackgrad.mnist.page import bodies, connections
from stackgrad.mnist.page.bodies import read_body
from stackgrad.mnist.page.connections import Connection
from stackgrad.mnist.page.limits import Guard

LARGE = b"x" * 5_000_000  # larger than all buffers on the way


async def count(request: Request) -> Response:
    return PlainTextResponse(f"{len(await read_body(request, 1000))} bytes")


@pytest.fixture
def app() -> Guard:
    gone = {ClientDisconnect: lambda request, error: PlainTextResponse("gone", 400)}
    return Guard(Starlette(routes=[Route("/", count, methods=["GET", "POST"])], exception_handlers=gone))


def ask(app: Guard, **options: Any) -> httpx.Response:
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app, client=("127.0.0.1", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as asking:
            return await asking.request("POST", "/", **options)

    return asyncio.run(send())


def test_body(app: Guard) -> None:
    response = ask(app, content=b"x" * 1000)
    assert response.text == "1000 bytes"
    assert "Connection" not in response.headers


def test_body_that_is_declared_too_large(app: Guard) -> None:
    response = ask(app, content=b"x" * 1001)
    assert response.status_code == 413
    assert response.text == "too large: at most 1,000 bytes are accepted"
    assert response.headers["Connection"] == "close"


@pytest.mark.parametrize("declared", [None, "1", "-5", "many"])
def test_body_that_is_larger_than_declared(declared: str | None, app: Guard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "MOST_DISCARDED", 5000)
    sent = 0

    async def endless() -> Any:
        nonlocal sent
        while True:
            sent += 100
            yield b"x" * 100

    headers = {"Content-Length": declared} if declared else {}
    assert ask(app, content=endless(), headers=headers).status_code == 413
    assert 6000 <= sent <= 6300


def test_body_that_does_not_arrive(app: Guard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "BODY_SECONDS", 0.05)
    monkeypatch.setattr(bodies, "IDLE_SECONDS", 0.05)

    async def slowly() -> Any:
        yield b"x"
        await asyncio.sleep(60)

    response = ask(app, content=slowly())
    assert response.status_code == 408
    assert "did not arrive" in response.text


def test_body_is_counted_as_it_arrives() -> None:
    taken = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse(await read_body(Request(scope, receive), 1000, taken.append))(scope, receive, send)

    assert ask(app, content=b"x" * 30).content == b"x" * 30  # type: ignore[arg-type]
    assert sum(taken) == 30


# Over the network


@pytest.fixture
def port(app: Guard) -> Iterator[int]:
    """The port of a local server of `app`."""
    config = uvicorn.Config(app, http=Connection, lifespan="off", log_level="error", timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        yield listener.getsockname()[1]
        server.should_exit = True
        thread.join()


def in_chunks(body: bytes) -> Iterator[bytes]:
    for start in range(0, len(body), 100_000):
        yield body[start : start + 100_000]


@pytest.mark.parametrize("path", ["/", "/nothing"])
@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("headers", [{}, {"Connection": "close"}, {"Expect": "100-continue"}])
def test_a_client_that_sends_all_gets_the_answer(headers: dict[str, str], chunked: bool, path: str, port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST", path, in_chunks(LARGE) if chunked else LARGE, headers)
    response = connection.getresponse()
    assert (response.status, response.headers["Connection"]) == (413 if path == "/" else 404, "close")
    assert response.read() in (b"too large: at most 1,000 bytes are accepted", b"Not Found")
    connection.close()


def test_a_client_that_asks_first_need_not_send(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        head = "POST / HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 5000000\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")


def test_a_connection_is_kept_if_the_body_was_read(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    for _ in range(3):
        connection.request("POST", "/", b"x" * 10)
        assert connection.getresponse().read() == b"10 bytes"
    connection.close()


# Connections


def is_open(connection: socket.socket) -> bool:
    """Whether an idle connection was not closed by the other side."""
    connection.setblocking(False)
    try:
        return connection.recv(1) != b""
    except BlockingIOError:
        return True
    except ConnectionError:
        return False


def wait_until_closed(connection: socket.socket) -> None:
    for _ in range(500):
        if not is_open(connection):
            return
        time.sleep(0.01)
    raise AssertionError("still open")


def test_too_many_connections_of_a_client(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MOST_OF_CLIENT", 3)
    uploads = [socket.create_connection(("127.0.0.1", port)) for _ in range(2)]
    for upload in uploads:
        upload.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nx")
    idle = [socket.create_connection(("127.0.0.1", port))]
    for _ in range(3):
        time.sleep(0.05)
        idle.append(socket.create_connection(("127.0.0.1", port)))
        wait_until_closed(idle[-2])
    assert is_open(idle[-1])
    assert all(is_open(upload) for upload in uploads)
    idle[-1].setblocking(True)
    idle[-1].sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert idle[-1].recv(1000).startswith(b"HTTP/1.1 200 ")
    for each in (*idle, *uploads):
        each.close()


def test_a_client_with_all_connections_in_use(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MOST_OF_CLIENT", 1)
    with socket.create_connection(("127.0.0.1", port)) as upload:
        upload.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nx")
        time.sleep(0.1)
        with socket.create_connection(("127.0.0.1", port)) as another:
            wait_until_closed(another)
        upload.sendall(b"1234")
        assert upload.recv(1000).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("start", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\nGET"])
def test_a_request_that_does_not_arrive(start: bytes, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "REQUEST_SECONDS", 0.1)
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(start)
        while connection.recv(1000):
            pass


def test_shutdown_does_not_wait_for_a_body(app: Guard, capfd: pytest.CaptureFixture[str]) -> None:
    server = uvicorn.Server(uvicorn.Config(app, http=Connection, lifespan="off", log_level="error"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        with socket.create_connection(listener.getsockname()) as upload:
            upload.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nx")
            time.sleep(0.1)
            server.should_exit = True
            thread.join(timeout=5)
            assert not thread.is_alive()
    assert capfd.readouterr().err == ""
