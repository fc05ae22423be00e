"""`realbogus vet` in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

PATIENCE = 60  # seconds; a busy machine is no failure
SOURCE = Path(__file__).resolve().parents[2] / "src"


class Running:
    """The server, and the links that it prints: by vetter, or one by its first word."""

    def __init__(self, *words: str, cwd: Path | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "realbogus", "vet", *words, "--no-browser"], cwd=cwd,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(SOURCE)},
        )  # fmt: skip
        assert self.process.stdout is not None and self.process.stderr is not None
        self.links = {}
        for line in self.process.stdout:
            if "http://" in line:
                name, _, link = line.strip().rpartition(" ")
                self.links[name.removesuffix(":")] = link
            if line.startswith("Ctrl-C"):
                return
        pytest.fail(f"the server did not start: {self.process.stderr.read()}")

    def end(self, how: int = signal.SIGKILL) -> str:
        if self.process.returncode is not None:
            return ""
        self.process.send_signal(how)
        return self.process.communicate(timeout=PATIENCE)[0]
