"""Reads bodies of requests within limits, and drains those of refused requests, so that the client sees the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BODY_SECONDS = 10.0
MOST_DISCARDED = 200_000_000  # bytes of the body of a refused request
DISCARD_SECONDS, IDLE_SECONDS = 30.0, 5.0  # for all of the body, and for the next part of it


async def read_body(request: Request, most: int, take: Callable[[int], None] = lambda count: None) -> bytes:
    """Read the body of a request, of at most `most` bytes.

    Args:
        request: a request whose body was not read yet.
        most: how many bytes are accepted.
        take: called with the count of new bytes; may raise to refuse them.

    Raises:
        HTTPException: 413 for a larger body, 408 if it does not arrive within `BODY_SECONDS`.
    """
    too_large = HTTPException(413, f"too large: at most {most:,} bytes are accepted")
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > most:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.stream():
                take(len(part))
                body += part
                if len(body) > most:
                    raise too_large
    except TimeoutError as error:
        raise HTTPException(408, f"the request did not arrive within {BODY_SECONDS:.0f} seconds") from error
    return bytes(body)


async def answer_in_full(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Let `app` answer even before it has read the whole body.

    If the connection were closed then, a client that is still sending would see a broken connection, and never the
    answer. So this sends the answer at once, reads and drops the rest of the body up to a limit, and only then closes
    the connection.
    """
    headers = Headers(scope=scope)
    unread = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers

    async def receive_and_see() -> Message:
        nonlocal unread
        message = await receive()
        unread = bool(message.get("more_body"))
        return message

    async def discard() -> None:
        count = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(DISCARD_SECONDS):
                while unread and count < MOST_DISCARDED:
                    async with asyncio.timeout(IDLE_SECONDS):
                        count += len((await receive_and_see()).get("body", b""))

    async def send_all(message: Message) -> None:
        if unread and message["type"] == "http.response.start":
            MutableHeaders(scope=message)["Connection"] = "close"
        elif unread and message["type"] == "http.response.body" and not message.get("more_body"):
            await send({**message, "more_body": True})
            await discard()
            message = {"type": "http.response.body"}
        await send(message)

    await app(scope, receive_and_see, send_all)
