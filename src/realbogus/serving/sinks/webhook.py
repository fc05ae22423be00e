"""A webhook: the real ones of every batch are posted as JSON."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from ... import __version__
from ...errors import InputError, OutputError
from ..batch import Failed, Scored
from ..patience import UnavailableError
from .sink import SINKS
from .values import rows_of

__all__ = ["TOKEN", "Webhook"]

#: Environment variable with a bearer token for the receiver.
TOKEN = "REALBOGUS_WEBHOOK_TOKEN"
#: Answers that say that it may go well later.
_LATER = frozenset({408, 425, 429, 500, 502, 503, 504})
_LONGEST_ANSWER = 2**20


class _Straight(urllib.request.HTTPRedirectHandler):
    """Follow nobody: an address that has moved is told, and not sent candidates and a token unasked."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


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
        Another scheme, or no host.
    """

    lasting = True

    def __init__(self, url: str, *, timeout_s: float = 10.0, token: str | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputError(f"webhook {parts.scheme or '?'}://{parts.hostname or '?'}: give an http or https address")
        if parts.username is not None:
            raise InputError(f"webhook {parts.hostname}: put no password into the address, set {TOKEN} instead")
        self._url, self._timeout = url, timeout_s
        # the path of a webhook is often its secret
        self.name = urlunsplit((parts.scheme, parts.netloc, "/...", "", ""))
        self._token = os.environ.get(TOKEN) if token is None else token
        self._opener = urllib.request.build_opener(_Straight)

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
            if error.code in _LATER:
                raise UnavailableError(said) from error
            raise OutputError(f"{said}: it does not take what is posted; look at its address and token") from error
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            raise UnavailableError(f"{self.name} does not answer ({reason})") from error

    def refuse(self, failed: Sequence[Failed]) -> None:
        """Send nothing: there is no candidate."""

    def close(self, *, whole: bool = True) -> None:
        """Nothing is held."""


for _name in ("http", "https"):
    SINKS.register(_name)(Webhook)
