"""The server: connections that are too many, too slow or too long are cut off, one by one. Needs uvicorn."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from .limits import Limits

__all__ = ["serve", "server_of"]

_FULL = json.dumps({"detail": "too many connections: ask again a little later"}).encode()
_ANSWER = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\nconnection: close\r\n"
    b"content-length: %d\r\n\r\n%s" % (len(_FULL), _FULL)
)


class _Bounded(H11Protocol):
    """A connection that must go on: uvicorn itself waits for ever for a head, for a reader, for a refused body."""

    limits = Limits()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._head: asyncio.TimerHandle | None = None
        self._reader: asyncio.TimerHandle | None = None
        self._cut_off = len(self.connections) >= self.limits.connections
        super().connection_made(transport)
        if self._cut_off:
            transport.write(_ANSWER)
            transport.close()
        else:
            self._look()

    def data_received(self, data: bytes) -> None:
        if not self._cut_off:
            super().data_received(data)
            self._look()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._head, self._reader):
            if timer is not None:
                timer.cancel()
        self._head = self._reader = None
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._reader = self._reader or self.loop.call_later(self.limits.answer_s, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._reader is not None:
            self._reader.cancel()
            self._reader = None

    def _look(self) -> None:
        """Start or stop the clock: it runs while a head, or the rest of a body that was answered, is waited for."""
        working = self.cycle is not None and not self.cycle.response_complete
        idle = self.timeout_keep_alive_task is not None and self.conn.their_state is h11.IDLE
        if working or idle or self.transport.is_closing():
            if self._head is not None:
                self._head.cancel()
                self._head = None
        elif self._head is None:
            self._head = self.loop.call_later(self.limits.head_s, self.transport.abort)


def server_of(app: Any, limits: Limits) -> uvicorn.Server:
    """Return the server of an ASGI application."""
    protocol: type[asyncio.Protocol] = type("Bounded", (_Bounded,), {"limits": limits})
    config = uvicorn.Config(
        app, log_level="error", access_log=False, lifespan="off", ws="none", loop="asyncio", http=protocol,
        server_header=False, proxy_headers=False, timeout_graceful_shutdown=10, backlog=512,
    )  # fmt: skip
    return uvicorn.Server(config)


def serve(app: Any, listener: socket.socket, limits: Limits) -> None:
    """Answer until the program is interrupted; requests that are at work are finished first.

    Parameters
    ----------
    app : callable
        An ASGI application.
    listener : socket
        Bound, and listening.
    limits : Limits
    """
    server_of(app, limits).run(sockets=[listener])
