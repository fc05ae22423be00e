"""How many stamps a second does training take? The paper's trio with its recipe, against the plain way.

The plain way is what one writes first: a `Dataset` that normalises and stretches one stamp and
puts it through torchvision's transforms (the paper's four augmentations), a `DataLoader` with a
worker a processor, the network in float32. Ours is the loop of `realbogus train`, in the
precision that it takes by itself. Both train the
same networks with the same dropout on batches of 256 stamps of 64x64 pixels. Each has a process of
its own, so that no setting of one (threads, memory) reaches the other; they train in turns, so that
what else the machine does hits both. Ours prepares the stamps once a run; a hundredth of that (the
paper has 100 epochs) counts in every round. As in `realbogus train`, memory that is freed stays with
its process from the first round to the last.

    python benchmarks/train_throughput.py [--quick] [--networks resnet18 ...] [--device auto]

Needs two idle cores or a GPU. Leaves with status 1 where the floor is missed: for the sum of the
seconds of all networks, 1.5 times the plain speed on a CPU, 5 times on a GPU. The figures come last.
"""

from __future__ import annotations

import argparse
import multiprocessing as mp
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import torch
from astropy.table import Table
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torch.utils.flop_counter import FlopCounterMode
from torchvision.ops import sigmoid_focal_loss
from torchvision.transforms import InterpolationMode, v2

from realbogus.architectures import build_network
from realbogus.classifier import Card
from realbogus.config import Config, TrainingConfig, with_overrides
from realbogus.preprocess import Preprocess
from realbogus.stamps import StampSet
from realbogus.study.paper import TRIO
from realbogus.training.hardware import choose_device, kept_memory, make_fabric, settled
from realbogus.training.part import make_part
from realbogus.training.run import Run

FLOORS = {"cpu": 1.5, "cuda": 5.0}
SIZE = 64
REALS = 12


#: Makes a way to train one network: a function that trains one round, and a round's share of what is done once.
Way = Callable[..., tuple[Callable[[], None], float]]


@dataclass
class Rival:
    """One way to train one network, in a process of its own, and how long its rounds took."""

    process: Any
    line: Connection
    seconds: list[float] = field(default_factory=list)

    @classmethod
    def start(cls, way: Way, *arguments: Any) -> Rival:
        """Start the process; it makes ready and waits."""
        context = mp.get_context("spawn")
        here, there = context.Pipe()
        process = context.Process(target=_rounds, args=(there, way, arguments))
        process.start()
        there.close()  # so that the end of the process is the end of the line
        here.recv()
        return cls(process, here)

    def round(self) -> None:
        """Train for one round and note the time."""
        self.line.send(True)
        self.seconds.append(self.line.recv())

    def stop(self) -> None:
        """End the process."""
        self.line.close()
        self.process.join()

    def best(self) -> float:
        """Return the quickest round but the first, which warms up: what else the machine does only adds."""
        return min(self.seconds[1:])


def _rounds(line: Connection, way: Way, arguments: tuple[Any, ...]) -> None:
    """Work as a rival's process: rounds, as often as it is told."""
    with kept_memory() if way is ours else nullcontext():  # as `train` does for the whole of a run
        run, before = way(*arguments)
        line.send(True)
        while True:
            try:
                line.recv()
            except EOFError:
                return
            started = time.perf_counter()
            run()
            if torch.cuda.is_initialized():
                torch.cuda.synchronize()
            line.send(time.perf_counter() - started + before)


class Stamps(Dataset[tuple[Tensor, float]]):
    """The plain way: one stamp at a time."""

    def __init__(self, pixels: NDArray[np.float32], noise: NDArray[np.float32], labels: NDArray[np.int64]) -> None:
        self.pixels, self.noise, self.labels = pixels, noise, labels
        turn = [v2.RandomRotation((angle, angle)) for angle in (90, 180, 270)]
        self.transform = v2.Compose(
            [
                v2.RandomApply([v2.RandomChoice([v2.RandomHorizontalFlip(1.0), v2.RandomVerticalFlip(1.0)])], 0.5),
                v2.RandomApply([v2.RandomChoice(turn)], 0.5),
                v2.RandomApply([v2.RandomAffine(0, scale=(0.8, 1.2), interpolation=InterpolationMode.BILINEAR)], 0.5),
                v2.RandomApply([v2.Lambda(_brightness)], 0.5),
            ]
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> tuple[Tensor, float]:
        stamp = np.arcsinh(self.pixels[row] / self.noise[row])
        return self.transform(torch.from_numpy(stamp)), float(self.labels[row])


def _brightness(stamp: Tensor) -> Tensor:
    return stamp * (0.8 + 0.4 * torch.rand(()).item())


def stamps_of(count: int) -> StampSet:
    """Noise with a source in the middle of some: what is on them does not matter here."""
    rng = np.random.default_rng(0)
    labels = (np.arange(count) < REALS).astype(int)
    noise = rng.uniform(5, 10, count).astype(np.float32)
    pixels = rng.standard_normal((count, 1, SIZE, SIZE), dtype=np.float32) * noise[:, None, None, None]
    pixels[labels == 1, :, 30:35, 30:35] += 100
    rows = Table({"id": np.arange(count), "noise": noise, "fwhm": np.full(count, 3.0), "label": labels})
    return StampSet(pixels, rows)


def ours(name: str, steps: int, batch: int, device: torch.device, compiled: bool) -> tuple[Callable[[], None], float]:
    """Prepare the loop of `realbogus train` with the paper's recipe; a round is an epoch of `steps` batches."""
    changes = {"training.batch_size": batch, "training.device": str(device), "training.compile": compiled}
    config = with_overrides(Config(), {"model.architecture": name, **changes})
    stamps = stamps_of(steps * batch - REALS * (config.training.repeat_reals - 1))
    prepare = Preprocess.from_dict(config.preprocess)
    fabric = make_fabric(settled(config.training, name))
    run = Run(config, 0, Card(name, name, preprocess=prepare, config=config.to_dict()), fabric)
    rows, weights = np.arange(len(stamps)), np.ones(len(stamps), dtype=np.float32)

    started = time.perf_counter()
    part = make_part(stamps, rows, weights, prepare, config.training, None).on(device)
    once = time.perf_counter() - started

    def epoch() -> None:
        run.one_epoch(part, None, None)
        if run.batches != steps:
            raise RuntimeError(f"an epoch of {run.batches} batches, expected {steps}")

    return epoch, once / config.training.epochs


def plain(name: str, steps: int, batch: int, device: torch.device, workers: int) -> tuple[Callable[[], None], float]:
    """Prepare the plain way; a round is an epoch of `steps` batches."""
    stamps = stamps_of(steps * batch)
    loader = DataLoader(
        Stamps(stamps.pixels, stamps.noise, stamps.labels),
        batch_size=batch,
        shuffle=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        multiprocessing_context="fork" if workers else None,  # as it is outside a process that was spawned
        pin_memory=device.type == "cuda",
    )
    network = build_network(name, 1, SIZE).to(device).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4, weight_decay=1e-3)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 100, 1e-7)

    def epoch() -> None:
        total = 0.0
        for planes, labels in loader:
            planes, labels = planes.to(device, non_blocking=True), labels.to(device, torch.float32)
            loss = sigmoid_focal_loss(network(planes).reshape(-1), labels, alpha=0.9, gamma=2.0, reduction="mean")
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        scheduler.step()

    return epoch, 0.0


