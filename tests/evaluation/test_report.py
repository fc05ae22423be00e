"""Reports: the numbers against scikit-learn, the files against the numbers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray
from sklearn import metrics

from realbogus.classifier import Card
from realbogus.errors import InputError, OutputError
from realbogus.evaluation.report import evaluate, report_on
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
    report.save(tmp_path / "report")
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
    with pytest.raises(OutputError, match="cannot write the report"):
        report.save(tmp_path / "file" / "report")


def test_what_cannot_be_known_is_null(tmp_path: Path) -> None:
    report = report_on([0.1, 0.2], [0, 0])
    values = report.to_dict()
    assert values["auc"] is None
    assert values["operating_points"]["asked"]["recall"] is None
    assert set(values["operating_points"]) == {"asked"}
    report.save(tmp_path)
    json.loads((tmp_path / "report.json").read_text(), parse_constant=lambda name: pytest.fail(name))
