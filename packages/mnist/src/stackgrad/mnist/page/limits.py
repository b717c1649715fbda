"""The limits of the server: which hosts it answers for, and how much it does at a time."""

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

# The page uses nothing from other sites, and other sites cannot use it.
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
    """A limit on a resource for the requests in progress, per client and in total."""

    def __init__(self, of_client: int, in_all: int) -> None:
        self.of_client, self.in_all = of_client, in_all
        self.taken: Counter[str] = Counter()

    @contextmanager
    def share(self, client: str) -> Iterator[Callable[[int], None]]:
        """Yields a function that takes an amount for a request, until the context ends.

        It raises HTTPException 429 if that exceeds a limit.
        """
        own = 0

        def take(amount: int) -> None:
            nonlocal own
            if self.taken[client] + amount > self.of_client or self.taken.total() + amount > self.in_all:
                raise HTTPException(429, "too many requests at once: try again in a second", {"Retry-After": "1"})
            self.taken[client] += amount
            own += amount

        try:
            yield take
        finally:
            self.taken[client] -= own
            if not self.taken[client]:
                del self.taken[client]


class Guard:
    """ASGI middleware that refuses requests for unknown hosts and sets `HEADERS` on all responses.

    It accepts a request if its Host header is an IP address, `localhost` or one of `names`. Any other name may belong
    to a foreign site that points it at this server, to be treated as the same origin (DNS rebinding).
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
        """Whether a Host header names this server."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name in self.names
        return True
