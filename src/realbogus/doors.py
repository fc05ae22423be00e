"""Doors of this computer: where a server listens, by which names it is called, and the word that opens it."""

from __future__ import annotations

import errno
import ipaddress
import os
import secrets
import socket
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from .errors import ConfigError, OutputError

__all__ = ["LOOPBACK", "bind", "check_token", "is_called", "is_foreign", "is_loopback", "keep_token"]

#: Where a server is by default: nobody but this computer comes here.
LOOPBACK = "127.0.0.1"

_LEAST = 16  # letters of a token that a person gives


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


def is_called(host: str, names: Collection[str]) -> bool:
    """Return whether a request's `Host` is an address or one of some names.

    A strange name that leads here is what DNS rebinding looks like.

    Parameters
    ----------
    host : str
        With or without a port.
    names : collection of str
        In small letters.

    Examples
    --------
    >>> is_called("localhost:80", {"localhost"}), is_called("[::1]:80", ()), is_called("evil.example", {"localhost"})
    (True, True, False)
    """
    try:
        name = (urlsplit(f"//{host}").hostname or "").lower()
        return name in names or bool(ipaddress.ip_address(name))
    except ValueError:
        return False


def is_foreign(headers: Mapping[str, str]) -> bool:
    """Return whether a browser sends this for the page of another origin; names of headers in small letters.

    Examples
    --------
    >>> is_foreign({"host": "127.0.0.1:80", "origin": "https://evil.example"}), is_foreign({"host": "127.0.0.1:80"})
    (True, False)
    """
    origin = headers.get("origin")
    try:
        strange = origin is not None and urlsplit(origin).netloc != headers.get("host", "")
    except ValueError:
        strange = True
    return strange or headers.get("sec-fetch-site", "none") not in ("same-origin", "none")


def keep_token(path: Path | str, given: str | None = None, *, option: str = "--votes") -> str:
    """Return the token of a server and keep it, readable by nobody else, so that it survives a restart.

    Parameters
    ----------
    path : path
        The file.
    given : str, optional
        A token of one's own.
    option : str
        What to choose another file with, for messages.

    Raises
    ------
    ConfigError
        The token, given or in the file, is none that a request could carry, or too short; the file stays as it is.
    OutputError
        The file cannot be read, or written where it is not there or a token is given.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     keep_token(f"{folder}/votes.token") == keep_token(f"{folder}/votes.token")
    True
    """
    path = Path(path)
    if given is not None:
        check_token(given)
    try:
        kept = path.read_text(encoding="utf-8", errors="replace").strip() if path.exists() else ""
        if kept and given in (None, kept):  # an empty file is what a crash leaves of one
            try:
                check_token(kept)
            except ConfigError as error:
                raise ConfigError(f"{path} holds {error}; remove the file, and one is made") from error
            with suppress(OSError):  # a secret that is mounted for us cannot be changed, and need not
                path.chmod(0o600)
            return kept
        token = given or secrets.token_urlsafe(24)
        path.unlink(missing_ok=True)  # a file that others may read would stay one
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(token + "\n")
    except OSError as error:
        raise OutputError(f"cannot keep the token in {path}: {error}; choose another {option}") from error
    return token


def check_token(token: str) -> str:
    """Return a token that a request can carry.

    Raises
    ------
    ConfigError
        It is too short, or holds blanks, breaks or letters of other alphabets.

    Examples
    --------
    >>> check_token("short")
    Traceback (most recent call last):
        ...
    realbogus.errors.ConfigError: a token of 5 signs: give 16 or more letters and digits, or none at all
    """
    if len(token) < _LEAST or not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError(f"a token of {len(token)} signs: give {_LEAST} or more letters and digits, or none at all")
    return token
