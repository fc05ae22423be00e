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
from .look import look

__all__ = ["FieldPlan", "excluded_reals", "field_stamps", "pick_reals"]

_HALF = STAMP_SIZE / 2
_CENTRED_PX = 1.5  # a confirmed variable's residual lies in the middle of its stamp
_UNSURE, _EXCLUDED = -1, -2  # rows without a label, and reals that a look sets aside
_TURN_PX = 4  # side of the squares that share a place in the draw
_DRAWS, _ATTEMPTS = 4, 20  # of a field before a plan is called impossible, and at one with stars enough
_LONG = 4  # times the least epochs: until then every variable was seen, or the field is drawn anew
_PATIENCE = 50  # times the least epochs, without the wanted rows, and the field is drawn anew


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
    """Observe a field until it has given the rows that are wanted; one that cannot is drawn anew.

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
    for draw in range(_DRAWS):
        given = _given(_field(plan, draw), plan)
        if given is not None:
            break
    else:
        raise InputError(f"field {plan.name}: none of {_DRAWS} draws of it gave {plan}: ask for fewer reals or bogus")
    sets, cap = given
    table = vstack([rows for rows, _ in sets], metadata_conflicts="silent")
    labels, turn = np.asarray(table["label"]), np.asarray(table["turn"])
    real, false = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    sources = np.asarray(table["source"]).astype(str)[real]
    real = real[pick_reals(sources, plan.reals, cap, turn[real])]
    keep = np.sort(np.append(real, false[np.argsort(turn[false], kind="stable")[: plan.bogus]]))
    table.remove_columns(["turn", "look"])
    pixels = np.concatenate([part for _, part in sets])[keep]
    table = table[keep]
    table.meta.clear()
    return StampSet(pixels, table, CHANNELS)


def _given(sky: Field, plan: FieldPlan) -> tuple[list[tuple[Table, NDArray[np.float32]]], int] | None:
    """Observe until there are the rows that are wanted, and return all of them and the cap it took.

    None of a sky where a variable is never fit to be seen, or too seldom to wait for.
    """
    sets: list[tuple[Table, NDArray[np.float32]]] = []
    bogus, sources = 0, np.empty(0, dtype="U32")
    for epoch in range(_PATIENCE * plan.epochs):
        # where a source is seldom seen, the others may give more than their share
        cap = plan.cap * (1 + epoch // (_LONG * plan.epochs))
        enough = bogus >= plan.bogus and len(pick_reals(sources, plan.reals, cap)) == plan.reals
        seen = len(set(sources)) == plan.variables
        if enough and seen and epoch >= plan.epochs:
            return sets, cap
        if epoch == _LONG * plan.epochs and not (seen and len(sources) >= plan.reals / _LONG):
            return None
        try:
            rows, pixels = _one_epoch(sky, plan, epoch)
        except FrameError:
            continue  # a night has such frames too
        kept = np.asarray(rows["label"]) >= 0
        rows, pixels = rows[kept], pixels[kept]
        sets.append((rows, pixels))
        bogus += int((rows["label"] == 0).sum())
        sources = np.concatenate([sources, np.asarray(rows["source"][rows["label"] == 1], dtype="U32")])
    return None


def excluded_reals(plan: FieldPlan, count: int) -> StampSet:
    """Return reals of a field that a look sets aside, for figure 1 of the paper.

    Parameters
    ----------
    plan : FieldPlan
    count : int
        Rows at most; the field is observed until it has given them, or its patience ends.

    Returns
    -------
    StampSet
        As `field_stamps` gives, with the reason in the column `look` (see `realbogus.dataset.look`).
    """
    sky = _field(plan, 0)
    sets: list[tuple[Table, NDArray[np.float32]]] = []
    found = 0
    for epoch in range(_PATIENCE * plan.epochs):
        if found >= count:
            break
        try:
            rows, pixels = _one_epoch(sky, plan, epoch)
        except FrameError:
            continue
        aside = np.asarray(rows["label"]) == _EXCLUDED
        sets.append((rows[aside], pixels[aside]))
        found += int(aside.sum())
    table = vstack([rows for rows, _ in sets], metadata_conflicts="silent")[:count]
    table.remove_column("turn")
    table.meta.clear()
    table["label"] = 1
    return StampSet(np.concatenate([part for _, part in sets])[:count], table, CHANNELS)


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


def _field(plan: FieldPlan, draw: int) -> Field:
    """Draw the field; one with too few stars for a reference is drawn anew."""
    for attempt in range(draw * _ATTEMPTS, (draw + 1) * _ATTEMPTS):
        rng = np.random.default_rng([*plan.seed, attempt])
        try:
            return draw_field(rng, size=plan.size, variables=plan.variables, nuisance=plan.nuisance)
        except FrameError:
            continue
    raise InputError(f"field {plan.name}: no field of {plan.size} px with enough stars in {_ATTEMPTS} draws")


def _one_epoch(sky: Field, plan: FieldPlan, epoch: int) -> tuple[Table, NDArray[np.float32]]:
    """Observe, subtract, detect, cut and label one epoch; rows with a label that is sure, or excluded."""
    rng = np.random.default_rng([*plan.seed, 100 + epoch])
    seen = observe(sky, rng)
    measurement = measure(seen.science)
    found = find_candidates(seen.science, seen.reference, measurement, threshold=plan.threshold)
    table, difference = found.catalogue, found.difference
    x, y, sign = (np.asarray(table[name], dtype=float) for name in ("x", "y", "sign"))
    kind, source = causes(sky, seen, table, difference.fwhm)
    label = np.zeros(len(table), dtype=np.int64)
    true_snr = np.full(len(table), np.nan)
    aside = np.full(len(table), "", dtype="U8")
    if len(seen.x) and len(table):
        far = np.hypot(x[:, None] - seen.x, y[:, None] - seen.y)
        label[(far < max(8.0, 2.5 * difference.fwhm)).any(axis=1)] = _UNSURE
        centred = far.argmin(axis=0)
        clean = (np.asarray(table["flags"]) & (NEAR_MASK | EDGE | BLENDED)) == 0
        for k, row in enumerate(centred):
            sure = abs(seen.snr[k]) >= plan.least_snr and far[row, k] < _CENTRED_PX
            if sure and sign[row] == np.sign(seen.flux[k]) and clean[row]:
                aside[row] = look(found.pixels[row, 0] * sign[row], difference.fwhm)
                label[row], true_snr[row] = _EXCLUDED if aside[row] else 1, seen.snr[k]
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
    # A place on the frame has its turn: one detection more or fewer, on another machine, moves no other's.
    turns = rng.random((plan.size // _TURN_PX + 1, plan.size // _TURN_PX + 1))
    cell = [np.clip(place / _TURN_PX, 0, len(turns) - 1).astype(int) for place in (y, x)]
    table["turn"] = turns[cell[0], cell[1]]
    table["origin"] = np.full(len(table), "simulation")
    # a section has edges that the camera has not, so only whole stamps count
    inside = (np.minimum(x, y) >= _HALF) & (np.maximum(x, y) < plan.size - _HALF)
    table["look"] = aside
    keep = np.asarray(table["usable"]) & (label != _UNSURE) & inside
    table.meta.clear()
    return table[keep], found.pixels[keep]