def gigaflops_a_stamp(name: str) -> float:
    """Arithmetic of a training step by stamp: three times what torch counts forward, as both gradients cost as much."""
    network = build_network(name, 1, SIZE).train()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(2, 1, SIZE, SIZE))
    return 3 * counter.get_total_flops() / 2 / 1e9


def matmul_teraflops(device: torch.device, kind: torch.dtype) -> float:
    """Measure the machine's own rate for products of matrices."""
    side = 8192 if device.type == "cuda" else 1536
    left, right = (torch.randn(side, side, device=device).to(kind) for _ in range(2))
    best = np.inf
    for _ in range(5):
        started = time.perf_counter()
        for _ in range(10 if device.type == "cuda" else 1):
            product = left @ right
        product[0, 0].item()
        best = min(best, (time.perf_counter() - started) / (10 if device.type == "cuda" else 1))
    return 2 * side**3 / best / 1e12


def compare(names: list[str], options: argparse.Namespace, device: torch.device) -> Iterator[tuple[str, Rival, Rival]]:
    """Train every network both ways in turns."""
    for name in names:
        one = Rival.start(ours, name, options.steps, options.batch, device, options.compile)
        other = Rival.start(plain, name, options.steps, options.batch, device, options.workers)
        for number in range(options.repeats + 1):
            for rival in (one, other) if number % 2 else (other, one):
                rival.round()
            print(f"{name} round {number}: ours {one.seconds[-1]:.2f} s, plain {other.seconds[-1]:.2f} s", flush=True)
        one.stop()
        other.stop()
        yield name, one, other


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one round of one step: does it run at all?")
    parser.add_argument("--networks", nargs="+", default=list(TRIO))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--steps", type=int, default=None, help="batches in a round (CPU: 2, GPU: 40)")
    parser.add_argument("--repeats", type=int, default=None, help="rounds after the one that warms up (default: 3)")
    parser.add_argument("--workers", type=int, default=None, help="of the plain way's loader (default: all processors)")
    parser.add_argument("--compile", action="store_true", help="with torch.compile in ours")
    options = parser.parse_args()
    device = choose_device(options.device)
    options.steps = options.steps or (1 if options.quick else 2 if device.type == "cpu" else 40)
    options.repeats = options.repeats or (1 if options.quick else 3)
    options.workers = len(os.sched_getaffinity(0)) if options.workers is None else options.workers
    shown = options.steps * options.batch
    kinds = {name: settled(TrainingConfig(device=str(device)), name).precision for name in options.networks}
    peaks = {kind: matmul_teraflops(device, getattr(torch, kind)) for kind in sorted(set(kinds.values()))}
    rows = []
    for name, one, other in compare(options.networks, options, device):
        rows.append(
            (name, one.best(), other.best(), gigaflops_a_stamp(name) * shown / one.best() / 1e3 / peaks[kinds[name]])
        )
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    print(f"\n{where}, {options.workers} workers in the plain way")
    print(f"batch {options.batch}, best of {options.repeats} rounds of {shown} stamps")
    print(f"\n{'network':<18} {'plain /s':>9} {'ours /s':>9} {'ratio':>6} {'share of matmul rate':>21}")
    for name, quick, slow, share in rows:
        print(f"{name:<18} {shown / slow:9.1f} {shown / quick:9.1f} {slow / quick:6.2f} {100 * share:19.1f} %")
    total, plainly = sum(row[1] for row in rows), sum(row[2] for row in rows)
    ratio, floor = plainly / total, FLOORS[device.type]
    verdict = "met" if ratio >= floor else "FLOOR MISSED"
    print(
        "\n" + "\n".join(f"matmul rate of this machine in {kind}: {peak:.3f} TFLOP/s" for kind, peak in peaks.items())
    )
    print(f"all networks: plain {plainly:.2f} s, ours {total:.2f} s")
    print(f"training is {ratio:.2f} times as quick as the plain way (floor {floor}): {verdict}")
    return 0 if ratio >= floor else 1


if __name__ == "__main__":
    sys.exit(main())
