"""What a server lets through: whose requests, and how much of them at a time."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
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
    page elsewhere which makes browsers take this server for its own (DNS rebinding).
    """

    def __init__(self, app: ASGIApp, names: Collection[str] = ()) -> None:
        self.app = app
        self.names = {"localhost", *(name.lower() for name in names)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        host, app = Request(scope).headers.get("host", ""), self.app
        if not self.is_known(host):
            app = JSONResponse({"error": f"unknown host {host!a:.80}: use the address that the server printed"}, 421)
        await answer_in_full(app, scope, receive, send_with_headers)

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
