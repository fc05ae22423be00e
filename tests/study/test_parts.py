"""The parts of a study: what the paper printed, stages on disk, splits, votes, numbers of a row."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from toys import make_plan

from realbogus.architectures import ARCHITECTURES
from realbogus.architectures.facts import PAPER_NETWORKS
from realbogus.dataset.screen import BANDS
from realbogus.errors import ConfigError, InputError, RealbogusError, UnknownNameError
from realbogus.stamps import StampSet
from realbogus.study import paper
from realbogus.study.artefact import begin, facts_of, finish, locked
from realbogus.study.effort import EFFORTS
from realbogus.study.jobs import history_of, train_and_score
from realbogus.study.measures import fewer_missed, measure_scores
from realbogus.study.plan import BEST_RECIPE, Network, plan_study
from realbogus.study.runs import plan_runs
from realbogus.study.splits import split_path
from realbogus.study.votes import combinations
from realbogus.tables import read_parquet


def test_the_paper_agrees_with_itself() -> None:
    # F1 follows from precision and recall, up to what was rounded away
    rows = [*paper.TABLE_2.values(), *paper.TABLE_3.values()]
    assert len(rows) == 20
    for row in rows:
        assert row.f1 == pytest.approx(2 * row.precision * row.recall / (row.precision + row.recall), abs=0.02), row
        assert row.precision < row.specificity
    # 605 real and 35,538 bogus: precision follows from recall and specificity
    for row in rows:
        found, passed = row.recall * 605, (100 - row.specificity) * 35538
        assert row.precision == pytest.approx(100 * found / (found + passed), abs=0.5), row
    tp, fp, fn, _ = paper.OPERATIONAL
    assert sum(paper.OPERATIONAL) == 5000
    assert (tp / (tp + fp), tp / (tp + fn)) == (pytest.approx(0.8831, abs=5e-5), pytest.approx(0.9189, abs=5e-5))
    assert sum(BANDS.values()) == pytest.approx(1)
    assert set(combinations(paper.TRIO)) == {tuple(n for n in paper.TRIO if n in key) for key in paper.TABLE_3}


def test_the_papers_networks_are_ours() -> None:
    assert set(paper.NETWORKS) == set(PAPER_NETWORKS)
    assert set(paper.NETWORKS) | {"vgg13"} <= set(ARCHITECTURES)
    assert [Network("vit_tiny").title, Network("mine", "compact").title] == ["ViT_Tiny", "mine"]


def test_a_plan_of_every_scale(tmp_path: Path) -> None:
    for scale in EFFORTS:
        plan = plan_study(scale)
        runs = plan_runs(tmp_path, plan, "x")
        single = [key for key in runs if key.startswith("single/")]
        assert len(single) == 13
        assert sum(key.startswith("bag-") for key in runs) == 6
        assert sum(key.startswith("best") for key in runs) == plan.best_members
        first = list(runs)[: 6 + 3 + plan.best_members]  # the bag before all that is not of it
        assert not {key for key in runs if key.split("/")[1] in paper.TRIO} - set(first)
        more = plan_runs(tmp_path, replace(plan, hard_too=True), "x")
        assert list(more)[: len(runs)] == list(runs)
        assert [key for key, job in more.items() if job.hard] == [key for key in more if "-hard/" in key]
        assert len(more) == len(runs) + 3 + plan.best_members
        assert list(runs).index("single/vgg11") < list(runs).index("single/shufflenetv2_x0_5")
    assert plan_study("paper").recipe.training.epochs == 100
    assert plan_study("paper").recipe.training.batch_size == 256
    assert plan_study("paper").recipe.training.lr == 1e-4
    small = plan_runs(tmp_path, plan_study("small", epochs=1), "x")
    assert [small[key].config.training.epochs for key in ("single/resnet18", "bag-field/resnet18")] == [1, 7]
    rates = {key: job.config.training.lr for key, job in small.items() if key.startswith("single/")}
    assert [key for key, lr in rates.items() if lr != 2e-3] == ["single/vgg11", "single/vit_tiny"]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"scale": "huge"}, UnknownNameError, "known are paper, small, smoke"),
        ({"epochs": 0}, ConfigError, "at least 1"),
        ({"seed": -1}, ConfigError, "seed is -1"),
        ({"networks": []}, ConfigError, "no networks"),
        ({"best": Path("bset.toml")}, RealbogusError, r"bset\.toml"),
    ],
)
def test_an_impossible_plan(arguments: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        plan_study(**arguments)  # type: ignore[arg-type]


def test_bands_and_names_of_a_plan() -> None:
    with pytest.raises(ConfigError, match="bands"):
        make_plan(bands=(0.9, 0.2))
    with pytest.raises(ConfigError, match="named once"):
        make_plan(networks=make_plan().networks * 2)


def test_a_stage_is_done_only_with_the_same_inputs(tmp_path: Path) -> None:
    folder = tmp_path / "stage"
    begin(folder, {"a": 1})
    (folder / "work").write_text("half")
    assert facts_of(folder, {"a": 1}) is None
    begin(folder, {"a": 1})
    assert (folder / "work").exists()
    finish(folder, {"a": 1}, {"n": float("nan")})
    assert facts_of(folder, {"a": 1}) == {"n": None}
    assert facts_of(folder, {"a": 2}) is None
    begin(folder, {"a": 2})
    assert not (folder / "work").exists()
    (folder / "stage.json").write_text("{")
    assert facts_of(folder, {"a": 2}) is None


def test_a_folder_is_worked_in_by_one(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with locked(lock, wait=False), pytest.raises(ConfigError, match="at work"), locked(lock, wait=False):
        pass
    with locked(lock, wait=False):
        pass


def test_the_better_recipe_is_shipped_as_it_is_shown() -> None:
    shown = Path(__file__).resolve().parents[2] / "configs" / "best.toml"
    assert shown.exists() == BEST_RECIPE.exists()
    assert not shown.exists() or shown.read_text() == BEST_RECIPE.read_text()


def test_splits(whole: Path, study_stamps: StampSet) -> None:
    field = np.asarray(study_stamps.catalogue["field"])
    for name in ("stamp", "field"):
        parts = read_parquet(split_path(whole, name))
        side, hard = np.asarray(parts["side"]), np.asarray(parts["hard"])
        assert set(side) == {"train", "valid", "test"}
        assert hard.any() and not hard[np.asarray(parts["label"]) == 1].any()
        if name == "field":
            assert all(len(set(side[field == each])) == 1 for each in set(field))
        else:
            for rows in (hard, ~hard):
                shares = [(side[rows] == one).mean() for one in ("train", "valid", "test")]
                np.testing.assert_allclose(shares, [0.7, 0.1, 0.2], atol=0.05 + 1 / rows.sum())  # some twenty are hard


def test_nothing_hard_or_of_the_test_side_was_learned_from(whole: Path, study_stamps: StampSet) -> None:
    from realbogus.model import Model
    from realbogus.training.bag import bootstrap_rows
    from realbogus.training.planes import fingerprint

    for key, split, bootstrap, with_hard in (
        ("single/four", "stamp", False, False),
        ("bag-field/two", "field", True, False),
        ("best/00", "field", False, False),
        ("best-hard/01", "field", False, True),
        ("bag-hard/two", "field", True, True),
    ):
        parts = read_parquet(split_path(whole, split))
        side, hard = np.asarray(parts["side"]), np.asarray(parts["hard"])
        allowed = (side == "train") & (~hard | with_hard)
        data = Model.load(whole / "runs" / key / "model").card.data
        assert data["stamps"] == allowed.sum()
        assert data["bogus"] == (allowed & (np.asarray(parts["label"]) == 0)).sum()
        scored = read_parquet(whole / "runs" / key / "scores.parquet")
        assert set(scored["row"]) == set(np.flatnonzero(side != "train"))
        seed = int(Model.load(whole / "runs" / key / "model").card.config["seed"])
        learned = np.flatnonzero(allowed)
        if bootstrap:
            learned = bootstrap_rows(study_stamps.labels, learned, np.random.default_rng([seed, crc32(key.encode())]))
        weights = np.ones(len(study_stamps), dtype=np.float32)
        assert data["sha256"] == fingerprint(study_stamps, learned, weights)["sha256"]


def test_a_card_says_how_its_stamps_were_split(whole: Path) -> None:
    for key, by in (("bag-stamp", "stamp"), ("bag-field", "field"), ("best", "field")):
        for path in (whole / "runs" / key).glob("*/model/card.json"):
            split = json.loads(path.read_text())["config"]["split"]
            assert split["by"] == by and split["allow_leakage"] == (by == "stamp")
            break
        else:
            pytest.fail(f"no card under {key}")


def test_a_damaged_checkpoint_begins_that_network_anew(whole: Path, study_stamps: StampSet, tmp_path: Path) -> None:
    plan = replace(make_plan(best=None, hard_too=False), networks=make_plan().networks[:1])
    plan = replace(plan, trio=plan.networks)
    shutil.copytree(whole / "data", tmp_path / "data")
    shutil.copytree(whole / "splits", tmp_path / "splits")
    job = plan_runs(tmp_path, plan, "x")[f"single/{plan.networks[0].name}"]
    checkpoint = job.folder / "model" / "checkpoint"
    checkpoint.mkdir(parents=True)
    (checkpoint / "state.json").write_text("{")
    assert train_and_score(job, lambda done, of: None)["machine"]["cores"]
    assert history_of(job.folder / "model")


def test_the_hard_set_is_kept_with_its_scores(whole: Path) -> None:
    every = read_parquet(whole / "screen" / "scores.parquet")
    hard = read_parquet(whole / "screen" / "hard.parquet")
    expected = (np.asarray(every["label"]) == 0) & (np.asarray(every["score"]) > make_plan().bands[1])
    assert list(hard["id"]) == list(every["id"][expected])
    assert len(every) == 160


def test_numbers_of_a_row_against_sklearn() -> None:
    rng = np.random.default_rng(2)
    labels = (rng.random(3000) < 0.1).astype(np.int64)
    scores = (1 / (1 + np.exp(-rng.normal(3 * labels - 2)))).astype(np.float32)
    found = measure_scores(scores, labels, seed=0, name="row", draws=200)
    auc = found.values["auc"]
    assert auc.value == pytest.approx(roc_auc_score(labels, scores))
    assert auc.low < auc.value < auc.high < auc.low + 0.05
    recall = found.values["recall"]
    assert recall.value == pytest.approx(scores[labels == 1].__ge__(0.5).mean())
    again = measure_scores(scores, labels, seed=0, name="row", draws=200)
    assert again.values == found.values
    bogus = np.sort(scores[labels == 0])[::-1]
    allowed = int(0.0075 * len(bogus))
    assert found.values["missed"].value == (scores[labels == 1] <= bogus[allowed]).sum()


def test_fewer_missed_has_a_sign() -> None:
    rng = np.random.default_rng(1)
    labels = (rng.random(2000) < 0.2).astype(np.int64)
    base = rng.normal(2.0 * labels).astype(np.float32)
    better = rng.normal(4.0 * labels).astype(np.float32)
    gain = fewer_missed(base, better, labels, seed=0, draws=50)
    assert 0.3 < gain.low < gain.value < gain.high < 1
    assert fewer_missed(better, base, labels, seed=0, draws=20).value < 0


def test_stamps_that_a_study_cannot_use(study_stamps: StampSet, tmp_path: Path) -> None:
    from realbogus.study.reproduce import reproduce

    unlabelled = study_stamps.catalogue.copy()
    unlabelled["label"][3] = -2
    fieldless = study_stamps.catalogue.copy()
    fieldless.remove_column("field")
    for catalogue, message in ((unlabelled, "label all"), (fieldless, r"lacks the columns \['field'\]")):
        shutil.rmtree(tmp_path, ignore_errors=True)
        with pytest.raises(InputError, match=message):
            reproduce(tmp_path, plan=make_plan(), stamps=replace(study_stamps, catalogue=catalogue), jobs=1)
    spoiled = study_stamps.select(np.arange(len(study_stamps)))
    pixels = np.array(spoiled.pixels)
    pixels[5, 0, 3, 3] = np.nan
    unusable = study_stamps.catalogue.copy()
    unusable["usable"] = np.arange(len(unusable)) != 4
    torn, quiet = study_stamps.catalogue.copy(), study_stamps.catalogue.copy()
    torn["source"][np.asarray(torn["field"]) != torn["field"][0]] = torn["source"][0]
    quiet["noise"][7] = np.nan
    for stamps, message in (
        (replace(spoiled, pixels=pixels), f"hold NaN or infinite pixels: {spoiled.catalogue['id'][5]};"),
        (replace(spoiled, catalogue=unusable), "1 of .* are not usable"),
        (replace(spoiled, catalogue=torn), "the honest split parts the fields"),
        (replace(spoiled, catalogue=quiet), f"no noise that is finite.*: {spoiled.catalogue['id'][7]};"),
        (study_stamps.select(np.asarray(torn["field"]) == torn["field"][0]), "the split by field leaves 0 real"),
    ):
        shutil.rmtree(tmp_path, ignore_errors=True)
        with pytest.raises(InputError, match=message):
            reproduce(tmp_path, plan=make_plan(), stamps=stamps, jobs=1)
        assert not (tmp_path / "study.json").exists()  # the mended stamps may come into the same folder
    one_class = study_stamps.select(study_stamps.labels == 0)
    shutil.rmtree(tmp_path, ignore_errors=True)
    with pytest.raises(InputError, match="0 are real"):
        reproduce(tmp_path, plan=make_plan(), stamps=one_class, jobs=1)
