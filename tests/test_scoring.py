"""From stamps to scores: views, batches, memory maps and bad input."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.table import Table
from numpy.typing import NDArray
from scipy.special import expit

from realbogus.classifier import Card
from realbogus.errors import InputError
from realbogus.preprocess import Preprocess
from realbogus.scoring import channel_indices, score_rows, score_stamps, sigmoid, verdicts
from realbogus.stamps import StampSet

PLAIN = Preprocess(planes=("native:difference",), size=8, orient=False)


def corner(planes: NDArray[np.float32]) -> NDArray[np.float32]:
    """A network that is not symmetric."""
    return planes[:, :, 0, 0]


def test_sigmoid_is_scipys() -> None:
    x = np.linspace(-90, 90, 181)
    np.testing.assert_allclose(sigmoid(x), expit(x), rtol=1e-6, atol=1e-38)


def test_a_score_at_the_threshold_is_real() -> None:
    # float32(0.9) lies below 0.9: in double precision a score would fall short of the threshold taken from it
    scores = np.array([0.9, 0.1, np.nan], np.float32)
    assert verdicts(scores, 0.9).tolist() == [True, False, False]
    assert verdicts(scores, [0.91, 0.1, 0.0]).tolist() == [False, True, False]


def test_views_are_averaged_as_logits() -> None:
    pixels = np.random.default_rng(0).normal(size=(5, 1, 8, 8)).astype(np.float32)
    card = Card(name="c", architecture="none", preprocess=PLAIN, views=4)
    logits = np.arcsinh(pixels[:, 0][:, [0, 0, 7, 7], [0, 7, 0, 7]]).mean(axis=1)
    np.testing.assert_allclose(score_stamps(card, corner, pixels, noise=1.0), expit(logits), rtol=1e-5)


def test_batches_make_no_difference() -> None:
    rng = np.random.default_rng(0)
    pixels, noise = rng.normal(size=(7, 1, 8, 8)).astype(np.float32), rng.uniform(1, 3, 7)
    card = Card(name="c", architecture="none", preprocess=PLAIN)
    whole = score_stamps(card, corner, pixels, noise=noise)
    np.testing.assert_array_equal(score_stamps(card, corner, pixels, noise=noise, batch=2), whole)


def test_no_stamps_give_no_scores() -> None:
    card = Card(name="c", architecture="none", preprocess=PLAIN)
    scores = score_stamps(card, corner, np.zeros((0, 1, 8, 8), np.float32))
    assert scores.shape == (0,)
    assert scores.dtype == np.float32


@pytest.mark.parametrize(
    ("pixels", "options", "message"),
    [
        (np.zeros((2, 8, 8)), {}, r"shape \(2, 8, 8\)"),
        (np.zeros((2, 3, 8, 8)), {}, r"expected \(N, 1, S, S\)"),
        (np.zeros((2, 1, 8, 8)), {"noise": np.ones(3)}, r"noise has shape \(3,\)"),
        (np.zeros((2, 1, 8, 8)), {"noise": 0.0}, "above zero"),
        (np.full((2, 1, 8, 8), np.nan), {}, "NaN"),
    ],
)
def test_bad_stamps(pixels: NDArray[np.float64], options: dict[str, object], message: str) -> None:
    card = Card(name="c", architecture="none", preprocess=PLAIN)
    with pytest.raises(InputError, match=message):
        score_stamps(card, corner, pixels, **options)  # type: ignore[arg-type]


def test_channels_by_name() -> None:
    assert channel_indices(("science", "reference", "difference"), ("difference", "science")) == [2, 0]
    with pytest.raises(InputError, match=r"needs the channels \['flux'\]"):
        channel_indices(("difference",), ("flux",))


def test_rows_of_a_set_are_scored_a_block_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    class Centre:
        """Scores a stamp by its middle pixel."""

        card = Card(name="c", architecture="none", preprocess=PLAIN)

        def predict(self, pixels: NDArray[np.float32], **told: object) -> NDArray[np.float32]:
            assert len(pixels) <= 2
            return np.asarray(pixels[:, 0, 4, 4])

    monkeypatch.setattr("realbogus.scoring._BLOCK", 2)
    count = 5
    pixels = np.zeros((count, 1, 8, 8), np.float32)
    pixels[:, 0, 4, 4] = np.arange(count) / 10
    rows = Table({"id": range(count), "noise": np.ones(count), "fwhm": np.full(count, 3.0), "label": [1] * count})
    told: list[tuple[int, int]] = []
    found = score_rows(Centre(), StampSet(pixels, rows), np.array([4, 0, 3]), lambda done, of: told.append((done, of)))
    np.testing.assert_allclose(found, [0.4, 0.0, 0.3])
    assert told == [(2, 3), (3, 3)]
    pixels[3] = np.nan
    with pytest.raises(InputError, match="1 of 2 scores are not finite, first of 3"):
        score_rows(Centre(), StampSet(pixels, rows), np.array([0, 3]))
