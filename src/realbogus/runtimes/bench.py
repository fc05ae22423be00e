"""How quick a model is here: stamps a second, single stamps, a fresh start, and what a night of alerts takes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ConfigError, ModelError
from ..processes import processor_name, processors
from . import load_classifier
from .bundle import Bundle
from .contenders import CONTENDERS, label_of
from .onnx import Device
from .rivals import STAMPS, ask, rivals
from .timed import gate_scores, some_stamps

__all__ = ["Speed", "bench", "cold_start"]


@dataclass(frozen=True)
class Speed:
    """How quick one contender is with some threads and a batch.

    Parameters
    ----------
    contender : str
        A name in `CONTENDERS`.
    runtime : str
        What it runs in.
    threads, batch : int
        Processor threads, and stamps handed in at a time.
    rate : float
        Stamps a second, from stamps in memory to scores; the best of the rounds.
    p50_ms, p90_ms, p99_ms : float
        Percentiles of the time of a call, milliseconds, of all rounds.
    memory_mb : float
        Most memory the process had when it had first worked on such batches; they come in rising order.
    """

    contender: str
    runtime: str
    threads: int
    batch: int
    rate: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    memory_mb: float


def bench(
    path: Path | str,
    *,
    threads: Sequence[int] = (),
    batches: Sequence[int] = (1, 32, 512),
    seconds: float = 2.0,
    rounds: int = 2,
    starts: int = 3,
    contenders: Sequence[str] = ("itself", "pytorch", "onnxruntime"),
    say: Callable[[str, int, int], None] | None = None,
    device: Device = "cpu",
    stamps: Path | str | None = None,
) -> dict[str, Any]:
    """Time a model beside the same networks in eager PyTorch and ONNX Runtime, each in a process of its own.

    The contenders take turns, so that what else the machine does hits all. One that cannot run here (no torch,
    say), or that ends on the way, is left out with its reason.

    Parameters
    ----------
    path : path
        What `load_classifier` opens.
    threads, batches : sequence of int
        To try; threads are 1 and all processors where absent.
    seconds : float
        Of one measurement; it ends with the call that passes them.
    rounds : int
        How often each contender has its turn.
    starts : int
        How many fresh processes time the cold start.
    contenders : sequence of str
        Names in `CONTENDERS`; a bundle behind a gate is timed without it as well.
    say : callable, optional
        Called with (what, done, of).
    device : {"cpu", "cuda"}
        Where all of them run.
    stamps : path, optional
        Stamps to time them on. Without, on random ones, of which a gate lets as many go on as of those held out.

    Returns
    -------
    dict
        Values for JSON: `model` (as `passed` the share of the stamps that goes on through its gate), `machine`,
        `speeds`, `left_out`, `cold_start_s`.

    Raises
    ------
    ConfigError, ModelError
        Numbers that cannot be, or what was named cannot be opened.
    """
    path = Path(path)
    tried = sorted(set(threads or (1, processors())))
    sizes = sorted(set(batches))
    if not sizes or min(*tried, *sizes, rounds, 1) < 1 or not seconds > 0 or starts < 0:
        raise ConfigError(
            f"threads {tried}, batches {sizes}, rounds {rounds}, seconds {seconds:g}, starts {starts}: above zero each"
        )
    for name in contenders:
        CONTENDERS.resolve(name)
    model = load_classifier(path, device=device)  # what cannot be opened is an error here
    told, names = label_of(model), list(contenders)
    ours, _, how = told.partition(" ")
    if how.split()[0] == "f32" and "+" not in how and "itself" in names:  # to time it twice would tell nothing
        names = [name for name in names if name != ours]
    passed = None
    if isinstance(model, Bundle) and model.gate is not None:
        names = list(dict.fromkeys((*names[:1], "ungated", *names[1:])))
        passed = model.gate.passed
    facts: dict[str, Any] = {
        "name": model.card.name,
        "version": model.card.version,
        "runtime": told,
        "path": str(path),
        "stamps": None if stamps is None else str(stamps),
        "passed": passed,
    }
    place = None if stamps is None else Path(stamps)
    if place is not None:
        drawn = some_stamps(model.card, place, max(*sizes, STAMPS))  # what does not fit is an error here
        if isinstance(model, Bundle) and model.gate is not None:
            facts["passed"] = float(model.gate.goes_on(gate_scores(model, drawn)).mean())
        del drawn
    del model
    found: dict[tuple[str, int, int], Speed] = {}
    times: dict[tuple[str, int, int], list[float]] = {}
    left_out: dict[str, str] = {}
    steps, done = len(tried) * rounds * len(names) * len(sizes), 0
    for count in tried:
        with rivals(names, path, count, max(sizes), left_out, device, place) as lines:
            for _ in range(rounds):
                for name, line in list(lines.items()):
                    for size in sizes:
                        key = (name, count, size)
                        try:
                            runtime, spent, memory = ask(line, (size, seconds))
                        except ModelError as error:  # what it did before would be told as its best
                            left_out[name] = f"with {count} threads and batches of {size}: {error}"
                            lines.pop(name).close()
                            found = {place: speed for place, speed in found.items() if place[0] != name}
                            break
                        times.setdefault(key, []).extend(spent)
                        found[key] = _speed(key, runtime, times[key], size * len(spent) / sum(spent), memory, found)
                        done += 1
                        if say is not None:
                            say("bench", done, max(steps, done))
    if "itself" in left_out:
        raise ModelError(f"{path} cannot be timed: {left_out['itself']}")
    if say is not None:
        say("bench", max(steps, done), max(steps, done))
    return {
        "model": facts,
        "machine": {"processor": processor_name(), "processors": processors(), "python": sys.version.split()[0]},
        "speeds": [asdict(speed) for speed in found.values()],
        "left_out": left_out,
        "cold_start_s": [cold_start(path, device) for _ in range(starts)],
    }


def cold_start(path: Path | str, device: Device = "cpu") -> float:
    """Return the seconds from the start of a fresh Python to the first score of a model, by all its networks.

    Raises
    ------
    ModelError
        It gave none.
    """
    code = (
        "import sys\n"
        "from realbogus.runtimes import load_classifier\n"
        "from realbogus.runtimes.timed import random_stamps, through_all\n"
        "model = through_all(load_classifier(sys.argv[1], device=sys.argv[2]))\n"
        "pixels, noise, fwhm = random_stamps(model.card, 1)\n"
        "print(model.predict(pixels, noise=noise, fwhm=fwhm)[0], flush=True)\n"
    )
    # with a debugger's or a notebook's path, a child finds the package where we found it
    home = str(Path(__file__).resolve().parents[2])
    paths = [home, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    started = time.perf_counter()
    child = subprocess.run(
        [sys.executable, "-c", code, str(path), device],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
    )
    spent = time.perf_counter() - started
    try:
        score = float(child.stdout.split()[-1])  # a library may have spoken before
    except (IndexError, ValueError):
        score = float("nan")
    if child.returncode or not 0 <= score <= 1:
        raise ModelError(f"a fresh process gave no score of {path}: {child.stderr.strip()[-500:]}")
    return spent


def _speed(
    key: tuple[str, int, int], runtime: str, times: list[float], rate: float, memory: float, found: dict[Any, Speed]
) -> Speed:
    if key in found:
        rate, memory = max(rate, found[key].rate), found[key].memory_mb
    p50, p90, p99 = (1e3 * float(value) for value in np.percentile(times, (50, 90, 99)))
    name, threads, batch = key
    return Speed(name, runtime, threads, batch, rate, p50, p90, p99, memory)
