"""The server on a real socket: who is slow, silent or endless is cut off, and holds up nobody else."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("fastapi", reason='the service needs FastAPI: pip install "realbogus[serve]"')
pytest.importorskip("prometheus_client", reason='the service needs prometheus-client: pip install "realbogus[serve]"')
sys.path.insert(0, str(Path(__file__).parent))  # http_kit.py; importlib mode puts no test folder on the path

from http_kit import PATIENCE, TOKEN, Bright, ask, npy, running, stamp

from realbogus.doors import keep_token
from realbogus.errors import ConfigError
from realbogus.serving.http.app import make_app
from realbogus.serving.http.limits import Limits
from realbogus.serving.http.service import Service

STAMP = npy(stamp(80))
SOURCE = Path(__file__).resolve().parents[2] / "src"


@contextmanager
def serving(model: Bright | None = None, **limits: float):
    bounds = Limits(**limits)
    with Service(model or Bright(), None, bounds) as service, running(make_app(service), bounds) as port:
        yield port


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)


def head(length: object = len(STAMP), path: str = "/score", **headers: str) -> bytes:
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n{lines}\r\n".encode()


def everything(connection: socket.socket) -> bytes:
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def test_slow_clients_do_not_block_others():
    """Some send a byte a tenth of a second, some nothing, some half a head: the others have their answers as ever."""
    with serving(body_s=30.0, head_s=30.0) as port:
        slow = [connect(port) for _ in range(30)]
        for connection in slow[:10]:
            connection.sendall(head() + STAMP[:100])
        for connection in slow[10:20]:
            connection.sendall(b"POST /sc")
        stop = threading.Event()

        def trickle() -> None:
            place = 100
            while not stop.wait(0.1):
                for connection in slow[:10]:
                    connection.sendall(STAMP[place : place + 1])
                place += 1

        dripping = threading.Thread(target=trickle)
        dripping.start()
        try:
            begun = time.monotonic()
            with ThreadPoolExecutor(8) as pool:
                answers = list(pool.map(lambda _: ask(port, "POST", "/score", STAMP), range(60)))
            assert time.monotonic() - begun < PATIENCE / 2
        finally:
            stop.set()
            dripping.join(PATIENCE)
        assert all(answer.status == 200 and answer.json()["candidates"][0]["real"] for answer in answers)
        for connection in slow:
            connection.close()


def test_a_body_that_does_not_come_is_no_longer_waited_for():
    with serving(body_s=0.3) as port, connect(port) as connection:
        connection.sendall(head() + STAMP[:200])
        answer = everything(connection)  # it ends, so the connection was closed
        assert answer.startswith(b"HTTP/1.1 408") and b"200 bytes of the body came in 0.3 s" in answer


@pytest.mark.parametrize("begin", [b"", b"POST /score HTTP/1.1\r\nhost: lo", head(10**6, "/nowhere") + b"x" * 100])
def test_a_head_or_a_rest_that_does_not_come_ends_the_connection(begin):
    with serving(head_s=0.3) as port, connect(port) as connection:
        connection.sendall(begin)
        begun = time.monotonic()
        everything(connection)
        assert time.monotonic() - begun < PATIENCE / 2


def test_a_connection_that_is_kept_may_rest_and_go_on():
    with serving(head_s=0.2) as port, connect(port) as connection:
        stream = connection.makefile("rb")
        for pause in (0.0, 0.6, 0.0):  # longer than a head may take: it has not begun
            time.sleep(pause)
            connection.sendall(head() + STAMP)
            assert stream.readline().startswith(b"HTTP/1.1 200")
            length = next(int(line.split(b":")[1]) for line in stream if line.lower().startswith(b"content-length"))
            assert next(stream) == b"\r\n" or any(line == b"\r\n" for line in stream)
            assert json.loads(stream.read(length))["candidates"]


def test_a_large_body_is_refused_while_it_comes():
    with serving(body_bytes=100_000, held_bytes=10**6) as port:
        with connect(port) as told:
            told.sendall(head(10**9))
            assert told.recv(100).startswith(b"HTTP/1.1 413")  # before a byte of it was sent
        with connect(port) as untold:
            untold.sendall(b"POST /score HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n")
            for _ in range(8):
                untold.sendall(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
            assert untold.recv(100).startswith(b"HTTP/1.1 413")  # its end was never sent
        # a client that first sends everything finds its answer all the same
        assert ask(port, "POST", "/score", b"x" * 300_000).status == 413
        assert ask(port, "POST", "/score", STAMP).status == 200


def test_who_breaks_off_costs_nothing():
    with serving() as port:
        for part in (head(), head() + STAMP[:50], head() + STAMP):
            with connect(port) as connection:
                connection.sendall(part)
        text = ""
        end = time.monotonic() + PATIENCE
        while "realbogus_held_bytes 0.0" not in text and time.monotonic() < end:
            text = ask(port, "GET", "/metrics").body.decode()
        assert "realbogus_held_bytes 0.0" in text and ask(port, "POST", "/score", STAMP).status == 200


def test_too_many_connections_are_told_so():
    with serving(connections=3, head_s=30.0) as port:
        held = [connect(port) for _ in range(3)]
        time.sleep(0.2)
        with connect(port) as more:
            answer = everything(more)
        assert answer.startswith(b"HTTP/1.1 503") and b"retry-after: 1" in answer
        for connection in held:
            connection.close()
        end = time.monotonic() + PATIENCE
        status = 0
        while status != 200 and time.monotonic() < end:
            status = ask(port, "POST", "/score", STAMP).status
        assert status == 200


def test_a_reader_that_does_not_read_is_cut_off():
    many = npy(np.ones((2000, 1, 16, 16), np.uint8))
    with serving(answer_s=4.0) as port, connect(port) as connection:  # to read and score one takes a part of that
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with pytest.raises(OSError, match=r"reset|pipe"):
            for _ in range(200):  # each answer has 800 kB, and nobody fetches them
                connection.sendall(head(len(many), "/score?noise=1&fwhm=3") + many)
        assert ask(port, "POST", "/score", STAMP).status == 200


def test_many_clients_have_their_own_scores():
    peaks = np.linspace(20, 95, 40)
    with serving(Bright(seconds=0.002)) as port, ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda peak: ask(port, "POST", "/score?noise=1", npy(stamp(peak))).json(), peaks))
    want = [stamp(peak).max() / 100 for peak in peaks]
    assert [answer["candidates"][0]["score"] for answer in found] == pytest.approx(want, abs=1e-5)


def test_what_is_no_http():
    with serving() as port, connect(port) as connection:
        connection.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        assert everything(connection).startswith(b"HTTP/1.1 400")


def test_the_verb(tmp_path):
    words = [sys.executable, "-m", "realbogus", "serve", "--port", "0", "--threads", "1", "--host", "0.0.0.0"]
    surroundings = os.environ | {"PYTHONPATH": str(SOURCE), "REALBOGUS_TOKEN": TOKEN}
    with subprocess.Popen(
        words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=surroundings
    ) as process:
        try:
            assert process.stdout is not None and process.stderr is not None
            said = ""
            while "Ctrl-C" not in said and (line := process.stdout.readline()):
                said += line
            found = re.search(r"http://0\.0\.0\.0:(\d+)/score with the token given", said)
            assert found is not None, said + process.stderr.read()
            port = int(found[1])
            assert TOKEN not in said
            assert not list(tmp_path.iterdir())  # whoever gives a token has it
            assert ask(port, "GET", "/health").json()["model"] == "realbogus-default"
            assert ask(port, "POST", "/score", STAMP).status == 401
            answer = ask(port, "POST", "/score", STAMP, authorization=f"Bearer {TOKEN}")
            assert answer.status == 200 and 0 <= answer.json()["candidates"][0]["score"] <= 1
        finally:
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode in (0, 130), errors
    assert "without encryption" in errors and "Traceback" not in errors


def test_a_token_that_is_kept_is_never_changed(tmp_path):
    path = tmp_path / "token"
    for text, signs in (("short", 5), ("two lines of it\nand one more", 28)):
        path.write_text(text)
        with pytest.raises(ConfigError, match=f"token holds a token of {signs} signs.*remove the file"):
            keep_token(path)
        assert path.read_text() == text
    path.write_text(TOKEN + "\n")
    path.chmod(0o644)
    assert keep_token(path) == TOKEN and path.stat().st_mode & 0o077 == 0


def test_a_token_on_a_mount_that_cannot_be_written_is_taken(tmp_path, monkeypatch):
    path = tmp_path / "token"
    path.write_text(TOKEN)

    def no(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "chmod", no)
    monkeypatch.setattr(os, "open", no)
    assert keep_token(path) == TOKEN
