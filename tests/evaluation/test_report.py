"""Reports: the numbers against scikit-learn, the files against the numbers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray
from sklearn import metrics

from realbogus.calibration import fit_calibration
from realbogus.classifier import Card
from realbogus.errors import InputError, OutputError
from realbogus.evaluation import intervals
from realbogus.evaluation.report import evaluate, report_on
from realbogus.metrics import Resamples, resample
from realbogus.stamps import IGNORE, UNLABELLED, StampSet
from realbogus.tables import read_parquet


class Brightness:
    """A classifier without a network: the central pixel in units of the noise."""

    card = Card(name="brightness", architecture="none", threshold=0.4, version="3")

    def predict(
        self, pixels: ArrayLike, *, noise: ArrayLike | None = None, fwhm: ArrayLike | None = None
    ) -> NDArray[np.float32]:
        assert noise is not None and fwhm is not None
        peak = np.asarray(pixels)[:, 0, 32, 32] / np.asarray(noise)
        return (1 / (1 + np.exp(-peak / 20))).astype(np.float32)


def test_numbers_are_scikit_learns(toy_stamps: StampSet) -> None:
    report = evaluate(Brightness(), toy_stamps)
    labels = toy_stamps.labels
    scores = Brightness().predict(toy_stamps.pixels, noise=toy_stamps.noise, fwhm=toy_stamps.fwhm)
    np.testing.assert_array_equal(report.scores, scores)
    assert report.auc == pytest.approx(metrics.roc_auc_score(labels, scores))
    assert report.average_precision == pytest.approx(metrics.average_precision_score(labels, scores))
    c = report.counts["asked"]
    assert report.threshold == 0.4
    assert [c.tn, c.fp, c.fn, c.tp] == metrics.confusion_matrix(labels, scores >= 0.4).ravel().tolist()
    crossing = report.counts["crossing"]
    assert crossing.precision == pytest.approx(crossing.recall, abs=0.02)
    assert report.counts["recall 95 %"].recall == pytest.approx(0.95)
    assert report.model == "brightness 3"


def test_rows_nobody_judged_do_not_count(toy_stamps: StampSet) -> None:
    catalogue = toy_stamps.catalogue.copy()
    catalogue["label"][:30], catalogue["label"][30:60] = IGNORE, UNLABELLED
    report = evaluate(Brightness(), replace(toy_stamps, catalogue=catalogue), threshold=0.7)
    assert report.ids.tolist() == list(toy_stamps.catalogue["id"][60:])
    assert report.counts["asked"].total == 180
    assert report.thresholds["asked"] == 0.7
    catalogue["label"] = UNLABELLED
    with pytest.raises(InputError, match="none of 240 stamps has a label"):
        evaluate(Brightness(), replace(toy_stamps, catalogue=catalogue))


def test_channels_are_found_by_name(toy_stamps: StampSet) -> None:
    both = np.concatenate([np.full_like(toy_stamps.pixels, 7.0), toy_stamps.pixels], axis=1)
    wide = StampSet(both, toy_stamps.catalogue, ("science", "difference"))
    assert evaluate(Brightness(), wide).auc == evaluate(Brightness(), toy_stamps).auc
    with pytest.raises(InputError, match="needs the channels"):
        evaluate(Brightness(), replace(toy_stamps, channels=("science",)))


def test_bins_of_snr() -> None:
    scores, labels = [0.9, 0.2, 0.8, 0.1, 0.6], [1, 1, 0, 0, 1]
    report = report_on(scores, labels, threshold=0.5, snr=[5.0, -6.9, 12.0, 100.0, 4.0])
    assert [tuple(row.values()) for row in report.snr_bins] == [
        (0.0, 5.0, 1, 1, 0, 0),
        (5.0, 7.0, 2, 1, 0, 0),
        (10.0, 15.0, 0, 0, 1, 1),
        (50.0, float("inf"), 0, 0, 1, 0),
    ]


def test_curves_are_points_of_the_metrics() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 3000)
    scores = np.clip(rng.normal(0.4 + 0.2 * labels, 0.2), 0, 1).astype(np.float32)
    curves = report_on(scores, labels).curves()
    assert len(curves["threshold"]) == 400
    for k in (0, 100, 399):
        called = scores >= np.float32(curves["threshold"][k])
        assert curves["precision"][k] == pytest.approx(metrics.precision_score(labels, called))
        assert curves["recall"][k] == pytest.approx(metrics.recall_score(labels, called))
    assert sum(curves["histogram_real"]) == labels.sum()
    assert sum(curves["histogram_bogus"]) == (1 - labels).sum()


def test_files_say_the_same(toy_stamps: StampSet, tmp_path: Path) -> None:
    report = evaluate(Brightness(), toy_stamps)
    report.save(tmp_path / "report", figures=False)
    values = json.loads((tmp_path / "report" / "report.json").read_text())
    assert values["auc"] == report.auc
    assert values["operating_points"]["asked"]["tp"] == report.counts["asked"].tp
    text = (tmp_path / "report" / "report.md").read_text()
    assert f"AUC {report.auc:.4f}" in text
    assert f"| asked | 0.400 | {100 * report.counts['asked'].specificity:.2f}" in text
    rows = read_parquet(tmp_path / "report" / "scores.parquet")
    np.testing.assert_array_equal(rows["score"], report.scores)
    assert list(rows["id"]) == list(toy_stamps.catalogue["id"])
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        report.save(tmp_path / "file" / "report")


def test_what_cannot_be_known_is_null(tmp_path: Path) -> None:
    report = report_on([0.1, 0.2], [0, 0])
    values = report.to_dict()
    assert values["auc"] is None
    assert values["operating_points"]["asked"]["recall"] is None
    assert set(values["operating_points"]) == {"asked"}
    report.save(tmp_path, figures=False)
    json.loads((tmp_path / "report.json").read_text(), parse_constant=lambda name: pytest.fail(name))


def bent(count: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Scores that order well and say too much."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(count) < 0.1).astype(np.int64)
    scores = (1 / (1 + np.exp(-rng.normal(4.5 * labels - 3.0, 1.3)))) ** 0.4
    return scores.astype(np.float32), labels


def test_intervals_hold_their_numbers() -> None:
    scores, labels = bent(3000, 0)
    report = report_on(scores, labels, threshold=0.6, specificity=0.99)
    for name in ("auc", "average_precision", "missed", "recall_at_specificity", "crossing"):
        part = report.measured(name)
        assert part.low <= part.value <= part.high, name
        assert part.low < part.high
    for point in report.counts:
        for name in ("specificity", "recall", "precision", "f1", "accuracy", "purity"):
            part = report.measured(name, point)
            assert part.low <= part.value <= part.high, (point, name)
    assert report.measured("recall").value == metrics.recall_score(labels, scores >= 0.6)
    again = report_on(scores, labels, threshold=0.6, specificity=0.99, rng=np.random.default_rng(0))
    assert again.intervals == report.intervals
    other = report_on(scores, labels, threshold=0.6, specificity=0.99, rng=np.random.default_rng(1))
    assert other.intervals != report.intervals
    with pytest.raises(InputError, match="no number 'loss': it has auc"):
        report.measured("loss")
    with pytest.raises(InputError, match="no operating point 'crosing': it has asked, crossing"):
        report.measured("recall", "crosing")
    assert np.isnan(report_on([0.1], [0], draws=0).measured("recall", "crossing").value)


def test_draws_taken_in_turns_are_all_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    scores, labels = bent(800, 0)
    whole = report_on(scores, labels, draws=1000).intervals
    sizes = []

    def counted(*args: Any, draws: int, **kwargs: Any) -> Resamples:
        sizes.append(draws)
        return resample(*args, draws=draws, **kwargs)

    monkeypatch.setattr(intervals, "resample", counted)
    assert report_on(scores, labels, draws=1000).intervals == whole
    monkeypatch.setattr(intervals, "_CELLS", 800 * 300)
    turned = report_on(scores, labels, draws=1000).intervals
    assert sizes == [1000, 300, 300, 300, 100]
    for name, (low, high) in whole["asked"].items():
        width = high - low
        assert turned["asked"][name] == pytest.approx((low, high), abs=0.15 * width + 1e-9)


def test_a_score_equal_to_the_threshold_is_real() -> None:
    for threshold in (0.7, 0.1, 0.3, 0.9925):  # none of them is a float32
        report = report_on([threshold, 0.0], [1, 0], threshold=threshold, snr=[10.0, 10.0], draws=0)
        assert report.counts["asked"].tp == report.snr_bins[0]["found"] == 1
        assert report.thresholds["asked"] == threshold


def test_missed_and_purity_at_the_surveys_mixture() -> None:
    scores, labels = bent(4000, 1)
    report = report_on(scores, labels, specificity=0.99, prevalence=0.02, draws=0)
    rate, recall, _ = metrics.roc_curve(labels, scores, drop_intermediate=False)
    assert report.missed == round(labels.sum() * (1 - recall[rate <= 0.01 + 1e-12].max()))
    point = report.counts["specificity 99 %"]
    assert point.fn == report.missed
    assert point.specificity >= 0.99
    # the same as precision where each candidate is weighted to a share of 0.02 real
    weights = np.where(labels == 1, 0.02 / labels.mean(), 0.98 / (1 - labels.mean()))
    weighted = metrics.precision_score(labels, scores >= 0.5, sample_weight=weights)
    assert report.measured("purity").value == pytest.approx(weighted)


def test_the_papers_operational_sample() -> None:
    scores, labels = np.repeat([1.0, 1.0, 0.0, 0.0], [68, 9, 6, 4917]), np.repeat([1, 0, 1, 0], [68, 9, 6, 4917])
    text = report_on(scores, labels, threshold=0.5, prevalence=74 / 5000).to_markdown()
    row = next(line for line in text.splitlines() if line.startswith("| asked"))
    values = [cell.split(" [")[0].strip() for cell in row.strip("|").split("|")]
    assert values == ["asked", "0.500", "99.82", "91.89", "88.31", "90.07", "88.31", "68", "9", "6", "4917"]


def test_before_and_after_calibration() -> None:
    calibration = fit_calibration(*bent(4000, 2), method="beta")
    scores, labels = bent(4000, 3)
    report = report_on(scores, labels, calibration=calibration, draws=0)
    before, after = report.probability["before"], report.probability["after"]
    assert before.brier == pytest.approx(metrics.brier_score_loss(labels, scores))
    assert after.brier == pytest.approx(metrics.brier_score_loss(labels, calibration(scores)), rel=1e-6)
    assert after.expected_calibration_error < 0.2 * before.expected_calibration_error
    assert set(report_on(scores, labels, draws=0).probability) == {"before"}
    assert report.counts == report_on(scores, labels, draws=0).counts  # thresholds are those of the scores
    survey = fit_calibration(*bent(4000, 2), method="beta", prevalence=0.01)
    weighted = report_on(scores, labels, calibration=survey, draws=0).probability["after"]
    assert weighted.prevalence == 0.01
    assert weighted.expected_calibration_error < 0.01


def test_the_cards_calibration_is_used(toy_stamps: StampSet, tmp_path: Path) -> None:
    calibration = fit_calibration([0.1, 0.3, 0.5, 0.9], [0, 0, 1, 1], method="platt")

    class Calibrated(Brightness):
        card = replace(Brightness.card, calibration=calibration.to_dict())

    report = evaluate(Calibrated(), toy_stamps, draws=0)
    assert report.calibration == calibration.to_dict()
    assert report.probabilities is not None
    np.testing.assert_allclose(report.probabilities, calibration(report.scores))
    report.save(tmp_path, figures=False)
    np.testing.assert_array_equal(read_parquet(tmp_path / "scores.parquet")["probability"], report.probabilities)
    assert not (tmp_path / "report.html").exists()


def test_stamps_that_are_not_usable_are_left_out_and_counted(toy_stamps: StampSet) -> None:
    catalogue = toy_stamps.catalogue.copy()
    catalogue["usable"] = np.arange(240) >= 40
    catalogue["label"][:30] = UNLABELLED
    report = evaluate(Brightness(), replace(toy_stamps, catalogue=catalogue), draws=0)
    assert len(report.scores) == 200
    assert report.left_out == {"without a label": 30, "not usable": 10}
    assert "Left out: 30 without a label, 10 not usable." in report.to_markdown()
    catalogue["usable"] = False
    with pytest.raises(InputError, match="none of 210 labelled stamps is usable"):
        evaluate(Brightness(), replace(toy_stamps, catalogue=catalogue))


def test_breakdowns_use_the_columns_that_are_there(toy_stamps: StampSet) -> None:
    catalogue = toy_stamps.catalogue.copy()
    catalogue["kind"] = np.where(
        np.arange(240) % 3 == 1, "hot pixel", np.where(toy_stamps.labels == 1, "star", "dipole")
    )
    catalogue["mag"] = np.linspace(15, 20, 240)
    report = evaluate(Brightness(), replace(toy_stamps, catalogue=catalogue), draws=0)
    assert [part.column for part in report.breakdowns] == ["snr", "mag", "fwhm", "kind"]
    kinds = {part.name: part for part in report.breakdowns[-1].bins}
    assert (kinds["hot pixel"].bogus, kinds["dipole"].bogus, kinds["star"].real) == (80, 80, 80)
    for part in report.breakdowns:
        assert sum(b.found for b in part.bins) == report.counts["asked"].tp
        assert sum(b.passed for b in part.bins) == report.counts["asked"].fp
    assert "| hot pixel |" in report.to_markdown()


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ({"prevalence": 1.5}, r"prevalence 1\.5 is not in \[0, 1\]"),
        ({"prevalence": float("nan")}, "prevalence nan"),
        ({"specificity": -0.1}, r"specificity -0\.1 is not in \[0, 1\]"),
        ({"draws": -1}, "draws -1: give the number"),
        ({"threshold": float("nan")}, "threshold nan is no number"),
    ],
)
def test_impossible_choices_are_named_before_any_scoring(
    toy_stamps: StampSet, choice: dict[str, Any], words: str
) -> None:
    class Unused(Brightness):
        def predict(
            self, pixels: ArrayLike, *, noise: ArrayLike | None = None, fwhm: ArrayLike | None = None
        ) -> NDArray[np.float32]:
            pytest.fail("it was scored")

    with pytest.raises(InputError, match=words):
        evaluate(Unused(), toy_stamps, **choice)
    with pytest.raises(InputError, match=words):
        report_on([0.1, 0.9], [0, 1], **{"draws": 0, **choice})
    with pytest.raises(InputError, match="level 1"):
        report_on([0.1, 0.9], [0, 1], draws=0, level=1.0)


def test_spoiled_sets_are_named(toy_stamps: StampSet) -> None:
    with pytest.raises(InputError, match="the set holds no stamps"):
        evaluate(Brightness(), toy_stamps.select(np.arange(0)))
    for label, word in ((0, "160 labelled stamps are bogus"), (1, "80 labelled stamps are real")):
        with pytest.raises(InputError, match=f"all {word}.*add stamps of the other class"):
            evaluate(Brightness(), toy_stamps.select(toy_stamps.labels == label))
    pixels = toy_stamps.pixels.copy()
    pixels[7, 0, 3, 3], pixels[9] = np.nan, np.inf
    with pytest.raises(InputError, match=r"2 of 240 stamps hold NaN or infinite pixels, first toy-7: cut them"):
        evaluate(Brightness(), replace(toy_stamps, pixels=pixels))
    catalogue = toy_stamps.catalogue.copy()
    catalogue["usable"] = ~np.isin(np.arange(240), (7, 9))  # not usable: nobody looks at them
    report = evaluate(Brightness(), replace(toy_stamps, pixels=pixels, catalogue=catalogue), draws=0)
    assert report.left_out["not usable"] == 2


def test_nan_scores_and_empty_sets_are_refused(toy_stamps: StampSet) -> None:
    class Broken(Brightness):
        def predict(
            self, pixels: ArrayLike, *, noise: ArrayLike | None = None, fwhm: ArrayLike | None = None
        ) -> NDArray[np.float32]:
            scores = super().predict(pixels, noise=noise, fwhm=fwhm)
            scores[5] = np.nan
            return scores

    with pytest.raises(InputError, match=r"brightness gave 1 of 240 stamps the score NaN, first toy-5"):
        evaluate(Broken(), toy_stamps)
    with pytest.raises(InputError, match="1 of 2 scores are NaN"):
        report_on([0.5, np.nan], [0, 1])
    with pytest.raises(InputError, match="no scores"):
        report_on([], [])


def test_tables_beside_the_report(toy_stamps: StampSet, tmp_path: Path) -> None:
    report = evaluate(Brightness(), toy_stamps, draws=20)
    report.save(tmp_path, figures=False)
    names = {path.name for path in (tmp_path / "tables").iterdir()}
    assert names == {f"{name}{end}" for name in report.tables() for end in (".md", ".csv", ".tex")}
    assert not list(tmp_path.rglob("*.part"))
    values = json.loads((tmp_path / "report.json").read_text())
    low, high = values["operating_points"]["asked"]["intervals"]["recall"]
    assert low <= values["operating_points"]["asked"]["recall"] <= high
    assert values["breakdowns"]["snr"]["bins"][0]["real"] == values["snr_bins"][0]["real"]


def test_shares_are_no_labels() -> None:
    with pytest.raises(InputError, match=r"labels must be 0 \(bogus\) or 1 \(real\)"):
        report_on([0.1, 0.9, 0.8], [0.4, 1.0, 0.9], draws=0)
