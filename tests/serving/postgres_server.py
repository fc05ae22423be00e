"""A PostgreSQL server of one's own on loopback, for tests: started, stopped and started again."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

PLACES = ("", "/usr/lib/postgresql/17/bin", "/usr/lib/postgresql/16/bin", "/usr/lib/postgresql/15/bin")
ABSENT = "PostgreSQL is absent: apt-get install postgresql (initdb and postgres on PATH or in /usr/lib/postgresql)"


def program(name: str) -> str | None:
    """Where a program of PostgreSQL lies, or None."""
    return next((path for place in PLACES if (path := shutil.which(name, path=place or None))), None)


class PostgresServer:
    """A server with an empty database `postgres`; nobody needs a password, and only this computer gets in."""

    def __init__(self) -> None:
        initdb, self._server = program("initdb"), program("postgres")
        if initdb is None or self._server is None:
            raise FileNotFoundError(ABSENT)
        # PostgreSQL refuses to run as root
        self._user = "postgres" if os.geteuid() == 0 else None
        self.folder = Path(tempfile.mkdtemp(prefix="realbogus-postgres-"))
        if self._user is not None:
            shutil.chown(self.folder, self._user)
        with socket.socket() as door:
            door.bind(("127.0.0.1", 0))
            self.port = door.getsockname()[1]
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        words = [initdb, "-D", str(self.folder / "data"), "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8"]
        subprocess.run(words, check=True, capture_output=True, user=self._user, cwd="/", timeout=120)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and come back when it answers."""
        words = [str(self._server), "-D", str(self.folder / "data"), "-p", str(self.port), "-h", "127.0.0.1", "-k", "",
                 "-c", "fsync=off"]  # fmt: skip
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(words, stdout=log, stderr=log, user=self._user, cwd="/")
        import psycopg

        for _ in range(300):
            try:
                psycopg.connect(self.url, connect_timeout=2).close()
                return
            except psycopg.OperationalError:
                if self._process.poll() is not None:
                    break
                time.sleep(0.1)
        raise RuntimeError((self.folder / "log").read_text(errors="replace"))

    def stop(self) -> None:
        """Stop at once: who is connected is cut off."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(30)
            self._process = None

    def remove(self) -> None:
        """Stop, and take its folder away."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
