"""The main job, whole: counts in are counts out, one bad frame is one failed frame, runs repeat."""

import gzip
import json
import shutil
from functools import partial

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

import realbogus
from realbogus.errors import ConfigError, FrameError, InputError, OutputError, UnknownNameError
from realbogus.files import FolderLock
from realbogus.images.simulate import simulate_night
from realbogus.pipeline import products
from realbogus.pipeline.night import night
from realbogus.pipeline.settings import NightSettings
from realbogus.stamps import StampSet
from realbogus.tables import read_parquet


@pytest.fixture(scope="module")
def done(night_frames, classifier, tmp_path_factory):
    """One night with injections, in every format."""
    out = tmp_path_factory.mktemp("out")
    return night(
        night_frames, out, model=classifier, telescope="mini-sitian", inject=6, inject_snr=(10.0, 50.0), seed=3,
        also=("csv", "ecsv", "votable", "reg"),
    )  # fmt: skip


def test_the_function_is_at_the_top_of_the_package():
    assert realbogus.night is night


def test_counts_in_are_counts_out(done):
    summary = done.summary
    assert summary["frames"] == {"in": 5, "used": 5, "failed": {}}
    assert summary["detections"] == len(done.candidates) == summary["scored"] + summary["unscored"]
    injected, natural = summary["injected"], summary["natural"]
    assert injected["detected"] + natural["detections"] == summary["detections"]
    assert injected["n"] == 30 >= injected["detected"] >= injected["found"] > 20
    assert sum(row["n"] for row in injected["bins"]) == injected["n"]
    assert sum(row["found"] for row in injected["bins"]) == injected["found"]
    assert sum(row["n"] for row in natural["bins"]) == natural["detections"]
    assert injected["found"] + natural["above_threshold"] == summary["above_threshold"]
    assert {"survey", "reference", "subtract", "detect", "cut", "score", "total"} <= set(summary["seconds"])
    assert summary["peak_rss_mb"] > 50


def test_what_lies_in_the_output(done):
    names = {path.name for path in done.folder.iterdir()}
    assert names == {
        "candidates.parquet", "candidates.csv", "candidates.ecsv", "candidates.vot", "candidates.reg", "stamps",
        "summary.json", "report.html", "reference.fits",
    }  # fmt: skip
    assert json.loads((done.folder / "summary.json").read_text())["detections"] == len(done.candidates)
    stamps = StampSet.load(done.folder / "stamps")
    table = read_parquet(done.folder / "candidates.parquet")
    assert list(table["id"]) == list(stamps.catalogue["id"]) == list(done.candidates["id"])
    for name, kind in (("csv", "ascii.csv"), ("ecsv", "ascii.ecsv"), ("vot", "votable")):
        assert len(Table.read(done.folder / f"candidates.{name}", format=kind)) == len(table)


def test_the_list_is_ranked_and_says_what_made_it(done):
    rows = done.candidates
    score = rows["score"].filled(-1)
    assert (np.diff(score) <= 0).all()
    assert rows["rank"].tolist() == list(range(1, len(rows) + 1))
    assert (np.asarray(rows["real"]) == (score >= 0.5)).all()
    assert set(rows["model"]) == {"peaked"} and set(rows["threshold"]) == {0.5}


def test_stamps_are_those_of_their_rows(done):
    """The brightest injected source's stamp must peak where its row says: at the centre."""
    stamps = StampSet.load(done.folder / "stamps")
    rows = stamps.catalogue
    bright = np.flatnonzero(np.asarray(rows["injected"]) & (np.nan_to_num(rows["injected_snr"]) > 25))
    assert len(bright) >= 3
    for row in bright:
        # neighbours may be brighter, but not within a PSF
        y, x = np.unravel_index(np.abs(stamps.pixels[row, 0, 26:39, 26:39]).argmax(), (13, 13))
        assert abs(x - 6) <= 2 and abs(y - 6) <= 2


def test_positions_agree_with_the_sky(done, night_frames):
    """The world coordinates of a row, put through its frame's own WCS, give its pixel."""
    from realbogus.images.read import read_frame

    for name in set(done.candidates["frame"]):
        frame = read_frame(night_frames / name, "mini-sitian")
        mine = done.candidates[done.candidates["frame"] == name]
        x, y = frame.wcs.all_world2pix(mine["ra"], mine["dec"], 0)
        assert np.median(np.hypot(x - mine["x"], y - mine["y"])) < 0.5


