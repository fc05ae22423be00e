"""Every verb of the command line end to end, and what it says when it cannot."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

import realbogus
from realbogus.cli import VERBS, main
from realbogus.errors import OutputError
from realbogus.images.read import read_frame
from realbogus.images.subtract.files import read_difference
from realbogus.runtimes import load_classifier
from realbogus.stamps import StampSet
from realbogus.tables import read_parquet

TELESCOPE = ["--telescope", "mini-sitian"]
#: Verbs that run on and write where `--to` says, or answer.
WITHOUT_OUT = {"serve", "stream", "watch"}
TINY = ["training.epochs=1", "training.batch_size=16", "model.architecture=compact", "preprocess.size=32"]


def run(*words: object) -> None:
    """Run a verb that must succeed."""
    assert main([str(word) for word in words]) == 0


@pytest.fixture(scope="module")
def night(tmp_path_factory) -> Path:
    """A folder with `frames` of a small simulated night."""
    out = tmp_path_factory.mktemp("cli") / "night [1]"  # brackets: rich must not take them for markup
    run("simulate", "--preset", "mini-sitian", "--frames", 4, "--size", 256, 256, "--seed", 3, "-o", out)
    return out


@pytest.fixture(scope="module")
def frame(night) -> Path:
    return sorted((night / "frames").iterdir())[-1]


@pytest.fixture(scope="module")
def reference(night) -> Path:
    out = night / "made" / "reference.fits"
    run("reference", night / "frames", "-o", out, "--members", 3, *TELESCOPE)
    return out


@pytest.fixture(scope="module")
def difference(night, frame, reference) -> Path:
    out = night / "difference.fits"
    run("subtract", frame, reference, "-o", out, "--method", "plain", *TELESCOPE)
    return out


@pytest.fixture(scope="module")
def detections(night, difference) -> Path:
    out = night / "tables" / "found.parquet"
    run("detect", difference, "-o", out)
    return out


@pytest.fixture(scope="module")
def cuts(night, difference, detections) -> Path:
    out = night / "cuts"
    run("cut", difference, detections, "-o", out)
    return out


@pytest.fixture(scope="module")
def labelled(night) -> Path:
    """A folder of some dozens of labelled stamps."""
    run("simulate", "--preset", "varied", "--stamps", 2, "-o", night / "labelled")
    return night / "labelled"


@pytest.fixture(scope="module")
def model(night, labelled) -> Path:
    run("train", labelled, "-o", night / "model", "--set", *TINY)
    return night / "model"


@pytest.fixture
def fails(capsys):
    """Run a verb that must fail with status 1, and return what it says: one error, no traceback."""

    def check(*words: object) -> str:
        capsys.readouterr()
        assert main([str(word) for word in words]) == 1
        said = capsys.readouterr()
        assert said.out == ""
        lines = said.err.splitlines()
        assert [line.startswith("error: ") for line in lines].count(True) == 1
        assert "Traceback" not in said.err
        return next(line for line in lines if line.startswith("error: "))

    return check


@pytest.fixture
def blocked(tmp_path) -> Path:
    """A path below a file, where not even root can write."""
    (tmp_path / "file").write_text("in the way")
    return tmp_path / "file"


def test_simulate_writes_frames_and_truth(night):
    assert len(list((night / "frames").iterdir())) == 4
    assert len(Table.read(night / "truth.ecsv")) > 0
    assert json.loads((night / "simulation.json").read_text())["seed"] == 3


def test_simulate_never_mixes_two_nights(night, fails):
    assert "is not empty" in fails("simulate", "--frames", 1, "--size", 128, 128, "-o", night)


def test_reference_is_made_of_so_many_frames(reference, night):
    assert min(read_frame(reference).shape) > 240
    run("reference", night / "frames", "-o", reference, "--members", 3, *TELESCOPE)  # an older one is replaced


def test_reference_names_what_it_leaves_out(night, tmp_path, capsys):
    (tmp_path / "frames").mkdir()
    for path in (night / "frames").iterdir():
        (tmp_path / "frames" / path.name).symlink_to(path)
    (tmp_path / "frames" / "zz.fits").write_bytes(b"SIMPLE")
    run("reference", tmp_path / "frames", "-o", tmp_path / "r.fits", "--members", 2, *TELESCOPE)
    said = capsys.readouterr()
    assert "left out zz.fits: " in said.err
    assert f"written: {tmp_path / 'r.fits'}: 2 frames" in said.out


def test_reference_of_no_good_frame_is_an_error(tmp_path, fails):
    (tmp_path / "zz.fits").write_bytes(b"SIMPLE")
    assert "none of the 1 frames" in fails("reference", tmp_path, "-o", tmp_path / "out" / "r.fits")


def test_stamps_never_replace_the_card_of_a_model(difference, detections, tmp_path, fails):
    (tmp_path / "card.json").write_text("{}")
    assert "holds a model" in fails("cut", difference, detections, "-o", tmp_path)
    assert "holds a model" in fails("simulate", "--preset", "varied", "--stamps", 2, "-o", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["card.json"]


def test_a_reference_goes_beside_stamps_and_not_in_the_place_of_a_folder(night, tmp_path, fails):
    (tmp_path / "stamps").mkdir()
    run("reference", night / "frames", "-o", tmp_path / "r.fits", "--members", 2, *TELESCOPE)
    assert "it is a folder" in fails("reference", night / "frames", "-o", tmp_path / "stamps", *TELESCOPE)


def test_a_reader_that_goes_away_is_no_failure(difference, tmp_path):
    """As `realbogus ... | head -1` does."""
    words = shlex.join([sys.executable, "-m", "realbogus", "detect", str(difference), "-o", str(tmp_path / "d.csv")])
    line = ["bash", "-c", f"{words} | true; exit ${{PIPESTATUS[0]}}"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "") and (tmp_path / "d.csv").is_file()


def test_a_verb_goes_on_without_its_reader(monkeypatch, tmp_path):
    """What it prints before it writes must not keep it from writing."""

    class Gone(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

        def flush(self):
            raise BrokenPipeError

    def verb(options, console, errors):
        console.print("a line that nobody reads")
        console.print("another")
        (tmp_path / "written").touch()

    monkeypatch.setattr("realbogus.cli.VERBS", (replace(VERBS[0], run=verb), *VERBS[1:]))
    monkeypatch.setattr(sys, "stdout", Gone())
    assert VERBS[0].name == "night" and main(["night", "frames", "-o", str(tmp_path)]) == 0
    assert (tmp_path / "written").is_file()


def test_a_pipe_that_breaks_elsewhere_is_an_error(monkeypatch, tmp_path, capsys):
    def verb(options, console, errors):
        raise BrokenPipeError(32, "a worker went away")

    monkeypatch.setattr("realbogus.cli.VERBS", (replace(VERBS[0], run=verb), *VERBS[1:]))
    assert main(["night", "frames", "-o", str(tmp_path)]) == 1
    assert "a worker went away" in capsys.readouterr().err


def test_reference_never_overwrites_a_frame(frame, fails):
    before = frame.read_bytes()
    assert "is what is read" in fails("reference", frame.parent, "-o", frame, *TELESCOPE)
    assert frame.read_bytes() == before


def test_subtract_writes_a_judged_difference(difference, frame):
    written = read_difference(difference)
    assert written.pixels.shape == read_frame(frame, "mini-sitian").shape
    assert written.sigma > 0 and written.method == "plain"


@pytest.mark.parametrize("suffix", ["csv", "ecsv", "vot"])
def test_detect_writes_what_the_suffix_says(difference, detections, tmp_path, suffix):
    run("detect", difference, "-o", tmp_path / f"d.{suffix}")
    rows, truth = Table.read(tmp_path / f"d.{suffix}"), read_parquet(detections)
    assert set(rows.colnames) == set(truth.colnames)
    np.testing.assert_allclose(rows["x"], truth["x"], atol=1e-3)
    assert np.asarray(rows["sign"]).tolist() == np.asarray(truth["sign"]).tolist()


def test_a_lower_threshold_detects_more(difference, detections, tmp_path):
    run("detect", difference, "-o", tmp_path / "d.csv", "--detection-threshold", 1.5, "--min-area", 3)
    assert len(Table.read(tmp_path / "d.csv")) > len(read_parquet(detections))


def test_cut_gives_a_stamp_for_every_row(cuts, detections, difference, tmp_path):
    stamps, rows, image = StampSet.load(cuts), read_parquet(detections), read_difference(difference)
    assert len(stamps) == len(rows) > 0
    assert list(stamps.catalogue["id"]) == list(rows["id"])
    k = int(np.flatnonzero(np.asarray(stamps.catalogue["missing"]) == 0)[0])
    x, y = round(float(rows["x"][k])), round(float(rows["y"][k]))
    assert stamps.pixels[k, 0, 32, 32] == image.pixels[y, x]


def test_cut_takes_anybodys_table(difference, tmp_path):
    Table({"x": [100.0, 3.0], "y": [120.0, 250.0]}).write(tmp_path / "mine.csv")
    run("cut", difference, tmp_path / "mine.csv", "-o", tmp_path / "cuts")
    stamps = StampSet.load(tmp_path / "cuts")
    assert len(set(stamps.catalogue["id"])) == 2
    assert stamps.catalogue["missing"][1] > 0.2  # near the corner


@pytest.mark.parametrize("name", ["mine.cat", "mine.txt", "mine.dat"])
def test_cut_takes_a_catalogue_whose_suffix_says_nothing(difference, tmp_path, name):
    Table({"x": [100.0, 90.0], "y": [120.0, 90.0]}).write(tmp_path / name, format="ascii.commented_header")
    run("cut", difference, tmp_path / name, "-o", tmp_path / "cuts")
    assert len(StampSet.load(tmp_path / "cuts")) == 2


def test_nothing_is_written_over_what_is_read(frame, reference, tmp_path, fails):
    mine = tmp_path / "raw.fits"
    mine.write_bytes(frame.read_bytes())
    for words in (["inject", mine], ["subtract", mine, reference], ["subtract", frame, mine]):
        assert "would be written over" in fails(*words, "-o", mine)
    assert mine.read_bytes() == frame.read_bytes()


def test_a_reference_that_cannot_be_made_leaves_the_older_one(night, frame, tmp_path, fails, capsys):
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "a.fits").write_bytes(frame.read_bytes())
    (tmp_path / "deep.fits").write_bytes(b"older")
    assert "only this frame can be used" in fails("reference", tmp_path / "one", "-o", tmp_path / "deep.fits")
    assert (tmp_path / "deep.fits").read_bytes() == b"older" and not list(tmp_path.glob(".making*"))
    mixed = tmp_path / "mixed"
    shutil.copytree(night / "frames", mixed)
    with fits.open(sorted(mixed.iterdir())[1], mode="update") as hdus:
        hdus[0].header["FILTER"] = "Halpha"
    run("reference", mixed, "-o", tmp_path / "deep.fits", *TELESCOPE)
    assert "its filter is Halpha, most frames have i" in capsys.readouterr().err


def test_inject_adds_what_the_truth_says(frame, tmp_path):
    out = tmp_path / "filled.fits"
    run("inject", frame, "-o", out, "--inject", 5, "--inject-snr", 40, 60, "--seed", 2, *TELESCOPE)
    truth = Table.read(tmp_path / "filled.ecsv")
    added = fits.getdata(out).astype(float) - fits.getdata(frame)
    assert len(truth) == 5 and ((truth["snr"] >= 40) & (truth["snr"] <= 60)).all()
    for row in truth:
        x, y = round(row["x"]), round(row["y"])
        around = added[max(y - 4, 0) : y + 5, max(x - 4, 0) : x + 5]
        assert around.sum() == pytest.approx(row["flux"], rel=0.35)


def test_score_adds_columns_and_leaves_the_unusable_out(difference, tmp_path, capsys):
    Table({"x": [100.0, 0.0, 130.0], "y": [120.0, 0.0, 90.0]}).write(tmp_path / "mine.csv")
    run("cut", difference, tmp_path / "mine.csv", "-o", tmp_path / "cuts")
    capsys.readouterr()
    run("score", tmp_path / "cuts", "-o", tmp_path / "scores.parquet")
    rows = read_parquet(tmp_path / "scores.parquet")
    usable = np.asarray(rows["usable"], dtype=bool)
    assert usable.tolist() == [True, False, True]  # three quarters of the second lie outside the frame
    assert not np.ma.getmaskarray(rows["score"])[usable].any()
    assert np.ma.getmaskarray(rows["score"])[~usable].all()
    scores = np.asarray(rows["score"])[usable]
    assert ((scores >= 0) & (scores <= 1)).all()
    np.testing.assert_array_equal(np.asarray(rows["real"])[usable], scores >= rows["threshold"][0])
    assert rows["model"][0] == load_classifier(realbogus.runtimes.default_model()).card.name
    assert "3 candidates, 2 of them scored" in capsys.readouterr().out


def test_the_shipped_model_tells_simulated_stamps_apart(labelled, tmp_path, capsys):
    run("evaluate", "default", labelled, "-o", tmp_path / "report", "--threshold", 0.5)
    said = capsys.readouterr().out
    assert "| asked | 0.500 |" in said
    assert float(re.search(r"AUC ([\d.]+)", said)[1]) > 0.9
    assert any((tmp_path / "report").iterdir())


def test_a_report_takes_the_surveys_prevalence_specificity_and_draws(labelled, tmp_path, capsys):
    words = ["evaluate", "default", labelled, "--prevalence", 0.002, "--specificity", 0.9]
    run(*words, "--draws", 0, "-o", tmp_path / "none")
    said = capsys.readouterr().out
    assert "purity % at 0.2 % real" in said and "At a specificity of 90 % or more" in said
    assert " [" not in said.split("bogus passing")[0] and "bootstrap" not in said
    assert said.splitlines()[-1] == f"report: {tmp_path / 'none' / 'report.html'}"
    tables = [line for line in said.splitlines() if line.startswith("|")]
    assert all(line.endswith("|") for line in tables)  # no line of a table was broken
    run(*words, "--draws", 20, "-o", tmp_path / "some")
    values = json.loads((tmp_path / "some" / "report.json").read_text())
    assert (values["prevalence"], values["missed_at_specificity"]["specificity"]) == (0.002, 0.9)
    assert None not in values["intervals"]["auc"]
    assert "specificity 90 %" in values["operating_points"]
    point = values["operating_points"]["crossing"]
    true = 0.002 * point["recall"]
    assert point["purity"] == pytest.approx(true / (true + 0.998 * (1 - point["specificity"])))


def test_models_are_compared_on_the_same_stamps(labelled, model, tmp_path, capsys, fails):
    words = ["evaluate", "default", labelled, "--draws", 0, "-o", tmp_path / "out", "--against"]
    run(*words, model)
    said = capsys.readouterr().out
    assert (tmp_path / "out" / "comparison.md").read_text() in said
    rows = Table.read(tmp_path / "out" / "comparison.csv", format="csv")
    assert sorted(rows["model"]) == ["realbogus 1", "realbogus-default 1"]
    assert list(rows["AUC"]) == sorted(rows["AUC"], reverse=True)
    for folder in ("01-realbogus-default-1", "02-realbogus-1"):
        values = json.loads((tmp_path / "out" / folder / "report.json").read_text())
        assert values["auc"] == pytest.approx(rows["AUC"][list(rows["model"]).index(values["model"])], abs=1e-6)
    (tmp_path / "copy.onnx").write_bytes(realbogus.runtimes.default_model().read_bytes())
    run(*words, tmp_path / "copy.onnx")
    names = list(Table.read(tmp_path / "out" / "comparison.csv", format="csv")["model"])
    assert names == ["realbogus-default 1 (default)", f"realbogus-default 1 ({tmp_path / 'copy.onnx'})"]
    assert "a model is named twice in default, default" in fails(*words, "default")


def test_evaluate_names_what_is_wrong_with_stamps_and_models(labelled, model, tmp_path, fails):
    stamps, out = StampSet.load(labelled), tmp_path / "out"

    def says(spoiled: StampSet) -> str:
        return fails("evaluate", "default", spoiled.save(tmp_path / "spoiled"), "-o", out)

    assert "labelled stamps are bogus: a report compares" in says(stamps.select(stamps.labels == 0))
    assert "labelled stamps are real: a report compares" in says(stamps.select(stamps.labels == 1))
    pixels = np.array(stamps.pixels)
    pixels[3] = np.nan
    first = stamps.catalogue["id"][3]
    assert f"hold NaN or infinite pixels, first {first}" in says(replace(stamps, pixels=pixels))
    assert "needs the channels" in says(replace(stamps, channels=tuple(f"{name}2" for name in stamps.channels)))
    assert "stamps" in says(stamps.select(np.arange(0)))
    other = shutil.copytree(model, tmp_path / "other")
    card = json.loads((other / "card.json").read_text())
    (other / "card.json").write_text(json.dumps(card | {"card_version": 99}))
    assert "has version 99, this realbogus reads 1" in fails("evaluate", other, labelled, "-o", out)
    (other / "card.json").write_text(json.dumps(card | {"architecture": "magic"}))
    assert "'magic': known are" in fails("evaluate", other, labelled, "-o", out)
    assert "there is no model at no-such" in fails("evaluate", "no-such", labelled, "-o", out)
    assert "there is no model at no-such" in fails("evaluate", "default", labelled, "-o", out, "--against", "no-such")
    assert not (out / "report.json").exists()


def test_night_end_to_end(night, tmp_path, capsys):
    out = tmp_path / "out"
    run("night", night / "frames", "-o", out, "--also", "csv, votable", "--inject", 3, "--jobs", 1, "--members", 3,
        "--seed", 5, "--threshold", 0.4, *TELESCOPE)  # fmt: skip
    summary = json.loads((out / "summary.json").read_text())
    rows = read_parquet(out / "candidates.parquet")
    assert summary["frames"]["used"] == 4 and summary["injected"]["n"] == 12
    assert summary["settings"]["seed"] == 5 and summary["threshold"] == 0.4
    assert len(Table.read(out / "candidates.csv")) == len(Table.read(out / "candidates.vot")) == len(rows) > 0
    assert (np.diff(np.ma.filled(np.ma.asarray(rows["score"]), -1)) <= 0).all()
    said = capsys.readouterr().out
    assert "4 of 4 frames used" in said and "injected 12, detected" in said
    assert f"report: {out / 'report.html'}" in said.splitlines()
    assert "<svg" in (out / "report.html").read_text()


def test_train_writes_a_model_and_its_test(model):
    card = load_classifier(model).card
    assert card.architecture == "compact" and card.config["training"]["epochs"] == 1
    assert (model / "history.csv").is_file() and any((model / "test").iterdir())


def test_every_value_of_a_recipe_has_a_flag(labelled, tmp_path, fails):
    words = ["--model.architecture", "compact", "--model.options", "{widths: [4, 4]}", "--preprocess.size", "32"]
    words += ["--training.lr", "1e-3", "--training.augment", "[symmetry]", "--training.tensorboard", "false"]
    words += ["--split.fractions", "[0.6, 0.2, 0.2]", "--seed", "4"]
    # a flag wins over --set
    run("train", labelled, "-o", tmp_path / "a", *words, "--training.epochs", 1, "--set", "training.epochs=7")
    resolved = load_classifier(tmp_path / "a").card.config
    assert resolved["seed"] == 4 and resolved["split"]["fractions"] == [0.6, 0.2, 0.2]
    assert resolved["model"]["options"] == {"widths": [4, 4]} and resolved["preprocess"]["size"] == 32
    recipe = resolved["training"]
    assert (recipe["epochs"], recipe["lr"], recipe["augment"], recipe["tensorboard"]) == (1, 1e-3, ["symmetry"], False)
    assert "training.epochs is 'many'" in fails("train", labelled, "-o", tmp_path / "b", "--training.epochs", "many")
    assert "training.loss" in fails("train", labelled, "-o", tmp_path / "b", "--training.loss", 3)


def test_train_starts_afresh_when_told(labelled, tmp_path, fails, capsys):
    out, words = tmp_path / "m", ["--set", *TINY]
    run("train", labelled, "-o", out, *words)
    said = capsys.readouterr().out
    card = load_classifier(out).card
    if card.calibration is None:
        assert "no calibration in the card: the validation side holds" in said
    else:
        assert f"calibration in the card: beta, fitted on {card.calibration['real']} real" in said
    (out / "test" / "old.txt").write_text("of the earlier model")
    other = [*words, "training.lr=1e-3"]
    assert "another configuration" in fails("train", labelled, "-o", out, *other)
    run("train", labelled, "-o", out, *other, "--restart")
    assert load_classifier(out).card.config["training"]["lr"] == 1e-3
    assert (out / "test").is_dir() and not (out / "test" / "old.txt").exists()


def test_a_card_says_which_sides_were_handed_in(labelled, tmp_path, fails):
    run("split", labelled, "-o", tmp_path / "sides", "--by", "stamp", "--allow-leakage", "--table-only")
    words = ["--parts", tmp_path / "sides" / "split.parquet", "--set", *TINY, "model.threshold=0.7"]
    run("train", labelled, "-o", tmp_path / "m", *words, "--bag", 1)
    cards = [load_classifier(tmp_path / "m").card, load_classifier(tmp_path / "m").members[0].card]
    assert [card.threshold for card in cards] == [0.7, 0.7]
    told = cards[1].config["split"]
    stamps = StampSet.load(labelled)
    side = np.asarray(read_parquet(tmp_path / "sides" / "split.parquet")["side"])
    sources = [set(stamps.catalogue["source"][side == name]) for name in ("train", "valid", "test")]
    torn = any(sources[one] & sources[other] for one, other in ((0, 1), (0, 2), (1, 2)))
    assert (told["by"], told["allow_leakage"]) == ("split.parquet", torn)
    assert told["fractions"] == pytest.approx([0.7, 0.1, 0.2], abs=0.05)
    row = int(np.flatnonzero(side == "test")[0])
    pixels = np.array(stamps.pixels)
    pixels[row, 0, 0, 0] = np.nan
    replace(stamps, pixels=pixels).save(tmp_path / "spoiled")
    # the test side is looked at before the hours of training, not after
    told = fails("train", tmp_path / "spoiled", "-o", tmp_path / "n", *words)
    assert f"NaN or infinite pixels: {stamps.catalogue['id'][row]};" in told
    assert not (tmp_path / "n").exists()


def test_a_flag_that_is_given_twice_counts_twice(labelled, tmp_path):
    single = [word for value in TINY for word in ("--set", value)]
    run("train", labelled, "-o", tmp_path / "m", *single)
    config = load_classifier(tmp_path / "m").card.config
    for value in TINY:
        key, _, wanted = value.partition("=")
        found = config
        for name in key.split("."):
            found = found[name]
        assert str(found) == wanted


def test_a_model_may_lie_beside_its_stamps_but_not_in_them(labelled, tmp_path, fails):
    place = shutil.copytree(labelled, tmp_path / "stamps")
    run("train", place, "-o", tmp_path, "--set", *TINY)
    assert "holds a stamp set" in fails("train", place, "-o", place, "--set", *TINY, "--restart")
    assert len(StampSet.load(place)) == len(StampSet.load(labelled))


@pytest.mark.parametrize(
    "words",
    [["train", "s", "-o", "m", "--training.epoch", "3"], ["score", "s", "-o", "t.csv", "--mod", "x"],
     ["evaluate", "m", "s", "-o", "r", "--thresh", "0.5"], ["night", "f", "-o", "o", "--thresh", "0.5"],
     ["networks", "--no-sp"]],
    ids=lambda words: words[0],
)  # fmt: skip
def test_half_a_flag_is_none(words, capsys):
    with pytest.raises(SystemExit) as left:
        main(words)
    assert left.value.code == 2
    said = capsys.readouterr().err
    assert "nrecognized arguments" in said
    if words[0] == "train":
        assert "[--training.epochs VALUE]" in said  # the known ones are listed


def test_nothing_is_a_value_too(labelled, tmp_path, fails):
    said = fails("train", labelled, "-o", tmp_path / "x", "--training.epochs", "null")
    assert "training.epochs is None" in said and not (tmp_path / "x").exists()


def test_a_bag_is_trained_measured_and_exported(labelled, tmp_path, fails):
    run("train", labelled, "-o", tmp_path / "bag", "--members", "compact,compact", "--set", *TINY)
    bag = load_classifier(tmp_path / "bag")
    assert [member.card.name for member in bag.members] == ["compact", "compact"]
    assert bag.card.architecture == "ensemble" and (tmp_path / "bag" / "test" / "report.json").is_file()
    run("export", tmp_path / "bag", "-o", tmp_path / "onnx")
    for source, name in ((tmp_path / "bag", "a.csv"), (tmp_path / "onnx", "b.csv")):
        run("score", labelled, "-o", tmp_path / name, "--model", source)
    one, other = (Table.read(tmp_path / name)["score"] for name in ("a.csv", "b.csv"))
    np.testing.assert_allclose(other, one, atol=1e-4)
    run("train", labelled, "-o", tmp_path / "two", "--bag", 2, "--set", *TINY)
    assert len(load_classifier(tmp_path / "two").members) == 2
    assert "--bag 0" in fails("train", labelled, "-o", tmp_path / "x", "--bag", 0)
    assert "known are" in fails("train", labelled, "-o", tmp_path / "x", "--members", "compact,magic", "--set", *TINY)


def test_export_scores_like_the_model(model, labelled, tmp_path):
    run("export", model, "-o", tmp_path / "model.onnx")
    for source, name in ((model, "a.csv"), (tmp_path / "model.onnx", "b.csv")):
        run("score", labelled, "-o", tmp_path / name, "--model", source)
    one, other = (Table.read(tmp_path / name)["score"] for name in ("a.csv", "b.csv"))
    np.testing.assert_allclose(other, one, atol=1e-4)


def test_options_come_from_a_file_as_well(tmp_path):
    (tmp_path / "options.yaml").write_text(f"frames: 1\nsize: [128, 128]\nout: {tmp_path / 'small'}\n")
    run("simulate", "--config", tmp_path / "options.yaml")
    assert len(list((tmp_path / "small" / "frames").iterdir())) == 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--telescope", "hubble"], "unknown telescope 'hubble': known are generic, mini-sitian"),
        (["--telescope", "no/such.toml"], "no/such.toml cannot be read"),
        (["--method", "magic"], "unknown subtraction method 'magic': known are alard-lupton"),
        (["--detector", "magic"], "unknown detector 'magic': known are sep"),
        (["--also", "pdf"], "unknown format pdf: known are csv"),
        (["--jobs", "0"], "jobs 0"),
        (["--threshold", "1.5"], "threshold 1.5: scores lie in 0 to 1"),
        (["--model", "no-such.onnx"], "no-such.onnx"),
        (["--known", "no-such.csv"], "no-such.csv cannot be read"),
        (["--reference", "no-such.fits"], "reference no-such.fits is no file"),
        (["--inject-snr", "50", "5"], "two rising numbers"),
        (["--inject", "-1"], "inject -1"),
        (["--members", "0"], "members 0"),
        (["--completeness", "1"], "completeness 1"),
    ],
)
def test_night_refuses_options_before_any_work(night, tmp_path, fails, options, says):
    assert says in fails("night", night / "frames", "-o", tmp_path / "out", *options)
    assert not (tmp_path / "out" / "candidates.parquet").exists()


@pytest.mark.parametrize("verb", ["night", "reference"])
def test_a_folder_without_frames_is_an_error(verb, tmp_path, fails):
    out = tmp_path / "out.fits"
    assert "nowhere is no folder" in fails(verb, "nowhere", "-o", out)
    (tmp_path / "empty").mkdir()
    assert "no FITS frame in" in fails(verb, tmp_path / "empty", "-o", out)


def test_a_terminal_that_cannot_show_a_name_ends_nothing(night, tmp_path):
    folder = tmp_path / "frames"
    shutil.copytree(night / "frames", folder)
    (folder / os.fsdecode(b"n\xe9.fits")).write_bytes(b"junk")
    words = ["night", folder, "-o", tmp_path / "out", *TELESCOPE]
    # a locale of UTF-8 lets no byte through that is none
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}
    done = subprocess.run(
        [sys.executable, "-m", "realbogus.cli", *map(str, words)], env=environment, capture_output=True
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    assert b"failed n\\udce9.fits" in done.stdout


def test_a_file_that_is_not_what_it_should_be(frame, difference, detections, labelled, cuts, tmp_path, fails):
    out, junk, table = tmp_path / "out.csv", tmp_path / "junk.fits", tmp_path / "bare.csv"
    junk.write_text("junk")
    Table({"a": [1]}).write(table)
    assert "not a FITS file" in fails("subtract", frame, junk, "-o", out)
    assert "no file no-such.fits" in fails("subtract", "no-such.fits", frame, "-o", out)
    assert "not a FITS file" in fails("inject", junk, "-o", out)
    assert "no difference image of ours" in fails("detect", frame, "-o", out)
    assert "no difference image of ours" in fails("cut", frame, detections, "-o", out)
    assert "expected x and y in pixels" in fails("cut", difference, table, "-o", out)
    assert "cannot be read as a table" in fails("cut", difference, "no-such.csv", "-o", out)
    assert "there is no file no-such.parquet" in fails("cut", difference, "no-such.parquet", "-o", out)
    for words in (["evaluate", "default", tmp_path], ["train", tmp_path]):
        assert "is no readable stamp set" in fails(*words, "-o", out)
    assert "there is no model at no-such" in fails("score", labelled, "--model", "no-such", "-o", out)
    assert "is no ONNX model" in fails("evaluate", junk, labelled, "-o", tmp_path / "report")
    assert "is no model" in fails("export", "no-such", "-o", out)
    for words in (["evaluate", "default", cuts], ["train", cuts]):
        assert "stamps has a label" in fails(*words, "-o", tmp_path / "report")
    assert not out.exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["training.epoch=3"], "unknown key 'training.epoch': did you mean 'epochs'?"),
        (["training.epochs"], "write KEY=VALUE"),
        (["training.epochs=many"], "training.epochs is 'many'"),
        (["model.architecture=magic"], "'magic': known are"),
        (["preprocess.colour=1"], "colour"),
        (["training.loss=magic"], "'magic'"),
    ],
)
def test_train_refuses_unknown_overrides(labelled, tmp_path, fails, options, says):
    assert says in fails("train", labelled, "-o", tmp_path / "model", "--set", *TINY, *options)


def test_train_refuses_a_recipe_it_cannot_read(labelled, tmp_path, fails):
    recipe = tmp_path / "recipe.toml"
    assert "cannot read the configuration" in fails("train", labelled, "-o", tmp_path, "--recipe", recipe)
    recipe.write_text("epochs = 3\n")
    assert "unknown key 'epochs'" in fails("train", labelled, "-o", tmp_path, "--recipe", recipe)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["subtract", "{frame}", "{frame}", "--method", "magic"], "unknown subtraction method 'magic'"),
        (["subtract", "{frame}", "{frame}", "--telescope", "hubble"], "unknown telescope 'hubble'"),
        (["detect", "{difference}", "--detector", "magic"], "unknown detector 'magic'"),
        (["detect", "{difference}", "--detection-threshold", "-1"], "must be positive"),
        (["inject", "{frame}", "--inject", "-3"], "n >= 0"),
        (["inject", "{frame}", "--inject-snr", "9", "5"], "low <= high"),
        (["evaluate", "default", "{labelled}", "--threshold", "-0.1"], "threshold -0.1"),
        (["evaluate", "default", "{labelled}", "--prevalence", "1.5"], "prevalence 1.5 is not in [0, 1]"),
        (["evaluate", "default", "{labelled}", "--specificity", "99.25"], "specificity 99.25 is not in [0, 1]"),
        (["evaluate", "default", "{labelled}", "--draws", "-1"], "draws -1"),
        (["simulate", "--preset", "magic"], "unknown simulation preset 'magic'"),
        (["simulate", "--frames", "0"], "at least 1 frame"),
        (["simulate", "--scale", "huge"], "known are paper, small, smoke"),
        (["simulate", "--scale", "small", "--preset", "varied"], "a fixed set of the preset mini-sitian"),
        (["simulate", "--stamps", "-1"], "stamps -1"),
        (["simulate", "--stamps", "1", "--jobs", "0"], "jobs 0"),
    ],
)
def test_an_impossible_choice_is_named(frame, difference, labelled, tmp_path, fails, words, says):
    places = {"frame": frame, "difference": difference, "labelled": labelled}
    assert says in fails(*[word.format(**places) for word in words], "-o", tmp_path / "out.csv")


def test_a_table_of_an_unknown_kind_is_refused_before_any_work(labelled, tmp_path, fails):
    says = "write a table as .parquet, .csv, .ecsv, .vot"
    assert says in fails("score", labelled, "-o", tmp_path / "scores.txt")
    assert says in fails("detect", "no-such.fits", "-o", tmp_path / "found")


def test_an_unwritable_place_is_an_error(
    night, frame, reference, difference, detections, labelled, cuts, model, blocked, fails
):
    verbs = {
        "night": [night / "frames", "--jobs", 1],
        "simulate": ["--frames", 1, "--size", 128, 128],
        "reference": [night / "frames", "--members", 2],
        "subtract": [frame, reference, "--method", "plain", *TELESCOPE],
        "detect": [difference],
        "cut": [difference, detections],
        "inject": [frame],
        "train": [labelled, "--set", *TINY],
        "evaluate": ["default", labelled],
        "score": [cuts],
        "export": [model],
        "bench": ["default"],
        "distil": ["default", labelled],
        "networks": ["--networks", "compact", "--no-speed"],
        "reproduce": [],
        "vet": [labelled, "--port", 0, "--no-browser"],
        "votes": [labelled, "--votes", "/dev/null"],
        "adapt": [frame],
        "assemble": [labelled, "--variables", detections],
        "screen": [labelled, "--network", "compact"],
        "audit": [labelled],
        "split": [labelled, "--by", "stamp", "--allow-leakage"],
        "check": ["draw", labelled, "-n", 5],
    }
    assert set(verbs) | WITHOUT_OUT == {verb.name for verb in VERBS}
    for verb, words in verbs.items():
        for suffix in ("csv", "parquet") if verb in ("detect", "score") else ("onnx",):
            said = fails(verb, *words, "-o", blocked / f"out.{suffix}")
            assert str(blocked) in said and ("cannot write" in said or "cannot be written" in said)
    said = fails("watch", night, "--work", blocked / "work", "--to", "sqlite://")
    assert str(blocked) in said and "cannot write" in said


def test_a_full_disk_is_an_error_without_a_traceback(frame, tmp_path, fails, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("realbogus.images.write.write_frame", full)
    assert "No space left on device" in fails("inject", frame, "-o", tmp_path / "out.fits")


def test_an_interrupted_run_says_how_to_go_on(frame, tmp_path, capsys, monkeypatch):
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("realbogus.images.read.read_frame", stop)
    assert main(["inject", str(frame), "-o", str(tmp_path / "out.fits")]) == 130
    assert "carries on" in capsys.readouterr().err


def _leaves(*words: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(list(words))
    return int(left.value.code or 0)


def test_version(capsys):
    assert _leaves("--version") == 0
    assert realbogus.__version__ in capsys.readouterr().out


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_every_verb_has_help(verb, capsys):
    assert _leaves(verb.name, "--help") == 0
    said = capsys.readouterr().out
    assert verb.help in " ".join(said.split())
    assert ("--out" in said) != (verb.name in WITHOUT_OUT)
    assert "(default: None)" not in said


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["frobnicate"], "invalid choice: 'frobnicate'"),
        (["night"], "required"),
        (["night", "frames", "-o", "out", "--inject", "many"], "inject"),
        *(
            (words, "seed")
            for words in (
                ["night", "frames", "-o", "out", "--seed", "-3"],
                ["inject", "a.fits", "-o", "b.fits", "--seed", "-3"],
                ["simulate", "-o", "out", "--seed", "-3"],
                ["split", "S", "-o", "out", "--seed", "-3"],
                ["reproduce", "-o", "out", "--seed", "-3"],
                ["vet", "S", "--seed", "-3"],
            )
        ),
        (["night", "frames", "-o", "out", "--no-such-option"], "no-such-option"),
        (["night", "--config", "no-such.yaml"], "no-such.yaml"),
    ],
)
def test_wrong_usage_has_a_status_of_its_own(words, says, capsys):
    assert _leaves(*words) == 2
    assert says in capsys.readouterr().err


def test_a_table_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    from realbogus.cli import images

    rows = Table({"id": ["a"]})
    for name in ("t.parquet", "t.csv", "t.ecsv", "t.vot"):
        images.write_table(rows, tmp_path / name)
        before = (tmp_path / name).read_bytes()

        def half(*words, **_):
            Path(words[-1]).write_bytes(b"half")
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(images, "write_parquet", half)
            patch.setattr(Table, "write", half)
            with pytest.raises(OutputError, match="No space left"):
                images.write_table(rows, tmp_path / name)
        assert (tmp_path / name).read_bytes() == before
