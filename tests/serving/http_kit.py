"""What the tests of the service share: a classifier that looks at brightness, bodies, a voice, a server."""

from __future__ import annotations

import asyncio
import http.client
import io
import sys
import threading
import time
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from asgi import Answer, request
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


def say(
    app: Any, method: str, path: str, query: str = "", body: bytes | Sequence[bytes] = b"", **headers: str
) -> Answer:
    """Send one request to an application, and wait for the answer."""
    return asyncio.run(request(app, method, path, query, body, port=8428, **headers))


def said(app: Any, method: str, path: str, *words: Any, **headers: Any) -> Awaitable[Answer]:
    """Send it where a loop is running already."""
    return request(app, method, path, *words, port=8428, **headers)


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


def ask(port: int, method: str, path: str, body: Any = None, **headers: str) -> Answer:
    """Send one request over the network."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()