def test_two_runs_with_one_seed_agree(done, night_frames, classifier, tmp_path):
    again = night(
        night_frames,
        tmp_path,
        model=classifier,
        telescope="mini-sitian",
        inject=6,
        inject_snr=(10.0, 50.0),
        seed=3,
    )
    for name in ("id", "x", "y", "score", "injected"):
        np.testing.assert_array_equal(np.asarray(again.candidates[name]), np.asarray(done.candidates[name]))


def test_calibration_leaves_the_night_untouched(night_frames, classifier, tmp_path):
    plain = night(night_frames, tmp_path / "a", model=classifier, telescope="mini-sitian")
    calibrated = night(
        night_frames, tmp_path / "b", model=classifier, telescope="mini-sitian", calibrate=True, completeness=0.9,
        inject_snr=(10.0, 50.0),
    )  # fmt: skip
    assert sorted(plain.candidates["id"]) == sorted(calibrated.candidates["id"])
    assert not np.asarray(calibrated.candidates["injected"]).any() and "injected" not in calibrated.summary
    check = calibrated.summary["calibration"]
    assert calibrated.summary["threshold"] == check["threshold"]
    assert check["sources"] >= 50 and 0.75 <= check["found_fraction"] <= 1.0


def test_a_reference_can_be_given_and_known_objects_are_flagged(done, night_frames, classifier, tmp_path):
    best = done.candidates[0]
    Table({"ra": [best["ra"]], "dec": [best["dec"]], "name": ["V* Test"]}).write(tmp_path / "known.csv")
    result = night(
        night_frames, tmp_path / "out", model=classifier, telescope="mini-sitian", seed=3, inject=6,
        inject_snr=(10.0, 50.0), reference=str(done.folder / "reference.fits"), known=tmp_path / "known.csv",
    )  # fmt: skip
    assert result.summary["frames"]["used"] == 5
    flagged = result.candidates[result.candidates["known"] == "V* Test"]
    assert len(flagged) >= 1 and np.hypot(flagged["x"][0] - best["x"], flagged["y"][0] - best["y"]) < 2


def test_one_bad_frame_of_ten_is_one_failed_frame(night_frames, classifier, tmp_path):
    folder = tmp_path / "frames"
    shutil.copytree(night_frames, folder)
    names = sorted(path.name for path in folder.iterdir())
    whole = (folder / names[0]).read_bytes()
    (folder / "truncated.fits").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.fits").write_bytes(b"")
    (folder / "text.fits").write_text("this is no FITS file")
    (folder / "cut.fits.gz").write_bytes(gzip.compress(whole)[:5000])
    rng = np.random.default_rng(1)
    fits.writeto(folder / "nostars.fits", rng.normal(900, 20, (320, 320)).astype(np.float32))
    fits.writeto(folder / "nan.fits", np.full((320, 320), np.nan, np.float32))
    fits.writeto(folder / "constant.fits", np.full((320, 320), 7, np.int16))
    fits.writeto(folder / "full.fits", np.where(rng.random((320, 320)) < 0.93, 65535, 900).astype(np.uint16))
    three = rng.normal(900, 20, (320, 320)).astype(np.float32)
    for x, y in ((60, 80), (200, 100), (150, 260)):
        yy, xx = np.mgrid[:320, :320]
        three += (20000 * np.exp(-((xx - x) ** 2 + (yy - y) ** 2) / 8)).astype(np.float32)
    fits.writeto(folder / "threestars.fits", three)
    result = night(folder, tmp_path / "out", model=classifier, telescope="mini-sitian")
    failed = result.summary["frames"]["failed"]
    assert result.summary["frames"]["used"] == 5 and result.summary["frames"]["in"] == 14
    assert set(failed) == {
        "truncated.fits", "empty.fits", "text.fits", "cut.fits.gz", "nostars.fits", "nan.fits", "constant.fits",
        "full.fits", "threestars.fits",
    }  # fmt: skip
    assert all(len(reason) > 20 and "unforeseen" not in reason for reason in failed.values()), failed
    page = (tmp_path / "out" / "report.html").read_text()
    assert all(name in page for name in failed)


