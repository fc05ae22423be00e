"""One field of the benchmark: epochs through subtraction and detection, labelled by the truth."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from astropy.table import Table, vstack
from numpy.typing import NDArray

from ..errors import FrameError, InputError
from ..images.candidates import CHANNELS, find_candidates
from ..images.detect import BLENDED, EDGE, NEAR_MASK
from ..images.measure import measure
from ..images.simulate.causes import causes
from ..images.simulate.survey import Field, Nuisance, draw_field, observe
from ..stamps import STAMP_SIZE, StampSet

__all__ = ["FieldPlan", "field_stamps", "pick_reals"]

_HALF = STAMP_SIZE / 2
_CENTRED_PX = 1.5  # a confirmed variable's residual lies in the middle of its stamp
_PATIENCE = 50  # times the least epochs, without the wanted rows, before a plan is called impossible


@dataclass(frozen=True)
class FieldPlan:
    """What is wanted of one field.

    Parameters
    ----------
    name : str
        The field's id, in `field` and in front of every id and source.
    seed : tuple of int
        Of all randomness in it.
    bogus, reals : int
        Rows, exactly.
    variables : int
        Known variables and transients.
    cap : int
        Most rows of one of them, as long as the others give enough.
    epochs : int
        Epochs at least.
    size : int
        Side of the frames, pixels.
    threshold : float
        Detection threshold, sigma.
    least_snr : float
        Smallest true S/N of a real.
    nuisance : Nuisance
        What spoils the subtraction.
    """

    name: str
    seed: tuple[int, ...]
    bogus: int
    reals: int
    variables: int
    cap: int
    epochs: int
    size: int = 640
    threshold: float = 1.4
    least_snr: float = 8.0
    nuisance: Nuisance = field(default_factory=Nuisance)


def field_stamps(plan: FieldPlan) -> StampSet:
    """Observe a field until it has given the rows that are wanted.

    Epochs are taken until there are `plan.bogus` bogus and `plan.reals` reals, at least `plan.epochs` of
    them; of all their detections the wanted number is then drawn at random.

    Parameters
    ----------
    plan : FieldPlan

    Returns
    -------
    StampSet
        `plan.reals` + `plan.bogus` rows in the order of their detection.

    Raises
    ------
    InputError
        The field cannot give what is wanted.
    """
    sky = _field(plan)
    sets: list[tuple[Table, NDArray[np.float32]]] = []
    bogus, sources = 0, np.empty(0, dtype="U32")
    for epoch in range(_PATIENCE * plan.epochs):
        # where a source is seldom seen, the others may give more than their share
        cap = plan.cap * (1 + epoch // (4 * plan.epochs))
        enough = bogus >= plan.bogus and len(pick_reals(sources, plan.reals, cap)) == plan.reals
        if enough and epoch >= plan.epochs and (cap > plan.cap or len(set(sources)) == plan.variables):
            break
        try:
            rows, pixels = _one_epoch(sky, plan, epoch)
        except FrameError:
            continue  # a night has such frames too
        sets.append((rows, pixels))
        bogus += int((rows["label"] == 0).sum())
        sources = np.concatenate([sources, np.asarray(rows["source"][rows["label"] == 1], dtype="U32")])
    else:
        raise InputError(f"field {plan.name}: {epoch + 1} epochs gave {bogus} bogus and {len(sources)} reals of {plan}")
    table = vstack([rows for rows, _ in sets], metadata_conflicts="silent")
    labels, turn = np.asarray(table["label"]), np.asarray(table["turn"])
    real, false = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    real = real[pick_reals(sources, plan.reals, cap, turn[real])]
    keep = np.sort(np.append(real, false[np.argsort(turn[false], kind="stable")[: plan.bogus]]))
    table.remove_column("turn")
    pixels = np.concatenate([part for _, part in sets])[keep]
    table = table[keep]
    table.meta.clear()
    return StampSet(pixels, table, CHANNELS)


def pick_reals(
    sources: NDArray[np.str_], count: int, cap: int, turn: NDArray[np.floating] | None = None
) -> NDArray[np.int64]:
    """Choose rows so that every source is there and none has more than `cap`, `count` in all.

    Where the sources together cannot give `count` within the cap, fewer come back.

    Parameters
    ----------
    sources : ndarray of str, shape (N,)
        Source of each row.
    count, cap : int
        Rows in all, and of one source.
    turn : ndarray of float, shape (N,), optional
        Rows are taken in the order of these numbers; as they come where absent.

    Examples
    --------
    >>> pick_reals(np.array(["a", "a", "a", "b"]), 3, 2).tolist()
    [0, 1, 3]
    """
    order = np.arange(len(sources)) if turn is None else np.argsort(turn, kind="stable")
    visit = np.zeros(len(sources), dtype=np.int64)
    seen: dict[str, int] = {}
    for row in order:
        name = str(sources[row])
        visit[row] = seen.get(name, 0)
        seen[name] = int(visit[row]) + 1
    able = order[visit[order] < cap]
    chosen = able[np.argsort(visit[able], kind="stable")][:count]
    return np.sort(chosen)


def _field(plan: FieldPlan) -> Field:
    """Draw the field; one with too few stars for a reference is drawn anew."""
    for attempt in range(20):
        rng = np.random.default_rng([*plan.seed, attempt])
        try:
            return draw_field(rng, size=plan.size, variables=plan.variables, nuisance=plan.nuisance)
        except FrameError:
            continue
    raise InputError(f"field {plan.name}: no field of {plan.size} px with enough stars in 20 draws")


def _one_epoch(sky: Field, plan: FieldPlan, epoch: int) -> tuple[Table, NDArray[np.float32]]:
    """Observe, subtract, detect, cut and label one epoch; rows with a label that is sure."""
    rng = np.random.default_rng([*plan.seed, 100 + epoch])
    seen = observe(sky, rng)
    measurement = measure(seen.science)
    found = find_candidates(seen.science, seen.reference, measurement, threshold=plan.threshold)
    table, difference = found.catalogue, found.difference
    x, y, sign = (np.asarray(table[name], dtype=float) for name in ("x", "y", "sign"))
    kind, source = causes(sky, seen, table, difference.fwhm)
    label = np.zeros(len(table), dtype=np.int64)
    true_snr = np.full(len(table), np.nan)
    if len(seen.x) and len(table):
        far = np.hypot(x[:, None] - seen.x, y[:, None] - seen.y)
        label[(far < max(8.0, 2.5 * difference.fwhm)).any(axis=1)] = -1
        centred = far.argmin(axis=0)
        clean = (np.asarray(table["flags"]) & (NEAR_MASK | EDGE | BLENDED)) == 0
        for k, row in enumerate(centred):
            sure = abs(seen.snr[k]) >= plan.least_snr and far[row, k] < _CENTRED_PX
            if sure and sign[row] == np.sign(seen.flux[k]) and clean[row]:
                label[row], true_snr[row] = 1, seen.snr[k]
                kind[row], source[row] = sky.variables.kind[k], f"v{k}"
    gain, zero_point = sky.world.detector.gain, sky.world.zero_point
    caught = np.abs(np.asarray(table["flux"])) * gain / seen.epoch.transparency
    frame = f"{plan.name}-{epoch:04d}"
    table["id"] = [f"{frame}-{k:03d}" for k in range(len(table))]
    table["source"] = [f"{plan.name}-{name}" for name in source]
    table["field"] = np.full(len(table), plan.name)
    table["frame"] = np.full(len(table), frame)
    table["label"], table["kind"], table["true_snr"] = label, kind, true_snr
    table["mag"] = zero_point - 2.5 * np.log10(np.maximum(caught, 1e-3))
    table["seeing"] = np.full(len(table), measurement.fwhm * sky.world.pixel_scale_arcsec, dtype=np.float32)
    table["poor"] = np.full(len(table), seen.epoch.poor)
    # Detections fall in S/N: one more at the faint end, on another machine, moves nobody's place in the draw.
    table["turn"] = rng.random(len(table))
    table["origin"] = np.full(len(table), "simulation")
    # a section has edges that the camera has not, so only whole stamps count
    inside = (np.minimum(x, y) >= _HALF) & (np.maximum(x, y) < plan.size - _HALF)
    keep = np.asarray(table["usable"]) & (label >= 0) & inside
    table.meta.clear()
    return table[keep], found.pixels[keep]
