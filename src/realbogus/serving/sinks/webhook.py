"""A webhook: the real ones of every batch are posted as JSON."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import urllib.error
import urllib.request
from collections.abc import Sequence
from urllib.parse import urlsplit, urlunsplit

from ... import __version__
from ...errors import InputError, OutputError
from ..batch import Failed, Scored
from ..patience import UnavailableError
from ..straight import straight_opener
from .sink import SINKS
from .values import rows_of

__all__ = ["TOKEN", "Webhook"]

#: Environment variable with a bearer token for the receiver.
TOKEN = "REALBOGUS_WEBHOOK_TOKEN"
#: Answers besides 5xx that say that it may go well later.
_LATER = frozenset({408, 425, 429})
_LONGEST_ANSWER = 2**20


class Webhook:
    """Posts ``{"candidates": [...], "count": N}`` with the real ones of a batch. A `Sink`.

    A batch without real ones is not sent. `Idempotency-Key` is the same whenever the same batch comes again, and every
    candidate has its `id`, so a receiver can tell what it has had. What gave no candidate is not sent.

    Parameters
    ----------
    url : str
        With http or https.
    timeout_s : float
        For the receiver's answer.
    token : str, optional
        Sent as `Authorization: Bearer`; from the environment (`REALBOGUS_WEBHOOK_TOKEN`) by default.

    Raises
    ------
    InputError
        Another scheme, no host or port, or letters that no address has.
    """

    lasting = True

    def __init__(self, url: str, *, timeout_s: float = 10.0, token: str | None = None) -> None:
        try:
            parts = urlsplit(url)
            parts.port  # noqa: B018  a port that is none is told here
        except ValueError as error:
            raise InputError(f"webhook: this is no address ({_said(error)})") from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputError(f"webhook {parts.scheme or '?'}://{parts.hostname or '?'}: give an http or https address")
        if parts.username is not None:
            raise InputError(f"webhook {parts.hostname}: put no password into the address, set {TOKEN} instead")
        self._url, self._timeout = url, timeout_s
        if any(not " " < letter < "\x7f" for letter in url):
            raise InputError(
                f"webhook {parts.hostname}: its address holds blanks or letters that must be written as %XX"
            )
        # the path of a webhook is often its secret
        self.name = urlunsplit((parts.scheme, parts.netloc, "/...", "", ""))
        self._token = os.environ.get(TOKEN) if token is None else token
        self._opener = straight_opener()

    def write(self, scored: Scored) -> None:
        """Post the real ones.

        Raises
        ------
        UnavailableError
            No answer in time, or one that says later.
        OutputError
            The receiver refuses them.
        """
        chosen = scored.rows[scored.real]
        if not len(chosen):
            return
        body = json.dumps({"candidates": rows_of(chosen), "count": len(chosen)}, allow_nan=False).encode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"realbogus/{__version__}",
            "Idempotency-Key": hashlib.sha256(body).hexdigest(),
        }
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        request = urllib.request.Request(self._url, data=body, headers=headers, method="POST")
        try:
            with self._opener.open(request, timeout=self._timeout) as answer:
                answer.read(_LONGEST_ANSWER)
        except urllib.error.HTTPError as error:
            with error:
                said = f"{self.name} answers {error.code} {error.reason}"
            if error.code >= 500 or error.code in _LATER:
                raise UnavailableError(said) from error
            raise OutputError(f"{said}: it does not take what is posted; look at its address and token") from error
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            raise UnavailableError(f"{self.name} does not answer ({reason})") from error

    def refuse(self, failed: Sequence[Failed]) -> None:
        """Send nothing: there is no candidate."""

    def close(self, *, whole: bool = True) -> None:
        """Nothing is held."""


def _said(error: ValueError) -> str:
    """Return the first words of an error, which do not repeat the address."""
    return str(error).partition(":")[0].partition("'")[0].strip() or "not understood"


for _name in ("http", "https"):
    SINKS.register(_name)(Webhook)
