"""Measure how many single stamps a second `realbogus serve` answers, and how soon.

    python benchmarks/http_load.py [MODEL] [--rate 200] [--seconds 20] [--connections 16] [--body npy|fits|avro]

The server is a process of its own, with the shipped model unless another is named. Two measurements:

- at a rate: requests leave at fixed times, whatever the answers do, and a latency counts from the time at which its
  request should have left, so that a server that stalls is not spared what it caused. Percentiles of these;
  With `--large N` so many clients send bodies of 500 stamps one after the other meanwhile;
- at most: every connection sends its next request when it has its answer.

The figures come last. The status is 1 where an answer was no score, or where 200 requests a second were not reached.
The client is this process, and takes its share of the machine: figures of an idle one are what counts.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

FLOOR = 200.0
PACKETS = Path(__file__).resolve().parents[2] / "shared" / "data" / "ztf_alerts" / "packets"


def bodies(kind: str, count: int = 64) -> list[bytes]:
    """Make requests' bodies: stars of every brightness in noise, or real alerts."""
    if kind == "avro":
        return [path.read_bytes() for path in sorted(PACKETS.glob("*.avro"))[:count]]
    from astropy.io import fits

    rng = np.random.default_rng(1)
    y, x = np.mgrid[-32:32, -32:32]
    made = []
    for _ in range(count):
        star = rng.uniform(0, 200) * np.exp(-(x**2 + y**2) / 4.5)
        stamp = (star + rng.normal(0, 3, x.shape)).astype("float32")
        stream = io.BytesIO()
        if kind == "npy":
            np.save(stream, stamp)
        else:
            fits.PrimaryHDU(stamp).writeto(stream)
        made.append(stream.getvalue())
    return made


class Client:
    """One connection that is kept."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self.lock = asyncio.Lock()

    async def open(self) -> None:
        """Connect."""
        self.reader, self.writer = await asyncio.open_connection(self.host, self.port)

    async def ask(self, body: bytes) -> bool:
        """Send a stamp and say whether a score came back."""
        head = f"POST /score HTTP/1.1\r\nhost: {self.host}:{self.port}\r\ncontent-length: {len(body)}\r\n\r\n"
        self.writer.write(head.encode() + body)
        answer = await self.reader.readuntil(b"\r\n\r\n")
        length = next(line for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        data = await self.reader.readexactly(int(length.split(b":")[1]))
        return answer.startswith(b"HTTP/1.1 200") and b'"score": 0.' in data


async def at_rate(
    clients: list[Client], stamps: list[bytes], rate: float, seconds: float
) -> tuple[list[float], int, float]:
    """Send at fixed times; return latencies, how many had no score, and answers a second."""
    late: list[float] = []
    wrong = 0
    begun = time.perf_counter() + 0.05

    async def one(number: int) -> None:
        nonlocal wrong
        client = clients[number % len(clients)]
        async with client.lock:
            wrong += not await client.ask(stamps[number % len(stamps)])
        late.append(time.perf_counter() - begun - number / rate)

    tasks = []
    for number in range(int(rate * seconds)):
        await asyncio.sleep(max(0.0, begun + number / rate - time.perf_counter()))
        tasks.append(asyncio.create_task(one(number)))
    await asyncio.gather(*tasks)
    return late, wrong, len(late) / (time.perf_counter() - begun)


async def at_most(clients: list[Client], stamps: list[bytes], seconds: float) -> tuple[float, int]:
    """Send as fast as answers come; return answers a second and how many had no score."""
    end = time.perf_counter() + seconds
    done = wrong = 0

    async def one(client: Client, number: int) -> None:
        nonlocal done, wrong
        while time.perf_counter() < end:
            wrong += not await client.ask(stamps[number % len(stamps)])
            done, number = done + 1, number + 1

    await asyncio.gather(*(one(client, 7 * number) for number, client in enumerate(clients)))
    return done / seconds, wrong


async def beside(clients: list[Client], body: bytes) -> None:
    """Send a large body over and over."""

    async def one(client: Client) -> None:
        while True:
            await client.ask(body)

    await asyncio.gather(*(one(client) for client in clients))


async def measure(address: str, options: argparse.Namespace) -> int:
    """Measure, tell, and return the status."""
    found = urlsplit(address)
    assert found.hostname is not None and found.port is not None
    stamps = bodies(options.body)
    clients = [Client(found.hostname, found.port) for _ in range(options.connections)]
    for client in clients:
        await client.open()
    _, warm = await at_most(clients, stamps, min(2.0, options.seconds))
    most, wrong = await at_most(clients, stamps, options.seconds)
    large = [Client(found.hostname, found.port) for _ in range(options.large)]
    for client in large:
        await client.open()
    stream = io.BytesIO()
    np.save(stream, np.random.default_rng(2).normal(0, 3, (500, 1, 64, 64)).astype("float32"))
    meanwhile = asyncio.create_task(beside(large, stream.getvalue()))
    late, failed, rate = await at_rate(clients, stamps, options.rate, options.seconds)
    meanwhile.cancel()
    p50, p90, p99 = np.percentile(np.array(late) * 1000, [50, 90, 99])
    wrong += warm + failed
    print(f"{options.body}, {len(stamps[0])} bytes, {options.connections} connections, "
          f"{options.large} with large bodies, load {os.getloadavg()[0]:.1f}")  # fmt: skip
    print(f"requests without a score: {wrong}")
    print(f"at {options.rate:g}/s for {options.seconds:g} s: {rate:.1f} answers/s, latency p50 {p50:.1f} ms, "
          f"p90 {p90:.1f} ms, p99 {p99:.1f} ms, longest {max(late) * 1000:.1f} ms")  # fmt: skip
    print(f"at most: {most:.0f} answers/s; floor {FLOOR:g}")
    return int(wrong > 0 or most < FLOOR or rate < 0.98 * min(options.rate, FLOOR))


def main() -> int:
    """Start the server, measure, end it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="default")
    parser.add_argument("--rate", type=float, default=FLOOR)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--large", type=int, default=0, help="clients that send large bodies meanwhile")
    parser.add_argument("--body", choices=("npy", "fits", "avro"), default="npy")
    parser.add_argument("--threads", type=int, default=1, help="of the model")
    options = parser.parse_args()
    verb = ["serve", options.model, "--port", "0", "--threads", str(options.threads)]
    words = [sys.executable, "-m", "realbogus", *verb]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            address = next((line.split()[-1] for line in server.stdout if line.startswith("listening")), None)
            if address is None:
                print("the server did not start", file=sys.stderr)
                return 1
            return asyncio.run(measure(address, options))
        finally:
            server.terminate()


if __name__ == "__main__":
    sys.exit(main())
