"""A real Apache Kafka broker on loopback: one node, KRaft, from the jars that `make kafka` fetches."""

from __future__ import annotations

import base64
import os
import signal
import socket
import subprocess
import time
import uuid
from pathlib import Path

__all__ = ["JARS", "KafkaServer"]

ROOT = Path(__file__).resolve().parents[2]
#: Where `make kafka` puts the server.
JARS = Path(os.environ.get("REALBOGUS_KAFKA_JARS", ROOT / ".kafka"))

_SETTINGS = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={data}
num.partitions={partitions}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
num.network.threads=2
num.io.threads=2
log.flush.interval.messages=1000
"""


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class KafkaServer:
    """A broker with its data in `folder`; killed and started again it has what it had."""

    def __init__(self, folder: Path, *, java: str = "java", partitions: int = 3) -> None:
        self.folder, self._java = folder, java
        self.port = free_port()
        folder.mkdir(parents=True, exist_ok=True)
        self._settings = folder / "server.properties"
        self._settings.write_text(
            _SETTINGS.format(port=self.port, controller=free_port(), data=folder / "data", partitions=partitions)
        )
        name = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        words = ["kafka.tools.StorageTool", "format", "-t", name, "-c", str(self._settings)]
        done = subprocess.run(self._command(*words), capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            raise RuntimeError(f"Kafka's storage could not be made: {done.stdout[-1000:]}{done.stderr[-1000:]}")
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def address(self) -> str:
        """For `bootstrap.servers`."""
        return f"127.0.0.1:{self.port}"

    def _command(self, *words: str) -> list[str]:
        return [self._java, "-Xms96m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp",
                f"{JARS}/*", *words]  # fmt: skip

    def start(self, patience_s: float = 120.0) -> None:
        """Start the broker and wait until it answers."""
        from confluent_kafka.admin import AdminClient

        with (self.folder / "broker.log").open("ab") as log:
            command = self._command("kafka.Kafka", str(self._settings))
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        end = time.monotonic() + patience_s
        while time.monotonic() < end:
            if self._process.poll() is not None:
                break
            try:
                AdminClient({"bootstrap.servers": self.address, "log_level": 0}).list_topics(timeout=2)
                return
            except Exception:  # not there yet
                time.sleep(0.3)
        raise RuntimeError(f"Kafka did not start: {(self.folder / 'broker.log').read_text()[-2000:]}")

    def stop(self, how: int = signal.SIGTERM) -> None:
        """End the broker, and wait until it has ended."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(how)
            try:
                self._process.wait(60)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(30)
        self._process = None
