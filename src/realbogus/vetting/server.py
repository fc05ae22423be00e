"""The server on this computer: one socket, links to print, no log of what people look at. Needs uvicorn."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import uvicorn

from .guard import vetter_token

__all__ = ["page_links", "serve"]


def page_links(listener: socket.socket, host: str, token: str, vetters: Sequence[str] = ()) -> dict[str, str]:
    """Return the address of the page by vetter; with no vetters one for all, who give their names themselves.

    The token stands behind `#`: no browser sends that part anywhere.
    """
    port = listener.getsockname()[1]
    name = socket.gethostname() if host in ("0.0.0.0", "::") else host
    base = f"http://[{name}]:{port}/" if ":" in name else f"http://{name}:{port}/"
    if not vetters:
        return {"": f"{base}#token={token}"}
    return {name: f"{base}#token={vetter_token(token, name)}&vetter={quote(name, safe='')}" for name in vetters}


def serve(app: Any, listener: socket.socket) -> None:
    """Answer until the program is interrupted."""
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, lifespan="off", ws="none", loop="asyncio", http="h11",
        server_header=False, proxy_headers=False, timeout_graceful_shutdown=3,
    )  # fmt: skip
    uvicorn.Server(config).run(sockets=[listener])