def test_frames_of_another_field_do_not_overlap(night_frames, classifier, tmp_path):
    folder = tmp_path / "frames"
    shutil.copytree(night_frames, folder)
    other = simulate_night(tmp_path / "other", preset="mini-sitian", frames=1, size=(320, 320), seed=77)
    next((other / "frames").iterdir()).rename(folder / "elsewhere.fits")
    result = night(folder, tmp_path / "out", model=classifier, telescope="mini-sitian")
    assert set(result.summary["frames"]["failed"]) == {"elsewhere.fits"}
    assert result.summary["frames"]["used"] == 5


def test_where_no_frame_can_be_used_the_reasons_are_kept(classifier, tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    (folder / "empty.fits").write_bytes(b"")
    with pytest.raises(FrameError, match=r"none of the 1 frames could be used.*empty\.fits"):
        night(folder, tmp_path / "out", model=classifier)
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["frames"]["used"] == 0 and "empty.fits" in summary["frames"]["failed"]
    assert (tmp_path / "out" / "report.html").is_file()
    assert len(read_parquet(tmp_path / "out" / "candidates.parquet")) == 0


def test_a_single_frame_needs_a_reference(done, night_frames, classifier, tmp_path):
    one = sorted(night_frames.iterdir())[0]
    with pytest.raises(FrameError, match="give more frames of the field, or a reference"):
        night([one], tmp_path / "a", model=classifier, telescope="mini-sitian")
    result = night(
        [one], tmp_path / "b", model=classifier, telescope="mini-sitian", reference=str(done.folder / "reference.fits")
    )
    assert result.summary["frames"]["used"] == 1


def test_too_few_injections_leave_the_threshold_alone(night_frames, classifier, tmp_path):
    frames = sorted(night_frames.iterdir())[:2]
    result = night(
        frames, tmp_path, model=classifier, telescope="mini-sitian", calibrate=True, inject=2, inject_snr=(10.0, 50.0)
    )
    assert result.summary["threshold"] == 0.5 and "calibration" not in result.summary
    assert any("not calibrated" in warning for warning in result.summary["warnings"])


def test_frames_of_another_filter_are_named(night_frames, classifier, tmp_path):
    folder = tmp_path / "frames"
    shutil.copytree(night_frames, folder)
    odd = sorted(folder.iterdir())[2]
    with fits.open(odd, mode="update") as hdus:
        hdus[0].header["FILTER"] = "Halpha"
    result = night(folder, tmp_path / "out", model=classifier, telescope="mini-sitian")
    assert list(result.summary["frames"]["failed"]) == [odd.name]
    assert "run each filter on its own" in result.summary["frames"]["failed"][odd.name]


def test_names_that_look_alike_stay_apart(night_frames, classifier, tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    for frame, name in zip(
        sorted(night_frames.iterdir()), ("a b.fits", "a_b.fits", "目标.fits", "天区.fits"), strict=False
    ):
        shutil.copyfile(frame, folder / name)
    rows = night(folder, tmp_path / "out", model=classifier, telescope="mini-sitian").candidates
    assert len(set(rows["id"])) == len(rows) and len(set(rows["frame"])) == 4


def test_nobody_elses_files_are_touched(done, night_frames, classifier, tmp_path):
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "thesis.txt").write_text("mine")
    one = [sorted(night_frames.iterdir())[0]]
    reference = str(done.folder / "reference.fits")
    night(one, tmp_path, model=classifier, telescope="mini-sitian", reference=reference)
    assert (tmp_path / "work" / "thesis.txt").read_text() == "mine"
    (tmp_path / "b" / "stamps").mkdir(parents=True)
    with pytest.raises(OutputError, match="would be overwritten"):
        night(one, tmp_path / "b", model=classifier, telescope="mini-sitian", reference=reference)
    with pytest.raises(OutputError, match="lie among them"):
        night(night_frames, night_frames, model=classifier, telescope="mini-sitian")


def test_a_new_reference_under_an_old_name_is_a_new_job(done, tmp_path):
    copy = tmp_path / "reference.fits"
    shutil.copyfile(done.folder / "reference.fits", copy)
    settings = NightSettings(reference=str(copy))
    before = settings.fingerprint([], "m")
    assert settings.fingerprint([], "m") == before != settings.fingerprint([], "other")
    copy.write_bytes(copy.read_bytes() + b" ")
    assert settings.fingerprint([], "m") != before


def test_no_frame_at_all_with_injection_still_gives_reasons(classifier, tmp_path):
    (tmp_path / "empty.fits").write_bytes(b"")
    with pytest.raises(FrameError, match="none of the 2 frames"):
        night(
            [tmp_path / "empty.fits", tmp_path / "missing.fits"], tmp_path / "out", model=classifier, inject=3,
            calibrate=True, also=("reg", "csv", "votable"),
        )  # fmt: skip
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert set(summary["frames"]["failed"]) == {"empty.fits", "missing.fits"}
    assert summary["injected"]["n"] == 0


def test_wrong_options_are_refused_before_any_work(night_frames, classifier, tmp_path, monkeypatch):
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="no FITS"):
        night(tmp_path / "none", tmp_path / "o", model=classifier)
    with pytest.raises(InputError):
        night(tmp_path / "missing", tmp_path / "o", model=classifier)
    with pytest.raises(UnknownNameError, match=r"known are .*mini-sitian"):
        night(night_frames, tmp_path / "o", model=classifier, telescope="hubble")
    with pytest.raises(UnknownNameError, match="known are alard-lupton, hotpants, plain"):
        night(night_frames, tmp_path / "o", model=classifier, method="magic")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="hotpants on PATH"):
        night(night_frames, tmp_path / "o", model=classifier, method="hotpants")
    with pytest.raises(UnknownNameError, match="source-extractor"):
        night(night_frames, tmp_path / "o", model=classifier, detector="magic")
    with pytest.raises(ConfigError, match="known radius -1 arcsec"):
        night(night_frames, tmp_path / "o", model=classifier, known_radius_arcsec=-1.0)
    with pytest.raises(ConfigError, match="unknown format"):
        night(night_frames, tmp_path / "o", model=classifier, also=("xls",))
    with pytest.raises(InputError, match="no file"):
        night(night_frames, tmp_path / "o", model=classifier, reference="nothing.fits")
    (tmp_path / "c.csv").write_text("star,mag\na,1\n")
    with pytest.raises(InputError, match="expected `ra` and `dec`"):
        night(night_frames, tmp_path / "o", model=classifier, known=tmp_path / "c.csv")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="choose another output"):
        night(night_frames, tmp_path / "file" / "o", model=classifier)
    with pytest.raises(ConfigError, match="inject-snr"):
        NightSettings(inject_snr=(50.0, 10.0))
    with pytest.raises(ConfigError, match="completeness"):
        NightSettings(completeness=1.5)
    assert not (tmp_path / "o").exists()


