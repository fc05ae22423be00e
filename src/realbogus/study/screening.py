"""The second stage: a screening network sorts the raw bogus into keep, review and hard (section 2.2.2).

Nothing is thrown away. What scores above 0.9 the paper excluded, from its test set too; here
it is a set of its own, the *hard* set. What lies between people reviewed, and kept 9,007 of
9,994; here the truth says that all of it is bogus, so all of it stays.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from ..dataset.screen import BANDS, bands, doubt, hand_picked, held_out
from ..errors import ModelError
from ..files import write_whole
from ..stamps import StampSet
from ..tables import write_parquet
from .artefact import begin, facts_of, fingerprint, finish
from .engine import Engine, Failure
from .jobs import ScoreJob, TrainJob, history_of, score_part, train_and_score
from .plan import Plan

__all__ = ["screen_stage"]

#: Stamps of one scoring job; a whole number of the batches that are scored at a time.
_CHUNK = 2048


def screen_stage(
    out: Path,
    plan: Plan,
    stamps: StampSet,
    data: str,
    *,
    engine: Engine,
    jobs: int,
    progress: Callable[[int, int], None],
) -> dict[str, Any]:
    """Train the screening network, score every stamp, sort the bogus into bands.

    Leaves `out/screen/scores.parquet` (row, id, label, score, band, picked) and `hard.parquet`,
    the same of the hard set alone.

    Parameters
    ----------
    out : Path
        Folder of the study.
    plan : Plan
        Recipe and bands.
    stamps : StampSet
        All stamps.
    data : str
        Hash of the stamps.
    engine, jobs
        Who scores, and how many at a time.
    progress : callable
        Called with (done, of).

    Returns
    -------
    dict
        `bands` (count, share and the paper's share of each), `accuracy` on the tenth of its stamps that
        the network did not learn from (paper: 0.97), `picked`, `remarks`, `seconds`, `fingerprint`.

    Raises
    ------
    ModelError
        The network could not be trained or could not score.
    """
    folder = out / "screen"
    inputs = {
        "data": data,
        "config": _result_config(plan),
        "bands": plan.bands,
        "hand_picked": plan.hand_picked,
        "recognised": plan.recognised,
        "seed": plan.seed,
    }
    before = facts_of(folder, inputs, folder / "scores.parquet", folder / "hard.parquet")
    if before is not None:
        return before
    begin(folder, inputs)
    started = time.perf_counter()
    picked = _pick(plan, stamps)
    model = _train(folder, plan, stamps, out, inputs, picked, progress)
    scores = _score(folder, len(stamps), out, inputs, model, plan.screen.training.device, engine, jobs, progress)
    labels = stamps.labels
    band = _bands(scores, plan)
    rows = np.arange(len(stamps))
    table = Table(
        {
            "row": rows,
            "id": np.asarray(stamps.catalogue["id"]).astype(str),
            "label": labels,
            "score": scores,
            "band": np.where(labels == 0, band, "real"),
            "picked": np.isin(rows, picked),
        }
    )
    write_whole(folder / "scores.parquet", lambda path: write_parquet(table, path))
    hard = table[(table["label"] == 0) & (table["band"] == "hard")]
    write_whole(folder / "hard.parquet", lambda path: write_parquet(hard, path))
    bogus = labels == 0
    accuracy = float(history_of(model)[-1]["valid_accuracy"] or 0.0)
    facts = {
        "bands": {
            name: {
                "count": int((bogus & (band == name)).sum()),
                "share": float((band[bogus] == name).mean()),
                "paper_share": share,
            }
            for name, share in BANDS.items()
        },
        "raw_bogus": int(bogus.sum()),
        "picked": len(picked),
        "accuracy": accuracy,
        "remarks": _remarks(accuracy, band[bogus]),
        "reals_above": float((scores[~bogus] > plan.bands[1]).mean()),
        "seconds": time.perf_counter() - started,
        "fingerprint": fingerprint(inputs),
    }
    finish(folder, inputs, facts)
    shutil.rmtree(folder / "parts", ignore_errors=True)
    return facts


def _remarks(accuracy: float, band: NDArray[np.str_]) -> list[str]:
    """Say what makes the bands mean nothing: a reader must not take them for a finding."""
    remarks = doubt(accuracy)
    empty = [name for name in BANDS if not (band == name).any()]
    if empty:
        remarks.append(
            f"No bogus lies in the band {' and '.join(empty)} of the screening score"
            + (": with the hard set and without it is the same here." if "hard" in empty else ".")
        )
    return remarks


def _result_config(plan: Plan) -> dict[str, Any]:
    """Return what of the recipe the scores depend on: not where it runs."""
    values = plan.screen.to_dict()
    for name in ("device", "threads"):
        del values["training"][name]
    return values


def _pick(plan: Plan, stamps: StampSet) -> NDArray[np.int64]:
    count = plan.hand_picked or int((stamps.labels == 1).sum())
    picked = hand_picked(stamps, np.random.default_rng([plan.seed, 1]), count, recognised=plan.recognised)
    return np.sort(np.asarray(picked, dtype=np.int64))


def _bands(scores: NDArray[np.float32], plan: Plan) -> NDArray[np.str_]:
    return np.asarray(bands(scores, *plan.bands)).astype(str)


def _train(
    folder: Path,
    plan: Plan,
    stamps: StampSet,
    out: Path,
    inputs: dict[str, Any],
    picked: NDArray[np.int64],
    progress: Callable[[int, int], None],
) -> Path:
    """Train on the hand-picked bogus and all reals; a tenth of them says how the epochs go."""
    rows = np.sort(np.r_[picked, np.flatnonzero(stamps.labels == 1)])
    labels = stamps.labels[rows]
    side = np.where(held_out(labels, np.random.default_rng([plan.seed, 2])), "valid", "train")
    table = Table({"row": rows, "label": labels, "side": side, "hard": np.zeros(len(rows), dtype=bool)})
    split = folder / "learned.parquet"
    write_whole(split, lambda path: write_parquet(table, path))
    config = replace(plan.screen, seed=plan.seed)
    job = TrainJob("screen", folder / "network", out / "data" / "stamps", split, config, False, False, inputs)
    train_and_score(job, progress)
    return job.folder / "model"


def _score(
    folder: Path,
    count: int,
    out: Path,
    inputs: dict[str, Any],
    model: Path,
    device: str,
    engine: Engine,
    jobs: int,
    progress: Callable[[int, int], None],
) -> NDArray[np.float32]:
    stamps = out / "data" / "stamps"
    work = [
        ScoreJob(folder / "parts" / f"{start:07d}", model, stamps, start, min(start + _CHUNK, count), device, inputs)
        for start in range(0, count, _CHUNK)
    ]
    done = [0] * len(work)

    def report(number: int, now: int, of: int) -> None:
        if of:
            done[number] = now
        progress(sum(done), count)

    results = engine(score_part, work, jobs, report)
    for result in results:
        if isinstance(result, Failure):
            raise ModelError(f"the screening network could not score: {result.reason}")
    return np.concatenate(results).astype(np.float32)
