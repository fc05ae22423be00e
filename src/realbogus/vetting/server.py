"""The server on this computer: one socket, links to print, no log of what people look at. Needs uvicorn."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import uvicorn

from ..errors import ConfigError
from .guard import vetter_token

__all__ = ["LOOPBACK", "bind", "is_loopback", "page_links", "serve"]

#: Where the page is by default: nobody but this computer comes here.
LOOPBACK = "127.0.0.1"


def is_loopback(host: str) -> bool:
    """Return whether an address is this computer's own.

    Examples
    --------
    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def bind(host: str, port: int) -> socket.socket:
    """Return a socket at an address, or say why not.

    Parameters
    ----------
    host : str
        Name or address of this computer.
    port : int
        0 for any that is free.

    Raises
    ------
    ConfigError
        The port is taken or not allowed, or the address is not this computer's.
    """
    if not 0 <= port <= 65535:
        raise ConfigError(f"port {port}: give a number from 1 to 65535, or 0 for any that is free")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise ConfigError(f"no address {host!r} ({error.strerror}): give one of this computer with --host") from error
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a server that was killed leaves its port
        listener.bind(address)
        listener.listen(128)  # now: two that are only bound would both have the port
    except OSError as error:
        listener.close()
        reason = (
            "is in use by another program" if error.errno == errno.EADDRINUSE else f"cannot be had: {error.strerror}"
        )
        raise ConfigError(
            f"port {port} of {host} {reason}; choose another with --port, or 0 for any that is free"
        ) from error
    return listener


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
