"""Distillation: one small student learns the soft scores of a model or an ensemble (Hinton et al. 2015).

What the teacher says of a stamp tells more than its label: how sure it is, and of stamps that nobody has
labelled as well. The student is trained as any network is, with the teacher's scores in the place of labels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..classifier import Classifier
from ..config import Config, with_overrides
from ..errors import ConfigError, OutputError
from ..files import write_whole
from ..model import Model
from ..preprocess import Preprocess
from ..scoring import score_rows, verdicts
from ..stamps import IGNORE, StampSet
from .planes import chosen_rows, fingerprint, labelled_rows
from .recipe import check_recipe
from .train import Progress, train

__all__ = ["CERTIFICATE_FILE", "LABELS", "distil", "matching_threshold", "student_config"]

#: Share of the label in a target: with it the student lost less than with the teacher alone (`benchmarks/student.py`).
LABELS = 0.3
#: What holds a student against its teacher, in the student's folder.
CERTIFICATE_FILE = "certificate.json"
_SCORES_FILE = "teacher.npz"
#: What the student looks at, of each channel: the planes of `configs/best.toml`.
_PLANES = {
    "difference": ("psf:difference", "wide:difference"),
    "science": ("psf:science",),
    "reference": ("psf:reference",),
}
#: Scores that were kept are held against about so many of the teacher's, to so much.
_PROBES, _SAME = 256, 1e-5


def student_config(channels: Sequence[str] = tuple(_PLANES)) -> Config:
    """Return the student's recipe, that of `configs/student.toml`: a quarter of the compact network, one view.

    Parameters
    ----------
    channels : sequence of str
        Those of the stamps: where science or reference is missing the student does without, and is the worse for it.

    Examples
    --------
    >>> student_config().model.architecture, student_config().training.loss
    ('compact', 'bce')
    >>> student_config(["difference"]).preprocess["planes"]
    ['psf:difference', 'wide:difference']
    """
    seen = [name for name in _PLANES if name in channels or name == "difference"]
    planes = [plane for name in seen for plane in _PLANES[name]]
    return with_overrides(
        Config(),
        {
            "model.name": "student",
            "model.architecture": "compact",
            "model.options": {"widths": [8, 16, 24, 24, 48, 48]},
            "preprocess": {**Preprocess().to_dict(), "planes": planes, "channels": seen},
            "training.epochs": 40,
            "training.lr": 3e-3,
            "training.lr_min": 1e-6,
            "training.weight_decay": 1e-2,
            "training.schedule": "one_cycle",
            "training.warmup": 0.2,
            "training.loss": "bce",
            "training.balance": "balanced",
            "training.augment": ["symmetry"],
            "training.augment_probability": 1.0,
            "training.fwhm_jitter": 0.06,
            "training.noise_jitter": 0.1,
            "training.variants": 3,
            "training.ema": 0.995,
            "training.gradient_clip": 5.0,
        },
    )


def distil(
    teacher: Classifier,
    stamps: StampSet,
    config: Config,
    *,
    rows: ArrayLike | None = None,
    valid_rows: ArrayLike | None = None,
    labels: float = LABELS,
    out: Path | str | None = None,
    resume: bool = True,
    scoring: Callable[[int, int], None] | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Model:
    """Train a student.

    Parameters
    ----------
    teacher : Classifier
        Any; it scores every stamp once.
    stamps : StampSet
        Stamps with the channels that both need; those without a label teach as well, those to `IGNORE` do not.
    config : Config
        The student's recipe, as `student_config()`.
    rows, valid_rows : array_like of int or bool, optional
        Rows to learn from (all where absent) and labelled rows to validate against.
    labels : float
        Share of the label in the target of a labelled stamp, 0 to 1; the teacher's score has the rest.
    out : path, optional
        Folder for the model, as `train` has it, and the teacher's scores.
    resume : bool
        Go on from what `out` holds; otherwise that is removed first, with its certificate.
    scoring, progress : callable, optional
        Called with (stamps scored, of), and as `train` does.

    Returns
    -------
    Model
        Its threshold is where its verdicts agree best with the teacher's at the teacher's threshold.

    Raises
    ------
    ConfigError, UnknownNameError
        A share outside 0 to 1, a recipe that cannot be trained, or `out` holds another run or another teacher's.
    InputError, ModelError, OutputError
        As `train` raises them.
    """
    if not 0 <= labels <= 1:
        raise ConfigError(f"labels {labels:g}: the share of the label in a target lies in 0 to 1")
    check_recipe(config)  # before the teacher works for minutes
    chosen = chosen_rows(rows, len(stamps), "training")
    learnt = chosen[stamps.usable[chosen] & (stamps.labels[chosen] != IGNORE)]
    checked = None if valid_rows is None else labelled_rows(stamps, valid_rows, "validation")
    every = np.unique(learnt if checked is None else np.concatenate([learnt, checked]))
    folder = None if out is None else Path(out)
    if folder is not None and not resume:
        _clear(folder)
    key = _key(teacher, stamps, every)
    kept = None if folder is None else _kept(folder, key, teacher, stamps, every)
    scores = np.zeros(len(stamps), dtype=np.float32)
    scores[every] = score_rows(teacher, stamps, every, scoring) if kept is None else kept
    begun = folder is not None and resume and (folder / "checkpoint").exists()
    if folder is not None and kept is None and not begun:
        _keep(folder, key, scores[every])
    known = np.isin(stamps.labels, (0, 1))
    called = verdicts(scores, teacher.card.threshold)
    catalogue = stamps.catalogue.copy()
    catalogue["label"] = np.where(known, stamps.labels, called.astype(np.int64))
    targets = np.where(known, (1 - labels) * scores + labels * (stamps.labels == 1), scores).astype(np.float32)
    taught = StampSet(stamps.pixels, catalogue, stamps.channels, stamps.provenance)
    model = train(
        taught, config,
        rows=learnt, valid_rows=checked, targets=targets, out=out, resume=resume, progress=progress,
    )  # fmt: skip
    if folder is not None and kept is None and begun:  # `train` found that the run is this teacher's
        _keep(folder, key, scores[every])
    seen = every if checked is None else np.unique(checked)
    threshold = matching_threshold(score_rows(model, taught, seen), called[seen], teacher.card.threshold)
    facts = {
        "teacher": f"{teacher.card.name} {teacher.card.version}",
        "labels": labels,
        "stamps": len(learnt),
        "unlabelled": int((~known[learnt]).sum()),
    }
    card = replace(model.card, threshold=threshold, metrics={**model.card.metrics, "distilled": facts})
    model = model.with_card(card)
    if folder is not None:
        model.save(folder)
    return model


def matching_threshold(scores: ArrayLike, called: ArrayLike, fallback: float) -> float:
    """Return the threshold on scores that repeats most verdicts: halfway between two scores.

    Of equals it is the lowest, which loses the fewest real. Of two scores with no float32 between them it is the upper
    one, so that `verdicts` tells them apart.

    Parameters
    ----------
    scores : array_like, shape (N,)
        The student's.
    called : array_like of bool, shape (N,)
        The teacher's.
    fallback : float
        Returned where all verdicts are the same, or there are none.

    Examples
    --------
    >>> matching_threshold([0.1, 0.25, 0.5, 0.9], [False, False, True, True], 0.5)
    0.375
    """
    values, real = np.asarray(scores, dtype=np.float32), np.asarray(called, dtype=bool)
    if not 0 < real.sum() < len(real):
        return fallback
    order = np.argsort(-values, kind="stable")
    values, real = values[order], real[order]
    right = np.cumsum(np.where(real, 1, -1))  # verdicts repeated where the first k are called real, but for a constant
    cuts = np.flatnonzero(np.append(np.diff(values) < 0, False))  # not between equal scores
    if not len(cuts):
        return fallback
    best = cuts[right[cuts] == right[cuts].max()][-1]
    upper, lower = float(values[best]), float(values[best + 1])
    middle = (upper + lower) / 2  # exact in double precision
    return middle if np.float32(middle) > np.float32(lower) else upper


def _kept(
    folder: Path, key: str, teacher: Classifier, stamps: StampSet, rows: NDArray[np.int64]
) -> NDArray[np.float32] | None:
    """Return the scores of an earlier run, if this teacher gives them: a run goes on with the same to the last bit."""
    try:
        with (folder / _SCORES_FILE).open("rb") as file, np.load(file, allow_pickle=False) as kept:
            same, scores = str(kept["key"]) == key, np.asarray(kept["scores"], dtype=np.float32)
    except Exception:  # none, or damaged, for which zipfile and NumPy raise a dozen kinds: scored again
        return None
    if not same or scores.shape != rows.shape:
        return None
    # the card does not tell two sets of weights apart; what they say does
    probes = np.arange(0, len(rows), max(1, len(rows) // _PROBES))
    asked = score_rows(teacher, stamps, rows[probes])
    return scores if np.allclose(asked, scores[probes], rtol=0.0, atol=_SAME) else None


def _clear(folder: Path) -> None:
    """Remove what `train` does not know of an earlier run."""
    try:
        for name in (_SCORES_FILE, CERTIFICATE_FILE):
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"cannot remove the earlier run in {folder}: {error}; choose another folder") from error


def _keep(folder: Path, key: str, scores: NDArray[np.float32]) -> None:
    write_whole(folder / _SCORES_FILE, lambda part: np.savez(part, key=np.array(key), scores=scores))


def _key(teacher: Classifier, stamps: StampSet, rows: NDArray[np.int64]) -> str:
    data = fingerprint(stamps, rows, np.ones(len(stamps), dtype=np.float32))["sha256"]
    return hashlib.sha256(f"{teacher.card.to_json()}{data}".encode()).hexdigest()
