import asyncio
from typing import Any

import httpx2 as httpx
import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from stackgrad.mnist.page.limits import HEADERS, IN_ALL, MOST_CLIENTS, PER_CLIENT, Bucket, Budget, Guard, Rate


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def echo(request: Request) -> Response:
    return PlainTextResponse("yes")


@pytest.fixture
def guard(clock: Clock) -> Guard:
    return Guard(Starlette(routes=[Route("/", echo, methods=["GET", "POST"])]), {"MyBox"}, clock)


def ask(app: Guard, method: str = "GET", client: str = "127.0.0.1", **options: Any) -> httpx.Response:
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app, client=(client, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as asking:
            return await asking.request(method, "/", **options)

    return asyncio.run(send())


# Whose


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


# How many


def test_bucket(clock: Clock) -> None:
    bucket = Bucket(Rate(per_second=10, burst=2), clock())
    for _ in range(2):
        assert bucket.seconds_until_next(clock()) == 0
        bucket.tokens -= 1
    assert bucket.seconds_until_next(clock()) == pytest.approx(0.1)
    clock.now += 0.05
    assert bucket.seconds_until_next(clock()) == pytest.approx(0.05)
    clock.now += 0.06
    assert bucket.seconds_until_next(clock()) == 0
    clock.now += 1000
    bucket.seconds_until_next(clock())
    assert bucket.tokens == 2


def test_requests_of_one_client(guard: Guard, clock: Clock) -> None:
    for _ in range(int(PER_CLIENT.burst)):
        assert guard.seconds_to_wait("a") == 0
    response = ask(guard, client="a")
    assert (response.status_code, response.headers["Retry-After"]) == (429, "1")
    assert response.json() == {"error": "too many requests: try again in a second"}
    assert ask(guard, client="b").status_code == 200
    clock.now += 1
    assert [ask(guard, client="a").status_code for _ in range(int(PER_CLIENT.per_second) + 1)] == [200] * 40 + [429]


def test_requests_in_all(guard: Guard, clock: Clock) -> None:
    allowed = sum(guard.seconds_to_wait(str(i)) == 0 for i in range(1000))
    assert allowed == IN_ALL.burst
    clock.now += 1
    assert sum(guard.seconds_to_wait(str(i)) == 0 for i in range(1000)) == IN_ALL.per_second


def test_a_refused_request_does_not_count(guard: Guard, clock: Clock) -> None:
    while not guard.seconds_to_wait("a"):
        pass
    left = guard.all.tokens
    assert guard.seconds_to_wait("a") > 0
    assert guard.all.tokens == left


def test_clients_are_forgotten(guard: Guard, clock: Clock) -> None:
    for i in range(3 * MOST_CLIENTS):
        guard.seconds_to_wait(str(i))
    assert len(guard.clients) == MOST_CLIENTS


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
