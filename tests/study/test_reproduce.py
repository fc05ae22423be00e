"""A whole study of toy stamps: what it leaves behind, that it carries on, and what it refuses."""

from __future__ import annotations

import csv
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toys import OPTIONS, make_plan, make_stamps

from realbogus.cli import main
from realbogus.config import with_overrides
from realbogus.errors import ConfigError, ModelError, UnknownNameError
from realbogus.stamps import StampSet
from realbogus.study import figures
from realbogus.study.plan import Network
from realbogus.study.reproduce import reproduce
from realbogus.study.tables import TABLES
from realbogus.tables import read_parquet


def rows_of(out: Path, name: str) -> list[dict[str, str]]:
    with (out / "tables" / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_everything_is_there(whole: Path) -> None:
    summary = json.loads((whole / "summary.json").read_text())
    assert summary["failed"] == {}
    assert len(summary["runs"]) == 2 + 3 * 3 + 2 * 2
    for name in (*TABLES, "by_snr", "by_mag", "by_seeing", "by_kind"):
        for suffix in ("md", "csv", "tex"):
            assert (whole / "tables" / f"{name}.{suffix}").stat().st_size > 50
    for name in ("1", "2a", "2b", "3", "4", "5", "6", "7"):
        assert (whole / "figures" / f"figure{name}.pdf").read_bytes().startswith(b"%PDF")
        assert (whole / "figures" / f"figure{name}.png").read_bytes().startswith(b"\x89PNG")
    page = (whole / "report.html").read_text()
    assert page.count("<svg") == len(list((whole / "figures").glob("*.png")))
    assert "http:" not in page and "https:" not in page
    assert summary["machines"][0]["cores"] == os.cpu_count()
    assert {"data", "screen", "this call"} <= set(summary["seconds"])


def test_table_3_holds_seven_combinations_twice(whole: Path) -> None:
    rows = rows_of(whole, "table3_stamp")
    assert len(rows) == 14
    assert [row["votes"] for row in rows] == ["raw", "calibrated"] * 7
    alone = [row for row in rows if row["members"] == "ResNet18"]
    assert alone[0]["paper AUC"] == "0.9951" and alone[1]["paper AUC"] == ""


def test_a_vote_is_the_mean_of_the_saved_scores(whole: Path) -> None:
    parts = read_parquet(whole / "splits" / "stamp.parquet")
    test = (np.asarray(parts["side"]) == "test") & ~np.asarray(parts["hard"])
    votes = np.zeros(len(parts))
    for name in ("resnet18", "two", "three"):
        scores = read_parquet(whole / "runs" / "bag-stamp" / name / "scores.parquet")
        votes[np.asarray(scores["row"])] += np.asarray(scores["score"]) / 3
    real = np.asarray(parts["label"])[test] == 1
    row = next(r for r in rows_of(whole, "table3_stamp") if r["members"].count("+") == 2 and r["votes"] == "raw")
    assert float(row["recall %"]) == pytest.approx(100 * (votes[test][real] >= 0.5).mean(), abs=1e-3)
    assert float(row["specificity %"]) == pytest.approx(100 * (votes[test][~real] < 0.5).mean(), abs=1e-3)


def test_with_the_hard_set_there_are_more_bogus(whole: Path) -> None:
    rows = rows_of(whole, "best")
    assert [row["tested on hard"] for row in rows] == (["yes"] * 3 + ["no"] * 3) * 2
    assert [row["learned from hard"] for row in rows] == ["no"] * 6 + ["yes"] * 6
    assert int(rows[0]["bogus"]) > int(rows[3]["bogus"])
    assert rows[0]["real"] == rows[3]["real"]


def test_a_finished_study_is_not_done_again(
    whole: Path, study_stamps: StampSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "FIGURES", {})
    before = {path: path.stat().st_mtime_ns for path in whole.rglob("scores.parquet")}
    tables = {path: path.read_text() for path in (whole / "tables").glob("*.csv")}
    (whole / "tables" / "computing.csv").write_text("of an earlier release")
    reproduce(whole, plan=make_plan(), stamps=study_stamps, jobs=1)
    assert before == {path: path.stat().st_mtime_ns for path in whole.rglob("scores.parquet")}
    assert tables == {path: path.read_text() for path in (whole / "tables").glob("*.csv")}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 1}, "seed 0 there, 1 here"),
        ({"scale": "other"}, "scale toy there, other here"),
        ({"recipe": with_overrides(make_plan().recipe, {"training.epochs": 9})}, "epochs 3 there, 9 here"),
    ],
)
def test_another_study_is_refused(whole: Path, study_stamps: StampSet, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        reproduce(whole, plan=make_plan(**changes), stamps=study_stamps, jobs=1)


def test_other_stamps_are_refused(whole: Path) -> None:
    with pytest.raises(ConfigError, match=r"stamps .* there"):
        reproduce(whole, plan=make_plan(), stamps=make_stamps(120), jobs=1)


def test_a_folder_of_something_else_is_refused(study_stamps: StampSet, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(ConfigError, match=r"thesis\.tex.*no study of ours"):
        reproduce(tmp_path, plan=make_plan(), stamps=study_stamps, jobs=1)


def test_names_are_looked_at_first(study_stamps: StampSet, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="unknown architecture 'resnet1'"):
        reproduce(tmp_path, plan=make_plan(networks=(Network("resnet1"),)), stamps=study_stamps, jobs=1)
    with pytest.raises(UnknownNameError, match="unknown engine"):
        reproduce(tmp_path, plan=make_plan(), stamps=study_stamps, jobs=1, engine="cloud")
    with pytest.raises(ConfigError, match="jobs 0"):
        reproduce(tmp_path, plan=make_plan(), stamps=study_stamps, jobs=0)


def test_a_network_that_fails_is_reported_and_the_others_go_on(
    study_stamps: StampSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "FIGURES", {"figure5": figures.FIGURES["figure5"]})
    odd = Network("odd", "compact", {"widths": [4]})
    plan = make_plan(best=None, hard_too=False)
    plan = replace(plan, networks=(Network("four", "compact", OPTIONS), odd), trio=(*plan.trio[:1], odd))
    reproduce(tmp_path, plan=plan, stamps=study_stamps, jobs=1)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert set(summary["failed"]) == {"single/odd", "bag-stamp/odd", "bag-field/odd"}
    rows = rows_of(tmp_path, "table2")
    assert [row["network"] for row in rows] == ["four", "odd"]
    assert rows[1]["note"].startswith("failed: compact: 1 widths")
    assert rows[1]["AUC"] == ""
    assert "Not everything could be trained" in (tmp_path / "report.html").read_text()
    # what failed is tried again, what was trained stays
    before = (tmp_path / "runs" / "single" / "four" / "scores.parquet").stat().st_mtime_ns
    mended = replace(plan, networks=(plan.networks[0], Network("odd", "compact", OPTIONS)))
    reproduce(tmp_path, plan=mended, stamps=study_stamps, jobs=1)
    assert [row["AUC"] != "" for row in rows_of(tmp_path, "table2")] == [True, True]
    assert (tmp_path / "runs" / "single" / "four" / "scores.parquet").stat().st_mtime_ns == before
    with pytest.raises(ModelError, match="none of 3 networks"):
        reproduce(tmp_path, plan=replace(plan, networks=(odd,), trio=(odd,)), stamps=study_stamps, jobs=1)


@pytest.mark.parametrize(
    "lost", ["runs/single/four/scores.parquet", "screen/scores.parquet", "screen/hard.parquet", "splits/field.parquet"]
)
@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_bytes(b"PAR1 cut")])
def test_lost_scores_are_made_again(whole: Path, study_stamps: StampSet, tmp_path: Path, lost: str, spoil: Any) -> None:
    copy = shutil.copytree(whole, tmp_path / "copy")
    spoil(copy / lost)
    (copy / "figures" / "figure99.png").write_bytes(b"of an earlier release")
    reproduce(copy, plan=make_plan(), stamps=study_stamps, jobs=1)
    assert (copy / "tables.md").read_text() == (whole / "tables.md").read_text()
    assert not (copy / "figures" / "figure99.png").exists()


def test_the_verb_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", "-o", str(tmp_path), "--scale", "tiny"]) == 1
    assert "known are paper, small, smoke" in capsys.readouterr().err
    assert main(["reproduce", "-o", str(tmp_path), "--networks", "resnet9000"]) == 1
    assert "unknown architecture 'resnet9000'" in capsys.readouterr().err
    assert main(["reproduce", "-o", str(tmp_path), "--networks", ","]) == 1
    assert "names none" in capsys.readouterr().err
    assert main(["reproduce", "-o", str(tmp_path), "--engine", "cloud"]) == 1
    assert "unknown engine 'cloud': known are local, ray" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
