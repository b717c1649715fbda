import asyncio
from typing import Any

import httpx2 as httpx
import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from stackgrad.mnist.page.limits import HEADERS, Budget, Guard


async def echo(request: Request) -> Response:
    return PlainTextResponse("yes")


@pytest.fixture
def guard() -> Guard:
    return Guard(Starlette(routes=[Route("/", echo, methods=["GET", "POST"])]), {"MyBox"})


def ask(app: Guard, method: str = "GET", client: str = "127.0.0.1", **options: Any) -> httpx.Response:
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app, client=(client, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as asking:
            return await asking.request(method, "/", **options)

    return asyncio.run(send())


# Hosts


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:8000",
        "127.0.0.1:8000",
        "192.168.1.20:8000",
        "[::1]:8000",
        "[fe80::1]",
        "mybox",
        "MyBox:80",
    ],
)
def test_own_hosts(guard: Guard, host: str) -> None:
    assert ask(guard, headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["", "evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost.evil.example", "[", "a b", "1.2.3"],
)
def test_other_hosts(guard: Guard, host: str) -> None:
    response = ask(guard, headers={"Host": host})
    assert response.status_code == 421
    assert response.json() == {"error": f"unknown host {host!r}: use the address that the server printed"}


def test_headers(guard: Guard) -> None:
    for response in (ask(guard), ask(guard, headers={"Host": "evil.example"}), ask(guard, "PUT")):
        assert {name: response.headers.get(name) for name in HEADERS} == HEADERS


# Budgets


def test_budget() -> None:
    budget = Budget(3, 4)
    with budget.share("a") as take:
        take(2)
        take(1)
        with pytest.raises(HTTPException) as refused:
            take(1)
        with budget.share("b") as others:
            others(1)
            with pytest.raises(HTTPException):
                others(1)
    assert (refused.value.status_code, refused.value.headers) == (429, {"Retry-After": "1"})
    assert not budget.taken
