"""What the tests of the service share: a classifier that looks at brightness, bodies, a voice, a server."""

from __future__ import annotations

import asyncio
import http.client
import io
import json
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from realbogus.classifier import Card
from realbogus.doors import LOOPBACK, bind
from realbogus.preprocess import Preprocess
from realbogus.serving.http.limits import Limits

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "adapters"))  # made.py: alerts as surveys write them

PATIENCE = 60  # seconds; a busy machine is no failure
TOKEN = "a-token-of-one's-own-0123456789"


class Bright:
    """Scores a stamp by its brightest pixel: 100 noises are 1."""

    def __init__(self, channels: tuple[str, ...] = ("difference",), seconds: float = 0.0) -> None:
        planes = tuple(f"native:{name}" for name in channels)
        self.card = Card(name="bright", architecture="none", preprocess=Preprocess(planes=planes, channels=channels))
        self.seconds = seconds
        self.batches: list[int] = []

    def predict(self, pixels: Any, *, noise: Any = None, fwhm: Any = None) -> NDArray[np.float32]:
        self.batches.append(len(pixels))
        time.sleep(self.seconds)
        return np.clip(pixels[:, 0].max(axis=(1, 2)) / noise / 100, 0, 1).astype(np.float32)


def stamp(peak: float = 50.0, side: int = 64, seed: int = 1) -> NDArray[np.float32]:
    """A star on the middle of noise of sigma 1."""
    y, x = np.mgrid[:side, :side] - side // 2
    noise = np.random.default_rng(seed).normal(0, 1, (side, side))
    return (noise + peak * np.exp(-4 * np.log(2) * (x**2 + y**2) / 3.0**2)).astype(np.float32)


def npy(array: Any, *, pickled: bool = False) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=pickled)
    return stream.getvalue()


def fits_file(*images: Any, names: Sequence[str] = (), **cards: Any) -> bytes:
    """A file with its images in order, the first in the primary HDU, and cards in the first header."""
    hdus: list[Any] = [fits.PrimaryHDU(images[0])] + [fits.ImageHDU(image) for image in images[1:]]
    for hdu, name in zip(hdus, names, strict=False):
        hdu.header["EXTNAME"] = name
    hdus[0].header.update(cards)
    stream = io.BytesIO()
    fits.HDUList(hdus).writeto(stream)
    return stream.getvalue()


def alerts(count: int = 2, **options: Any) -> bytes:
    import made

    detector = made.noise((200, 200))
    made_at = [made.ztf_at(detector, 100.0, 90.0 + number, number + 1) for number in range(count)]
    return made.container(made.ZTF_SCHEMA, made_at, **options)


@dataclass
class Said:
    """An answer."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def reason(self) -> str:
        return str(self.json()["detail"])


def say(app: Any, method: str, path: str, query: str = "", body: bytes | Sequence[bytes] = b"", **headers: str) -> Said:
    """Send one request to an application, as a server would; a body of several parts comes in parts."""
    return asyncio.run(said(app, method, path, query, body, **headers))


async def said(
    app: Any, method: str, path: str, query: str = "", body: bytes | Sequence[bytes] = b"", **headers: str
) -> Said:
    parts = [body] if isinstance(body, bytes) else list(body)
    sent = {"host": "127.0.0.1:8428"} | {name.replace("_", "-"): value for name, value in headers.items()}
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http", "method": method,
        "path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
        "client": ("127.0.0.1", 5), "server": ("127.0.0.1", 8428),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in sent.items() if value],
    }  # fmt: skip
    answer = Said()
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


@contextmanager
def running(app: Any, limits: Limits | None = None) -> Iterator[int]:
    """Serve an application on a port of this computer, as `realbogus serve` does, and give the port."""
    from realbogus.serving.http.server import server_of

    with bind(LOOPBACK, 0) as listener:
        server = server_of(app, limits or Limits())
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join(PATIENCE)


def ask(port: int, method: str, path: str, body: Any = None, **headers: str) -> Said:
    """Send one request over the network."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return Said(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()
