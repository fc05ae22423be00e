"""Who may ask: this computer by its own names, no other page's script, and the token where there is one."""

from __future__ import annotations

import hmac
import json
import socket
import time
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any

from ...doors import is_called, is_foreign

__all__ = ["OPEN", "HttpGuard"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

#: Paths that need no token: a watchdog has none, and the description says nothing of the data.
OPEN = ("/health", "/openapi.json")
_HEADERS = [(b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store")]


class HttpGuard:
    """Stands before the application, and counts what it answers.

    Parameters
    ----------
    app : callable
        An ASGI application.
    token : str or None
        What `Authorization: Bearer` must say; None: nothing is asked.
    hosts : collection of str
        Names of this computer beside its addresses, its own name and `localhost`.
    answered : callable, optional
        Told path, status and seconds of every request.
    paths : collection of str
        Those that there are; others are counted together.
    """

    def __init__(
        self,
        app: App,
        token: str | None,
        hosts: Collection[str] = (),
        answered: Callable[[str, int, float], None] | None = None,
        paths: Collection[str] = (),
    ) -> None:
        self.app, self.token, self.answered, self.paths = app, token, answered, frozenset(paths)
        self.hosts = {name.lower() for name in ("localhost", socket.gethostname(), *hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        begun, status = time.perf_counter(), 500

        async def with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", []), *_HEADERS]
            await send(message)

        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        refusal = self._refusal(scope["path"], headers)
        try:
            if refusal is None:
                await self.app(scope, receive, with_headers)
            else:
                await _refuse(with_headers, *refusal)
        finally:
            if self.answered is not None:
                path = scope["path"] if scope["path"] in self.paths else "other"
                self.answered(path, status, time.perf_counter() - begun)

    def _refusal(self, path: str, headers: dict[str, str]) -> tuple[int, str] | None:
        if not is_called(headers.get("host", ""), self.hosts):
            return 403, "this computer is not called so: ask for its address, or start it with --allow-host NAME"
        if is_foreign(headers):
            return 403, "the page of another origin may not ask"
        if self.token is None or path in OPEN:
            return None
        given = headers.get("authorization", "").encode("latin-1")
        if not hmac.compare_digest(given, f"Bearer {self.token}".encode()):
            return 401, "no valid token: send Authorization: Bearer TOKEN, as `realbogus serve` keeps it"
        return None


async def _refuse(send: Send, status: int, reason: str) -> None:
    body = json.dumps({"detail": reason}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