def test_a_night_cut_off_carries_on_and_ends_with_the_same_list(done, night_frames, classifier, tmp_path, monkeypatch):
    """Die after two frames; the second run must not work on them again."""
    from realbogus.pipeline import work as module

    real, calls = module.process_frame, []

    def dying(job):
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(job.name)
        return real(job)

    choices = {"telescope": "mini-sitian", "inject": 6, "inject_snr": (10.0, 50.0), "seed": 3}
    monkeypatch.setattr(module, "process_frame", dying)
    with pytest.raises(KeyboardInterrupt):
        night(night_frames, tmp_path, model=classifier, **choices)
    kept = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob(".realbogus-work/*/frames/*/*/facts.json")}
    assert len(list(tmp_path.glob(".realbogus-work/*/frames/*/*/facts.json"))) == 2 and kept
    read = []
    monkeypatch.setattr(module, "process_frame", real)
    monkeypatch.setattr("realbogus.pipeline.chain.find_candidates", _spy(read))
    again = night(night_frames, tmp_path, model=classifier, **choices)
    assert len(read) == 3
    np.testing.assert_array_equal(np.asarray(again.candidates["id"]), np.asarray(done.candidates["id"]))
    np.testing.assert_array_equal(np.asarray(again.candidates["score"]), np.asarray(done.candidates["score"]))
    assert not list(tmp_path.glob(".realbogus-work*"))


def _spy(calls):
    from realbogus.images.candidates import find_candidates

    def counted(science, *args, **kwargs):
        calls.append(science.name)
        return find_candidates(science, *args, **kwargs)

    return counted


