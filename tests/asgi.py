"""A voice that speaks to an ASGI application without a network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Answer:
    """What an application answers."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def reason(self) -> str:
        return str(self.json()["detail"])


async def request(
    app: Any, method: str, path: str, query: str = "", body: bytes | Sequence[bytes] = b"", *, port: int,
    raw_path: bytes | None = None, **headers: str,
) -> Answer:  # fmt: skip
    """Send one request, as a server at that port would; a body of several parts comes in parts.

    Headers are written with `_` for `-`; empty ones are not sent.
    """
    parts = [body] if isinstance(body, bytes) else list(body)
    sent = {"host": f"127.0.0.1:{port}"} | {name.replace("_", "-"): value for name, value in headers.items()}
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http", "method": method,
        "path": path, "raw_path": raw_path or path.encode(), "query_string": query.encode(), "root_path": "",
        "client": ("127.0.0.1", 5), "server": ("127.0.0.1", port),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in sent.items() if value],
    }  # fmt: skip
    answer = Answer()
    messages = [
        {"type": "http.request", "body": part, "more_body": place < len(parts) - 1} for place, part in enumerate(parts)
    ]

    async def receive() -> Any:
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            answer.body += message.get("body", b"")

    await app(scope, receive, send)
    return answer
