"""What a server lets through: whose requests, how many, and how large."""

from __future__ import annotations

import asyncio
import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

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
BODY_SECONDS = 10.0


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

        app = self.refusal(Request(scope)) or self.app
        await app(scope, receive, send_with_headers)

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


async def read_body(request: Request, most: int) -> bytes:
    """The body of a request, of at most so many bytes.

    Raises HTTPException: 413 for more, 408 if it does not arrive within `BODY_SECONDS`.
    """
    too_large = HTTPException(413, f"too large: at most {most:,} bytes are accepted")
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > most:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.stream():
                body += part
                if len(body) > most:
                    raise too_large
    except TimeoutError as error:
        raise HTTPException(408, f"the request did not arrive within {BODY_SECONDS:.0f} seconds") from error
    return bytes(body)