@pytest.mark.parametrize("older", [False, True])
def test_a_night_that_ends_amid_the_stamps_carries_on(done, night_frames, classifier, tmp_path, monkeypatch, older):
    def night_of_one(seed):
        return night(
            [sorted(night_frames.iterdir())[0]], tmp_path / "out", model=classifier, telescope="mini-sitian",
            reference=str(done.folder / "reference.fits"), seed=seed,
        )  # fmt: skip

    def full(table, path):
        raise OSError(28, "No space left on device")

    before = None
    if older:
        night_of_one(1)
        before = StampSet.load(tmp_path / "out" / "stamps").pixels.tobytes()
    with monkeypatch.context() as patch:
        patch.setattr(products, "write_parquet", full)
        with pytest.raises(OSError, match="No space left"):
            night_of_one(2)
    if older:
        assert StampSet.load(tmp_path / "out" / "stamps").pixels.tobytes() == before
    result = night_of_one(2)
    assert len(StampSet.load(tmp_path / "out" / "stamps")) == len(result.candidates)
    assert not list((tmp_path / "out").glob(".stamps*"))


def test_frames_are_compared_with_the_filter_of_the_nights_own_reference(done, night_frames, classifier, tmp_path):
    one = tmp_path / "one.fits"
    shutil.copy(sorted(night_frames.iterdir())[0], one)
    with fits.open(one, mode="update") as hdus:
        hdus[0].header["FILTER"] = "Halpha"
    ours = done.folder / "reference.fits"
    with pytest.raises(FrameError, match=r"its filter is Halpha, the reference's is i: run each filter on its own"):
        night([one], tmp_path / "a", model=classifier, telescope="mini-sitian", reference=str(ours))
    # the reference's filter is the night's, though most frames have another
    mixed = [one, tmp_path / "two.fits", sorted(night_frames.iterdir())[1]]
    shutil.copy(one, mixed[1])
    result = night(mixed, tmp_path / "c", model=classifier, telescope="mini-sitian", reference=str(ours))
    assert result.summary["frames"]["used"] == 1 and sorted(result.summary["frames"]["failed"]) == [
        "one.fits",
        "two.fits",
    ]
    # in an image of somebody else the filter may only have another name
    deep = _of_somebody_else(ours, tmp_path / "deep.fits")
    result = night([one], tmp_path / "b", model=classifier, telescope="mini-sitian", reference=str(deep))
    assert result.summary["frames"]["used"] == 1


def test_a_users_reference_in_the_output_folder_stays_as_it_is(done, night_frames, classifier, tmp_path):
    _of_somebody_else(done.folder / "reference.fits", tmp_path / "reference.fits")
    before = (tmp_path / "reference.fits").read_bytes()
    one = [sorted(night_frames.iterdir())[0]]
    night(one, tmp_path, model=classifier, telescope="mini-sitian", reference=str(tmp_path / "reference.fits"))
    assert (tmp_path / "reference.fits").read_bytes() == before


def test_places_are_icrs_whatever_the_axes_are(night_frames, classifier, tmp_path):
    """Declination first, galactic axes, and a frame of coordinates that nobody knows."""
    places = {}
    for kind in ("plain", "swapped", "galactic", "unknown"):
        folder = tmp_path / kind
        folder.mkdir()
        for path in sorted(night_frames.iterdir())[:2]:
            shutil.copy(path, folder)
            with fits.open(folder / path.name, mode="update") as hdus:
                _turn_axes(hdus[0].header, kind)
        places[kind] = night(folder, tmp_path / f"out-{kind}", model=classifier, telescope="mini-sitian").candidates
    plain = places["plain"]
    assert len(plain) and np.isfinite(plain["ra"]).all()
    for kind in ("swapped", "galactic"):
        order = {f"{row['frame']} {row['x']:.2f} {row['y']:.2f}": row for row in places[kind]}
        met = [(row, order[key]) for row in plain if (key := f"{row['frame']} {row['x']:.2f} {row['y']:.2f}") in order]
        assert len(met) > 0.8 * len(plain)
        for row, other in met:
            assert abs(row["ra"] - other["ra"]) < 1e-4 and abs(row["dec"] - other["dec"]) < 1e-4
    assert len(places["unknown"]) and np.isnan(places["unknown"]["ra"]).all()


