"""Asking over HTTP without following redirects."""

from __future__ import annotations

import urllib.request
from typing import Any

__all__ = ["straight_opener"]


class _Straight(urllib.request.HTTPRedirectHandler):
    """Follow nobody: an address that has moved is told, and not sent candidates, a password or a token unasked."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def straight_opener() -> urllib.request.OpenerDirector:
    """Return an opener to which a redirect is an `HTTPError`."""
    return urllib.request.build_opener(_Straight)
