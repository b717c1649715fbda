"""What a server lets through: whose requests, and how many."""

from __future__ import annotations

import ipaddress
import math
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .bodies import answer_in_full

# The page needs nothing from elsewhere, and nothing from elsewhere may use it.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}

MOST_CLIENTS = 1024  # whose requests are counted at a time; the one that was quiet longest is forgotten


@dataclass
class Rate:
    """So many requests a second, and at first, or after a pause, `burst` at once."""

    per_second: float
    burst: float


# While one draws, the page asks up to 30 times a second.
PER_CLIENT = Rate(40, 80)
IN_ALL = Rate(160, 320)


class Bucket:
    """Counts the requests that a `Rate` allows (a token bucket)."""

    def __init__(self, rate: Rate, now: float) -> None:
        self.rate, self.tokens, self.filled = rate, rate.burst, now

    def seconds_until_next(self, now: float) -> float:
        """0 if a request may come now, else how long to wait for it."""
        self.tokens = min(self.rate.burst, self.tokens + (now - self.filled) * self.rate.per_second)
        self.filled = now
        return max(0.0, (1 - self.tokens) / self.rate.per_second)


class Budget:
    """So much of one thing for the requests under way, of one client and of all together."""

    def __init__(self, of_client: int, in_all: int) -> None:
        self.of_client, self.in_all = of_client, in_all
        self.taken: Counter[str] = Counter()

    @contextmanager
    def share(self, client: str) -> Iterator[Callable[[int], None]]:
        """A function that takes so much more for a request, until the context ends.

        It raises HTTPException, 429, where that is too much.
        """
        own = 0

        def take(amount: int) -> None:
            nonlocal own
            if self.taken[client] + amount > self.of_client or self.taken.total() + amount > self.in_all:
                raise HTTPException(429, "too many requests at a time: try again in a second", {"Retry-After": "1"})
            self.taken[client] += amount
            own += amount

        try:
            yield take
        finally:
            self.taken[client] -= own
            if not self.taken[client]:
                del self.taken[client]


class Guard:
    """Between the network and an ASGI application: refuses what must not reach it, and sets `HEADERS` on all answers.

    A request passes whose Host header is an IP address, `localhost` or one of `names`: another name may be that of a
    page elsewhere which makes browsers take this server for its own (DNS rebinding). And it passes unless its client,
    or all together, ask more often than `PER_CLIENT` and `IN_ALL` allow.
    """

    def __init__(self, app: ASGIApp, names: Collection[str] = (), clock: Callable[[], float] = time.monotonic) -> None:
        self.app = app
        self.names = {"localhost", *(name.lower() for name in names)}
        self.clock = clock
        self.all = Bucket(IN_ALL, clock())
        self.clients: OrderedDict[str, Bucket] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await answer_in_full(self.refusal(Request(scope)) or self.app, scope, receive, send_with_headers)

    def refusal(self, request: Request) -> JSONResponse | None:
        """The answer to a request that does not pass."""
        host = request.headers.get("host", "")
        if not self.is_known(host):
            return JSONResponse({"error": f"unknown host {host!a:.80}: use the address that the server printed"}, 421)
        wait = self.seconds_to_wait(request.client.host if request.client else "")
        if wait:
            headers = {"Retry-After": str(math.ceil(wait))}
            return JSONResponse({"error": "too many requests: try again in a second"}, 429, headers)
        return None

    def is_known(self, host: str) -> bool:
        """Whether a Host header is one of this server's own."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name in self.names
        return True

    def seconds_to_wait(self, client: str) -> float:
        """0, and the request is counted, or how long it has to wait."""
        now = self.clock()
        bucket = self.clients.setdefault(client, Bucket(PER_CLIENT, now))
        self.clients.move_to_end(client)
        if len(self.clients) > MOST_CLIENTS:
            self.clients.popitem(last=False)
        wait = max(bucket.seconds_until_next(now), self.all.seconds_until_next(now))
        if not wait:
            bucket.tokens -= 1
            self.all.tokens -= 1
        return wait
