"""How clean is a difference image? Simulated Mini-SiTian frames, good and poor, against plain subtraction.

Nothing is injected: every positive detection is bogus (a star that flickers, a cosmic ray, a
residual). Good frames must meet two floors: blank sky as quiet as the noise map says, within 5 %,
and at most 20 bogus per Mpix at the default threshold. Poor frames are trailed, defocused or
registered 0.25 px off; they have no floor, only the figures beside plain subtraction.

    python benchmarks/subtraction.py [--size 640] [--fields 2] [--seed 1]

Leaves with status 1 where a floor is missed. The figures come last.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from realbogus.errors import FrameError
from realbogus.images.detect import ON_BAD_PIXEL, detect
from realbogus.images.frame import Frame
from realbogus.images.measure import Measurement, measure
from realbogus.images.reference import Reference, build_reference, warp_reference
from realbogus.images.simulate.coadd import transform_of
from realbogus.images.simulate.mini_sitian import mini_sitian
from realbogus.images.simulate.reading import as_read
from realbogus.images.simulate.world import Epoch, World, expose
from realbogus.images.subtract import subtract

FWHM = 3.1  # pixels, the median delivered
REGISTRATION = 0.08  # pixels rms
MEMBERS = 12
MAX_NOISE_ERROR = 0.05
MAX_BOGUS_PER_MPIX = 20.0
MARGIN = 32


@dataclass(frozen=True)
class Shot:
    """One science frame with the reference on its grid."""

    kind: str
    science: Frame
    measurement: Measurement
    reference: Reference


@dataclass(frozen=True)
class Row:
    """What one method made of one kind of frame."""

    kind: str
    method: str
    noise_ratio: float
    bogus: float
    negative: float
    on_bad_pixels: float
    stars: int
    seconds_per_mpix: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=640, help="side of a frame, pixels")
    parser.add_argument("--fields", type=int, default=2, help="number of fields, each with its own reference")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rows: list[Row] = []
    for field in range(options.fields):
        for shot in _shots(np.random.default_rng([options.seed, field]), options.size):
            for method in ("alard-lupton", "plain"):
                try:
                    rows.append(_judge(shot, method))
                except FrameError as error:
                    print(f"field {field}, {shot.kind}, {method}: refused: {error}")
    return _report(rows)


def _shots(rng: np.random.Generator, size: int) -> Iterator[Shot]:
    """Build a reference of twelve epochs, then expose good and poor frames of the same field."""
    world = mini_sitian(rng, (size, size), dither=MARGIN / 4)
    epochs = [_good(world, rng) for _ in range(MEMBERS)]
    frames = [as_read(expose(world, e, rng).pixels, world, f"member{i}") for i, e in enumerate(epochs)]
    measurements = [measure(frame) for frame in frames]
    transforms = [transform_of(_map(epochs[0], epoch, rng, REGISTRATION)) for epoch in epochs]
    reference = build_reference(frames, measurements, transforms, shape=(size, size))
    kinds = {
        "good": {},
        "good, moonlit": {},
        "trailed": {"trail": 0.7 * FWHM, "trail_angle": 0.6},
        "defocused": {"donut": 0.6 * FWHM},
        "shifted 0.25 px": {},
    }
    for kind, changes in kinds.items():
        epoch = _good(world, rng)
        epoch = replace(epoch, psf=replace(epoch.psf, **changes))
        if "moonlit" in kind:
            epoch = replace(epoch, sky=replace(epoch.sky, level=2 * epoch.sky.level))
        frame = as_read(expose(world, epoch, rng).pixels, world, kind)
        error = 0.25 if "shifted" in kind else REGISTRATION
        back = transform_of(np.linalg.inv(_map(epochs[0], epoch, rng, error)))
        yield Shot(kind, frame, measure(frame), warp_reference(reference, back, frame.shape))


def _good(world: World, rng: np.random.Generator) -> Epoch:
    """Draw an epoch of the preset at the median seeing, without the poor frames' faults."""
    while (epoch := world.epoch(rng)).poor:
        pass
    psf = replace(epoch.psf, fwhm=FWHM * float(rng.lognormal(0, 0.06)))
    return replace(epoch, psf=psf, trails=(), ghosts=())


def _map(anchor: Epoch, epoch: Epoch, rng: np.random.Generator, error: float) -> np.ndarray:
    """3x3 matrix from the anchor's pixels to the epoch's, off by `error` pixels in some direction."""
    angle = rng.uniform(0, 2 * np.pi)
    off = np.array([[1, 0, error * np.cos(angle)], [0, 1, error * np.sin(angle)], [0, 0, 1.0]])
    return epoch.pointing.matrix() @ np.linalg.inv(anchor.pointing.matrix()) @ off


def _judge(shot: Shot, method: str) -> Row:
    start = time.process_time()
    difference = subtract(shot.science, shot.reference, shot.measurement, method=method, jobs=1)
    seconds = time.process_time() - start
    found = detect(difference)
    mpix = difference.finite_fraction * difference.pixels.size / 1e6
    bad = (found["flags"] & ON_BAD_PIXEL) != 0
    positive = found["sign"] > 0
    return Row(
        shot.kind,
        method,
        difference.noise_ratio,
        float((positive & ~bad).sum() / mpix),
        float((~positive & ~bad).sum() / mpix),
        float(bad.sum() / mpix),
        difference.stars,
        seconds / (difference.pixels.size / 1e6),
    )


def _report(rows: list[Row]) -> int:
    heads = ("noise", "bogus+", "bogus-", "on bad", "stars", "s/Mpix")
    print(f"\n{'frame':16} {'method':13} " + " ".join(f"{head:>7}" for head in heads))
    for kind in dict.fromkeys(row.kind for row in rows):
        for method in ("alard-lupton", "plain"):
            part = [row for row in rows if (row.kind, row.method) == (kind, method)]
            if not part:
                print(f"{kind:16} {method:13} refused")
                continue
            mean = [
                float(np.mean([getattr(row, name) for row in part]))
                for name in ("noise_ratio", "bogus", "negative", "on_bad_pixels", "stars", "seconds_per_mpix")
            ]
            print(
                f"{kind:16} {method:13} {mean[0]:7.3f} {mean[1]:7.1f} {mean[2]:7.1f} {mean[3]:7.1f} "
                f"{mean[4]:7.0f} {mean[5]:7.2f}"
            )
    good = [row for row in rows if row.kind.startswith("good") and row.method == "alard-lupton"]
    if not good:
        print("no good frame was subtracted: FLOOR MISSED")
        return 1
    worst = max(abs(row.noise_ratio - 1) for row in good)
    bogus = float(np.mean([row.bogus for row in good]))
    plain = float(np.mean([row.bogus for row in rows if row.kind.startswith("good") and row.method == "plain"]))
    passed = worst <= MAX_NOISE_ERROR and bogus <= MAX_BOGUS_PER_MPIX
    limit = 100 * MAX_NOISE_ERROR
    print(f"good frames: residual noise within {100 * worst:.1f} % of expectation (floor {limit:.0f} %)")
    print(f"good frames: {bogus:.1f} bogus per Mpix, plain {plain:.1f} (floor {MAX_BOGUS_PER_MPIX:.0f})")
    print("floors met" if passed else "FLOOR MISSED")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