def _of_somebody_else(reference, path):
    """Write the image of a reference of ours as one without our layout."""
    with fits.open(reference) as hdus:
        header = hdus["SCI"].header.copy()
        del header["RBREF"]
        fits.PrimaryHDU(hdus["SCI"].data, header).writeto(path)
    return path


def _turn_axes(header, kind):
    if kind == "swapped":
        for stem in ("CTYPE{}", "CRVAL{}", "CUNIT{}"):
            one, two = stem.format(1), stem.format(2)
            if one in header:
                header[one], header[two] = header[two], header[one]
        rows = [[header.get(f"CD{i}_{j}", header.get(f"PC{i}_{j}", float(i == j))) for j in (1, 2)] for i in (1, 2)]
        stem = "CD" if "CD1_1" in header else "PC"
        for i in (1, 2):
            for j in (1, 2):
                header[f"{stem}{i}_{j}"] = rows[2 - i][j - 1]
        if "CDELT1" in header:
            header["CDELT1"], header["CDELT2"] = header["CDELT2"], header["CDELT1"]
    elif kind == "galactic":
        from astropy.wcs import WCS
        from astropy.wcs.utils import fit_wcs_from_points

        wcs = WCS(header)
        x, y = (v.ravel() for v in np.meshgrid(np.linspace(0, 319, 9), np.linspace(0, 319, 9)))
        fitted = fit_wcs_from_points((x, y), wcs.pixel_to_world(x, y).galactic, projection="TAN")
        for key in list(header):
            if key.startswith(("CD1", "CD2", "PC1", "PC2", "CDELT", "CTYPE", "CRVAL", "CRPIX", "RADESYS", "EQUINOX")):
                del header[key]
        header.update(fitted.to_header())
    elif kind == "unknown":
        header["RADESYS"] = "GAPPT"


def test_two_frames_of_two_filters_are_told_apart(night_frames, classifier, tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    for path in sorted(night_frames.iterdir())[:2]:
        shutil.copy(path, folder)
    first, second = sorted(folder.iterdir())
    with fits.open(second, mode="update") as hdus:
        hdus[0].header["FILTER"] = "z"
    with pytest.raises(FrameError, match="give more frames of the field"):
        night(folder, tmp_path / "out", model=classifier, telescope="mini-sitian")
    failed = json.loads((tmp_path / "out" / "summary.json").read_text())["frames"]["failed"]
    assert "only this frame can be used" in failed[first.name] and "its filter is z" in failed[second.name]


def test_what_would_spoil_an_earlier_result_is_refused_before_it_is_touched(done, night_frames, classifier, tmp_path):
    """A reference that is none, votes among the stamps, another run at work."""
    out = tmp_path / "out"
    shutil.copytree(done.folder, out)
    before = {path: path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}
    (tmp_path / "bad.fits").write_bytes(b"no reference")
    again = partial(night, night_frames, out, model=classifier, telescope="mini-sitian")
    with pytest.raises(InputError, match=r"bad\.fits cannot be used: .*not a FITS file"):
        again(reference=str(tmp_path / "bad.fits"))
    with FolderLock(out), pytest.raises(OutputError, match="another run is writing to"):
        again()
    assert {path: path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()} == before
    votes = out / "stamps" / "votes.jsonl"
    votes.write_text("{}")
    with pytest.raises(OutputError, match=r"votes\.jsonl, which would be lost"):
        again()
    assert votes.read_text() == "{}"


def test_votes_that_are_cast_while_a_night_runs_stay(done, night_frames, classifier, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(done.folder, out)
    (out / "stamps" / ".DS_Store").write_text("a file manager's")
    votes = out / "stamps" / "votes.jsonl"
    again = partial(
        night, night_frames, out, model=classifier, telescope="mini-sitian", inject=6, inject_snr=(10.0, 50.0), seed=3
    )
    with pytest.raises(OutputError, match=r"votes\.jsonl, which would be lost: move it away"):
        again(progress=lambda stage, number, of: votes.write_text("{}"))
    assert votes.read_text() == "{}" and len(StampSet.load(out / "stamps"))
    votes.rename(tmp_path / "votes.jsonl")
    again()
    assert read_parquet(out / "candidates.parquet")["id"].tolist() == list(done.candidates["id"])
