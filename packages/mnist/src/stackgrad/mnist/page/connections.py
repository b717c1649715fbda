"""Connections with limits, so that one client cannot keep the others out."""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_CONNECTIONS = 200
MOST_OF_CLIENT = 40
REQUEST_SECONDS = 10.0


class Connection(H11Protocol):
    """A connection that is closed unless the head of the next request arrives within `REQUEST_SECONDS`.

    If a client has more than `MOST_OF_CLIENT` connections, the one that has waited longest for a request is closed. If
    none is waiting, the new one is closed.
    """

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Called by asyncio when the connection is made."""
        super().connection_made(transport)
        self._watch()
        own = [each for each in self.connections if isinstance(each, Connection) and each._host == self._host]
        if len(own) > MOST_OF_CLIENT:
            waiting = [each for each in own if each is not self and each._timer]
            min(waiting, key=lambda each: each._timer.when() if each._timer else 0.0, default=self)._abort()

    def data_received(self, data: bytes) -> None:
        """Called by asyncio with received data."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Called by uvicorn when a response is complete."""
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by asyncio when the connection is lost."""
        self._stop_watch()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Called by uvicorn when the server shuts down. It waits for responses in progress, but not for requests."""
        if self.conn.their_state is h11.SEND_BODY:
            self._abort()
        else:
            super().shutdown()

    @property
    def _host(self) -> str | None:
        return self.client[0] if self.client else None

    def _watch(self) -> None:
        """Start the timer if a request is awaited, else stop it."""
        if self.conn.their_state is not h11.IDLE or self.transport.is_closing():
            self._stop_watch()
        elif self._timer is None:
            self._timer = self.loop.call_later(REQUEST_SECONDS, self._abort)

    def _stop_watch(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _abort(self) -> None:
        self._stop_watch()
        self.connections.discard(self)  # right now, so that it no longer counts
        self.transport.abort()
