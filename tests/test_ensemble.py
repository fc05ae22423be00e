"""Ensembles: the vote, the folder, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from realbogus.calibration import fit_calibration
from realbogus.classifier import CARD_VERSION, Card, Classifier
from realbogus.ensemble import Ensemble, is_ensemble
from realbogus.ensemble_files import member_path
from realbogus.errors import InputError, ModelError, OutputError, ParityError
from realbogus.model import Model
from realbogus.preprocess import Preprocess
from realbogus.runtimes import load_classifier
from realbogus.runtimes.export_ensemble import export_ensemble
from realbogus.runtimes.onnx import OnnxClassifier
from realbogus.scoring import channel_indices

CHANNELS = ("difference", "science", "reference")
TINY = {"widths": [4, 4], "hidden": 4}


def model(name: str, seed: int, **preprocess: Any) -> Model:
    card = Card(name, "compact", TINY, preprocess=Preprocess(**preprocess))
    return Model.create(card, seed=seed)


@pytest.fixture(scope="module")
def one() -> Model:
    return model("one", 1)


@pytest.fixture(scope="module")
def other() -> Model:
    """A member that sees other channels, at another size."""
    return model("the other", 2, planes=("native:science", "native:difference"), channels=("science", "difference"),
                 size=48)  # fmt: skip


@pytest.fixture(scope="module")
def stamps() -> dict[str, NDArray[np.float32]]:
    rng = np.random.default_rng(0)
    pixels = (20 * rng.standard_normal((9, 3, 64, 64))).astype(np.float32)
    return {"pixels": pixels, "noise": rng.uniform(2, 9, 9), "fwhm": rng.uniform(2, 4, 9)}


def scores(classifier: Classifier, stamps: dict[str, NDArray[np.float32]]) -> NDArray[np.float32]:
    planes = channel_indices(CHANNELS, classifier.card.channels)
    return classifier.predict(stamps["pixels"][:, planes], noise=stamps["noise"], fwhm=stamps["fwhm"])


def test_the_vote_is_the_mean_of_the_members(one: Model, other: Model, stamps: Any, monkeypatch: Any) -> None:
    ensemble = Ensemble.of([one, other], name="both", threshold=0.7)
    assert isinstance(ensemble, Classifier)
    assert ensemble.card.channels == ("difference", "science") and ensemble.card.threshold == 0.7
    assert ensemble.card.preprocess.size == 48 and ensemble.card.preprocess.needs_fwhm
    expected = (scores(one, stamps) + scores(other, stamps)) / 2
    np.testing.assert_allclose(scores(ensemble, stamps), expected, atol=1e-6)
    monkeypatch.setattr("realbogus.ensemble._BATCH", 4)
    np.testing.assert_allclose(scores(ensemble, stamps), expected, atol=1e-6)
    nested = Ensemble.of([ensemble, one])
    np.testing.assert_allclose(scores(nested, stamps), (expected + scores(one, stamps)) / 2, atol=1e-6)
    assert scores(ensemble, {key: value[:0] for key, value in stamps.items()}).shape == (0,)


def test_calibrated_members_vote_with_probabilities(one: Model, other: Model, stamps: Any) -> None:
    rng = np.random.default_rng(3)
    values = rng.random(400)
    calibrations = [fit_calibration(values, rng.random(400) < values**power, method="platt") for power in (1, 3)]
    members = [
        member.with_card(replace(member.card, calibration=calibration.to_dict()))
        for member, calibration in zip((one, other), calibrations, strict=True)
    ]
    expected = sum(calibration(scores(m, stamps)) for calibration, m in zip(calibrations, members, strict=True)) / 2
    np.testing.assert_allclose(scores(Ensemble.of(members, calibrated=True), stamps), expected, atol=1e-6)
    assert np.abs(scores(Ensemble.of(members), stamps) - expected).max() > 1e-3
    with pytest.raises(ModelError, match="'one' has no calibration"):
        Ensemble.of([one, members[1]], calibrated=True)


def test_a_folder_gives_the_same_scores(one: Model, other: Model, stamps: Any, tmp_path: Path) -> None:
    ensemble = Ensemble.of([Ensemble.of([one, other], name="pair"), one], name="all").with_threshold(0.25)
    folder = ensemble.save(tmp_path / "all")
    card = json.loads((folder / "card.json").read_text())
    assert card["architecture"] == "ensemble"
    assert card["architecture_options"] == {"members": ["members/00-pair", "members/01-one"], "calibrated": False}
    assert (folder / "members/00-pair/members/01-the-other/weights.safetensors").is_file()
    assert not list(folder.rglob("*.part"))
    for back in (Ensemble.load(folder), load_classifier(folder), load_classifier(ensemble.save(folder))):
        assert isinstance(back, Ensemble) and back.card == ensemble.card
        assert np.array_equal(scores(back, stamps), scores(ensemble, stamps))
    assert is_ensemble(folder) and not is_ensemble(folder / "members/01-one") and not is_ensemble(tmp_path)


@pytest.fixture(scope="module")
def exported(one: Model, other: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    ensemble = Ensemble.of([Ensemble.of([one], name="alone"), other], name="both")
    folder = export_ensemble(ensemble, tmp_path_factory.mktemp("exported") / "both")
    again = export_ensemble(load_classifier(folder), folder.with_name("again"))  # type: ignore[arg-type]
    for name in ("members/00-alone/members/00-one.onnx", "members/01-the-other.onnx"):
        assert (again / name).read_bytes() == (folder / name).read_bytes()
    return folder


def test_an_export_cut_off_anywhere_leaves_no_folder_that_looks_whole(
    one: Model, stamps: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    folder = export_ensemble(Ensemble.of([one, one]), tmp_path / "both")
    old = scores(load_classifier(folder), stamps)
    again = Ensemble.of([model("one", 8), model("one", 9)])
    original, calls = OnnxClassifier.save, []

    def killed(self: OnnxClassifier, path: Path) -> Path:
        calls.append(path)
        if len(calls) == 2:
            raise Killed
        return original(self, path)

    # cut off between two members: the folder of old and new ones is none
    with monkeypatch.context() as patch:
        patch.setattr(OnnxClassifier, "save", killed)
        with pytest.raises(Killed):
            export_ensemble(again, folder)
    with pytest.raises(ModelError):
        load_classifier(folder)
    assert np.abs(scores(load_classifier(export_ensemble(again, folder)), stamps) - old).max() > 1e-4
    # an export that fails before anything is written leaves the old one as it was
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(ParityError):
        export_ensemble(Ensemble.of([one, one]), folder, tolerance=-1.0)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_an_exported_ensemble_scores_alike(exported: Path, one: Model, other: Model, stamps: Any) -> None:
    back = load_classifier(exported, threads=1)
    assert {path.suffix for path in exported.rglob("*") if path.is_file()} == {".json", ".onnx"}
    np.testing.assert_allclose(scores(back, stamps), (scores(one, stamps) + scores(other, stamps)) / 2, atol=1e-4)
    with pytest.raises(ModelError, match="is a file: open the ensemble with runtimes"):
        Ensemble.load(exported)


def test_an_exported_ensemble_needs_no_torch(exported: Path, one: Model, tmp_path: Path) -> None:
    folder = Ensemble.of([one]).save(tmp_path / "torch")
    code = f"""
