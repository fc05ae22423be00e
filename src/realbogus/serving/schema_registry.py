"""Schemas of messages in Confluent's wire format: from a registry by their number, or one file for all."""

from __future__ import annotations

import base64
import http.client
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit, urlunsplit
from urllib.request import Request

from ..adapters.packets import UnusableError
from ..adapters.schemas import PacketSchema, packet_schema, parsed
from ..errors import ConfigError, InputError
from .patience import UnavailableError
from .straight import straight_opener

__all__ = ["Known", "Schemas", "wire_number"]

#: Bytes of an answer at most.
_LARGEST = 8 * 2**20
_TIMEOUT_S = 10.0
#: Seconds that "no such schema" holds: it may be registered late, or the registry have been restored.
_ABSENT_S = 60.0
#: Seconds that an answer which cannot be read is asked for again, until it counts as the schema's fault.
_GARBLED_S = 60.0


@dataclass(frozen=True)
class Known:
    """A schema as its text has it, and as packets are read by it."""

    plain: Mapping[str, Any]
    packet: PacketSchema


def wire_number(message: bytes) -> int | None:
    r"""Return the schema's number of a message in Confluent's wire format, or None where it is in no such format.

    Examples
    --------
    >>> wire_number(b"\x00\x00\x00\x00\x07data"), wire_number(b"Obj\x01...")
    (7, None)
    """
    return int.from_bytes(message[1:5], "big") if len(message) > 5 and message[0] == 0 else None


class Schemas:
    """Schemas by number.

    Parameters
    ----------
    file : path, optional
        An Avro schema (.avsc) that holds for every message that brings none.
    registry : str, optional
        Address of a schema registry, http or https; a name and password in it are sent as such, and to nobody that it
        redirects to.
    clock : callable
        Seconds.

    Raises
    ------
    InputError
        The file is no schema of a known packet.
    ConfigError
        The address is none.

    Examples
    --------
    >>> Schemas()(7)
    Traceback (most recent call last):
        ...
    realbogus.adapters.packets.UnusableError: the message names schema 7 of a registry: give --registry or --schema
    """

    def __init__(
        self,
        file: Path | str | None = None,
        registry: str | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._given: Known | None = None
        if file is not None:
            try:
                text = Path(file).read_text(encoding="utf-8")
                plain = json.loads(text)
            except (OSError, ValueError) as error:
                raise InputError(f"{file} cannot be read as an Avro schema: {error}") from error
            self._given = Known(plain, packet_schema(text))
        self._base, self._headers = "", {"Accept": "application/vnd.schemaregistry.v1+json, application/json"}
        if registry is not None:
            parts = urlsplit(registry)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ConfigError(f"registry {registry!r}: give an address such as http://127.0.0.1:8081")
            host = parts.hostname + (f":{parts.port}" if parts.port else "")
            self._base = urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))
            if parts.username:
                pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
                self._headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        self._known: dict[int, Known | UnusableError] = {}
        self._until: dict[int, float] = {}  # what is known for a while only
        self._garbled: dict[int, float] = {}  # since when
        self._clock, self._opener = clock, straight_opener()
        self._lock = threading.Lock()

    @property
    def given(self) -> Known | None:
        """The schema of the file."""
        return self._given

    def __call__(self, number: int) -> Known:
        """Return the schema of that number.

        Raises
        ------
        UnusableError
            There is none, or it is none of a known packet, or what came for a minute cannot be read.
        UnavailableError
            The registry does not answer.
        """
        if not self._base:
            if self._given is None:
                raise UnusableError(
                    "foreign", f"the message names schema {number} of a registry: give --registry or --schema"
                )
            return self._given
        with self._lock:
            found = self._known.get(number)
            if found is None or self._clock() >= self._until.get(number, float("inf")):
                if len(self._known) > 1000:  # numbers come from outside
                    self._known.clear()
                self._until.pop(number, None)
                try:
                    found = self._fetch(number)
                except UnusableError as error:
                    found = error
                self._known[number] = found
        if isinstance(found, UnusableError):
            raise UnusableError(found.cause, str(found))
        return found

    def _fetch(self, number: int) -> Known:
        try:
            with self._opener.open(self._request(number), timeout=_TIMEOUT_S) as answer:
                data = answer.read(_LARGEST + 1)
        except HTTPError as error:
            error.close()
            if error.code == 404:
                self._until[number] = self._clock() + _ABSENT_S
                raise UnusableError("foreign", f"the registry has no schema {number}") from None
            raise UnavailableError(f"the schema registry answers {error.code} for schema {number}") from error
        except (OSError, http.client.HTTPException) as error:
            raise UnavailableError(f"the schema registry at {self._base} does not answer ({error})") from error
        try:
            if len(data) > _LARGEST:
                raise ValueError(f"more than {_LARGEST} bytes")
            text = json.loads(data)["schema"]
            plain = json.loads(text)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            said = f"schema {number} of the registry cannot be read: {error}"
            if len(self._garbled) > 1000:
                self._garbled.clear()
            if self._clock() - self._garbled.setdefault(number, self._clock()) < _GARBLED_S:
                raise UnavailableError(said) from error  # cut off on its way, or a page of somebody in between
            self._until[number] = self._clock() + _ABSENT_S
            raise UnusableError("foreign", said) from None
        self._garbled.pop(number, None)
        return Known(plain, parsed(text))

    def _request(self, number: int) -> Request:
        return Request(f"{self._base}/schemas/ids/{number}", headers=self._headers)
