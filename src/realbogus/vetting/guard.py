"""Who may ask: the token, the name of this computer, and no other page's script."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote

from ..doors import is_called, is_foreign
from ..errors import ConfigError
from .settings import check_name

__all__ = ["HEADERS", "Guard", "vetter_token"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

#: Nothing but the page's own files is run or loaded; nothing is kept; no other page may frame or read it.
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}

_BODY = 1_000_000  # bytes


def vetter_token(token: str, vetter: str) -> str:
    """Return the token of a link that votes under one name only.

    Examples
    --------
    >>> vetter_token("a" * 32, "ann") == vetter_token("a" * 32, "ben")
    False
    """
    return hmac.new(token.encode(), vetter.encode(), hashlib.sha256).hexdigest()[:40]


class Guard:
    """Stands before the application and turns away what must not come in.

    - A `Host` that is neither an address nor a name of this computer: a strange name that leads here is what
      DNS rebinding looks like.
    - A post that another page's script sends (`Origin`, `Sec-Fetch-Site`).
    - Under `/api/`: no token, a wrong one (compared in constant time), or no vetter's name. The name goes to
      the application as `scope["state"]["vetter"]`.

    Parameters
    ----------
    app : callable
        An ASGI application.
    token : str
        Of the session.
    vetters : tuple of str
        Who may vote; anyone where it is empty.
    hosts : tuple of str
        Further names of this computer.
    """

    def __init__(self, app: App, token: str, vetters: tuple[str, ...] = (), hosts: tuple[str, ...] = ()) -> None:
        self.app, self.token, self.vetters = app, token, vetters
        self.hosts = {name.lower() for name in ("localhost", socket.gethostname(), *hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}

        async def with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                ours = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message["headers"] = [*message.get("headers", []), *ours]
            await send(message)

        refusal = self._refusal(scope, headers)
        if refusal is None:
            await self.app(scope, receive, with_headers)
        else:
            status, reason = refusal
            start = {"type": "http.response.start", "status": status}
            await with_headers(start | {"headers": [(b"content-type", b"application/json")]})
            await send({"type": "http.response.body", "body": json.dumps({"detail": reason}).encode()})

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str] | None:
        if not is_called(headers.get("host", ""), self.hosts):
            return 403, "this computer is not called so: use the link that was printed"
        if scope["method"] not in ("GET", "HEAD", "POST"):
            return 405, "only GET and POST"
        if scope["method"] == "POST":
            if is_foreign(headers):
                return 403, "a page of another origin may not vote"
            if not headers.get("content-length", "").isdigit() or int(headers["content-length"]) > _BODY:
                return 413, f"a post of unknown length, or of more than {_BODY} bytes"
        if scope["path"].startswith("/api/"):
            return self._check_vetter(scope, headers)
        return None

    def _check_vetter(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str] | None:
        given = headers.get("x-realbogus-token", "").encode("latin-1")
        try:
            vetter = check_name(unquote(headers.get("x-realbogus-vetter", ""), errors="strict"))
        except (ConfigError, UnicodeDecodeError):
            vetter = ""
        tokens = [self.token, *([vetter_token(self.token, vetter)] if vetter else [])]
        if not any([hmac.compare_digest(given, token.encode()) for token in tokens]):  # all of them, in one time
            return 401, "no valid token: open the link that `realbogus vet` printed"
        if not vetter:
            return 400, "no name of a vetter: give 1 to 60 letters, digits and spaces"
        if self.vetters and vetter not in self.vetters:
            return 403, f"{vetter} is not among the vetters of this session"
        scope.setdefault("state", {})["vetter"] = vetter
        return None