import sys
for name in ("torch", "timm", "safetensors", "sklearn", "onnx"):
    sys.modules[name] = None
import numpy as np
from realbogus.errors import ModelError
from realbogus.runtimes import load_classifier
ensemble = load_classifier({str(exported)!r})
print(ensemble.predict(np.zeros((2, 2, 64, 64)), noise=1.0, fwhm=3.0).shape)
try:
    load_classifier({str(folder)!r})
except ModelError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("(2,)\n") and "needs torch" in done.stdout


class Stranger:
    """A classifier that cannot be saved."""

    card = Card("stranger", "none")

    def predict(self, pixels: Any, *, noise: Any = None, fwhm: Any = None) -> NDArray[np.float32]:
        return np.full(len(pixels), 0.5, np.float32)


def test_what_cannot_be_put_together(one: Model, stamps: Any, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no members"):
        Ensemble.of([])
    with pytest.raises(ModelError, match="no members"):
        Ensemble([], Card("x", "ensemble"))
    with pytest.raises(ModelError, match=r"what they need: the model needs the channels \['science'\]"):
        Ensemble([model("s", 1, planes=("native:science",), channels=("science",))], Card("x", "ensemble"))
    ensemble = Ensemble.of([one, Stranger()])
    with pytest.raises(InputError, match=r"expected \(N, 1, S, S\)"):
        ensemble.predict(stamps["pixels"])
    with pytest.raises(InputError, match="noise has shape"):
        ensemble.predict(stamps["pixels"][:, :1], noise=[1.0, 2.0], fwhm=3.0)
    with pytest.raises(InputError, match="NaN"):
        ensemble.predict(np.full((2, 1, 64, 64), np.nan), noise=1.0, fwhm=3.0)
    with pytest.raises(ModelError, match="a Stranger, which has no save"):
        ensemble.save(tmp_path / "x")
    assert not (tmp_path / "x" / "card.json").exists()
    with pytest.raises(ModelError, match="a Stranger, which has no export"):
        export_ensemble(ensemble, tmp_path / "y")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        Ensemble.of([one]).save(tmp_path / "file" / "x")


def with_members(members: Any) -> dict[str, Any]:
    return {"architecture_options": {"members": members, "calibrated": False}}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (with_members(["members/07-gone"]), "lacks its member 'members/07-gone'"),
        (with_members(["../outside"]), "lies outside it: it is not opened"),
        (with_members(["/etc"]), "lies outside it"),
        (with_members(["members/link"]), "lies outside it"),
        (with_members(["."]), "lies outside it"),
        (with_members([]), r"names no members \(\[\]\)"),
        (with_members("members"), "names no members"),
        ({"architecture_options": {}}, r"names no members \(None\)"),
        ({"architecture_options": {"members": ["members/00-one"], "calibrated": "no"}}, "says calibrated 'no'"),
        ({"metrics": []}, r"ensemble/card.json does not fit.*metrics is \[\]"),
        ({"card_version": CARD_VERSION + 1}, f"has version {CARD_VERSION + 1}"),
        ({"architecture": "compact"}, "no ensemble: open it with Model.load"),
    ],
)
def test_a_spoiled_folder_is_refused(one: Model, tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    one.save(tmp_path / "outside")
    folder = Ensemble.of([one]).save(tmp_path / "ensemble")
    (folder / "members" / "link").symlink_to(tmp_path / "outside")
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps(card | changes))
    with pytest.raises(ModelError, match=says):
        Ensemble.load(folder)


def test_a_damaged_member_is_named(one: Model, tmp_path: Path) -> None:
    folder = Ensemble.of([one]).save(tmp_path / "ensemble")
    weights = folder / member_path(0, "one") / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(ModelError, match=r"00-one.*damaged"):
        load_classifier(folder)
    with pytest.raises(ModelError, match="is no ensemble"):
        Ensemble.load(tmp_path / "nothing")
    with pytest.raises(ModelError, match="is no model"):
        load_classifier(tmp_path)
