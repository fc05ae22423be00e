"""The `Scorer`: a classifier and a policy; a batch goes in, the same rows come out with scores."""

from __future__ import annotations

import numpy as np
from astropy.table import MaskedColumn, Table
from numpy.typing import NDArray

from ..calibration import Calibration
from ..classifier import Classifier
from ..columns import flags, numbers
from ..errors import ConfigError, ModelError
from ..scoring import channel_indices, verdicts
from .batch import Batch, Scored
from .nights import nights_of
from .policy import Policy, policy_of

__all__ = ["REASONS", "Scorer"]

#: Why a candidate has no score.
REASONS = {
    "unusable": "too little of the stamp is there (usable is false)",
    "pixels": "its stamp holds pixels that are not finite",
    "noise": "its noise is no number above zero",
    "fwhm": "its PSF size is no number above zero",
    "score": "the model gave no number between 0 and 1",
}


class Scorer:
    """Score batches, whatever the classifier is; one bad stamp is a row without a score and stops nothing.

    Parameters
    ----------
    classifier : Classifier
        Model, ensemble or bundle.
    policy : Policy or str, optional
        Which scores are real; the threshold of the card by default. Text as in `policy_of`.
    longitude_deg : float
        Of the telescope, east positive: for a policy that counts by night, nights change at its noon.

    Raises
    ------
    ConfigError
        The policy needs a calibration that the card does not have, or is none; or a longitude that is none.

    Examples
    --------
    >>> from realbogus.classifier import Card
    >>> class Bright:
    ...     card = Card(name="bright", architecture="none", threshold=0.5)
    ...     def predict(self, pixels, *, noise=None, fwhm=None):
    ...         return np.clip(pixels.max(axis=(1, 2, 3)) / 100, 0, 1)
    >>> rows = Table({"id": ["a", "b"], "noise": [1.0, np.nan], "fwhm": [2.5, 2.5]})
    >>> scored = Scorer(Bright())(Batch(rows, np.full((2, 1, 64, 64), 90, "float32")))
    >>> scored.rows["score"].tolist(), scored.rows["real"].tolist(), str(scored.rows["reason"][1])
    ([0.8999999761581421, None], [True, False], 'its noise is no number above zero')
    """

    def __init__(
        self, classifier: Classifier, policy: Policy | str | None = None, *, longitude_deg: float = 0.0
    ) -> None:
        if not -180 <= longitude_deg <= 360:
            raise ConfigError(f"longitude {longitude_deg:g}: give degrees, east positive, -180 to 360")
        self.classifier, self.longitude_deg = classifier, float(longitude_deg)
        card = classifier.card
        self.calibration = None if card.calibration is None else Calibration.from_dict(card.calibration)
        self.policy = policy_of(policy, card)

    def __call__(self, batch: Batch) -> Scored:
        """Score a batch.

        Raises
        ------
        InputError
            The stamps lack a channel that the model needs.
        ModelError
            The model fails with every stamp.
        """
        return self.judge(batch, *self.scores(batch))

    def judge(self, batch: Batch, scores: NDArray[np.float32], reasons: NDArray[np.str_]) -> Scored:
        """Give each row its verdict, from what `scores` found, here or in another process.

        Parameters
        ----------
        batch : Batch
            Its pixels do not matter.
        scores : ndarray of float32, shape (N,)
            NaN where there is none.
        reasons : ndarray of str, shape (N,)
            Why there is none.
        """
        there = np.isfinite(scores)
        probabilities = np.full(len(scores), np.nan, dtype=np.float32)
        if self.calibration is not None:
            probabilities[there] = self.calibration(scores[there])
        calibrated = probabilities if self.calibration is not None else None
        thresholds = self.policy(scores, calibrated, nights_of(batch.rows, self.longitude_deg))
        card, count = self.classifier.card, len(scores)
        rows = batch.rows.copy(copy_data=False)
        rows["score"] = _masked(scores)
        rows["probability"] = _masked(probabilities)
        rows["real"] = there & verdicts(scores, thresholds)
        rows["threshold"] = thresholds
        rows["policy"] = np.full(count, self.policy.text)
        rows["model"] = np.full(count, card.name)
        rows["model_version"] = np.full(count, card.version)
        rows["reason"] = reasons
        return Scored(rows, batch)

    def scores(self, batch: Batch) -> tuple[NDArray[np.float32], NDArray[np.str_]]:
        """Return what the classifier says, NaN where there is no score, and why; the policy has no part in it."""
        count = len(batch)
        scores = np.full(count, np.nan, dtype=np.float32)
        reasons = np.zeros(count, dtype=object)
        reasons[:] = ""
        if not count:
            return scores, np.zeros(0, dtype="U1")
        channels = channel_indices(batch.channels, self.classifier.card.channels)
        pixels = batch.pixels
        if channels != list(range(pixels.shape[1])):
            pixels = np.ascontiguousarray(pixels[:, channels])
        good = np.ones(count, dtype=bool)
        for key, wrong in _wrong(batch.rows, pixels).items():
            reasons[good & wrong] = REASONS[key]
            good &= ~wrong
        chosen = np.flatnonzero(good)
        if len(chosen):
            noise, fwhm = (numbers(batch.rows, name).astype(np.float32) for name in ("noise", "fwhm"))
            self._predict(chosen, pixels, noise, fwhm, scores, reasons)
            impossible = good & (reasons == "") & ~((scores >= 0) & (scores <= 1))
            scores[impossible], reasons[impossible] = np.nan, REASONS["score"]
        return scores, reasons.astype(str)

    def _predict(
        self,
        chosen: NDArray[np.int64],
        pixels: NDArray[np.float32],
        noise: NDArray[np.float32],
        fwhm: NDArray[np.float32],
        scores: NDArray[np.float32],
        reasons: NDArray[np.object_],
    ) -> None:
        """Fill in scores; where the model fails with many stamps, find by halves with which."""
        waiting = [chosen]
        bad: list[tuple[int, Exception]] = []
        while waiting:
            part = waiting.pop()
            taken = pixels if len(part) == len(pixels) else pixels[part]
            try:
                scores[part] = self.classifier.predict(taken, noise=noise[part], fwhm=fwhm[part])
            except Exception as error:  # a runtime raises what it likes; one odd stamp must not end a night
                if len(part) == 1:
                    bad.append((int(part[0]), error))
                else:
                    waiting += [part[len(part) // 2 :], part[: len(part) // 2]]
        if len(bad) == len(chosen) > 1:
            raise ModelError(
                f"{self.classifier.card.name} fails with every one of {len(bad)} stamps; the first: {bad[0][1]}"
            ) from bad[0][1]
        for row, problem in bad:
            reasons[row] = f"the model fails with it: {problem}"


def _wrong(rows: Table, pixels: NDArray[np.float32]) -> dict[str, NDArray[np.bool_]]:
    """Say which rows cannot be scored, by key of `REASONS`."""
    with np.errstate(over="ignore", invalid="ignore"):
        # one sum a stamp is not finite where a pixel is not, and seldom else: only those are looked at closely
        odd = np.flatnonzero(~np.isfinite(pixels.reshape(len(pixels), -1).sum(axis=1)))
    bad = np.zeros(len(pixels), dtype=bool)
    bad[odd] = ~np.isfinite(pixels[odd]).all(axis=(1, 2, 3))
    noise, fwhm = numbers(rows, "noise"), numbers(rows, "fwhm")
    return {
        "unusable": ~flags(rows, "usable", absent=True),
        "pixels": bad,
        "noise": ~(np.isfinite(noise) & (noise > 0)),
        "fwhm": ~(np.isfinite(fwhm) & (fwhm > 0)),
    }


def _masked(values: NDArray[np.float32]) -> MaskedColumn:
    gone = ~np.isfinite(values)
    return MaskedColumn(np.where(gone, np.float32(0), values), mask=gone)
