"""A night on disk: readable, reproducible, complete."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

from realbogus.curation.catalogue import read_catalogue
from realbogus.errors import InputError, OutputError, UnknownNameError
from realbogus.images.read import find_frames, read_frame
from realbogus.images.simulate import simulate_night


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulate_night(tmp_path_factory.mktemp("sim") / "night", frames=5, size=(240, 340), seed=4)


def test_frames_are_what_a_telescope_writes(night: Path) -> None:
    files = find_frames(night / "frames")
    assert len(files) == 5
    with fits.open(files[0]) as hdus:
        hdus.verify("exception")
        assert hdus[0].data.dtype == np.uint16 and hdus[0].data.shape == (240, 340)
    times = []
    for file in files:
        frame = read_frame(file, "mini-sitian")
        assert (frame.gain, frame.saturation, frame.exposure_s) == pytest.approx((0.253, 65535, 300))
        assert frame.pixel_scale_arcsec == pytest.approx(0.862, rel=1e-4)
        assert frame.wcs is not None and frame.band in ("g", "r", "i")
        assert frame.mjd is not None
        times.append(frame.mjd)
    assert np.diff(times) * 86400 == pytest.approx(310, abs=0.1)


def test_truth_is_inside_and_the_wcs_points_at_it(night: Path) -> None:
    truth = Table.read(night / "truth.ecsv", format="ascii.ecsv")
    assert {"variable", "transient", "asteroid"} == set(truth["kind"])
    assert truth["x"].min() >= 0 and truth["x"].max() <= 339
    assert truth["y"].min() >= 0 and truth["y"].max() <= 239
    for name in set(truth["frame"]):
        rows = truth[truth["frame"] == name]
        wcs = WCS(fits.getheader(night / "frames" / name))
        x, y = wcs.all_world2pix(rows["ra"], rows["dec"], 0)
        assert np.hypot(x - rows["x"], y - rows["y"]).max() < 0.8
    moving = truth[truth["kind"] == "asteroid"]
    one = moving[moving["id"] == moving["id"][0]]
    if len(one) > 1:
        assert np.ptp(one["ra"]) > 0


def test_bright_transients_stand_in_the_pixels(night: Path) -> None:
    truth = Table.read(night / "truth.ecsv", format="ascii.ecsv")
    rows = truth[(truth["kind"] != "variable") & (truth["snr"] > 15)]
    assert len(rows)
    for row in rows:
        pixels = fits.getdata(night / "frames" / row["frame"]).astype(float)
        x, y = round(row["x"]), round(row["y"])
        box = pixels[max(0, y - 3) : y + 4, max(0, x - 3) : x + 4]
        assert box.mean() > np.median(pixels) + 0.3 * row["flux"] / 49


def test_settings_and_seed(night: Path, tmp_path: Path) -> None:
    settings = json.loads((night / "simulation.json").read_text())
    assert (settings["preset"], settings["seed"], settings["size"]) == ("mini-sitian", 4, [240, 340])
    assert len(settings["exposures"]) == 5
    done: list[tuple[int, int]] = []
    options = {"preset": "varied", "frames": 2, "size": (160, 200), "seed": 1}
    for name in ("a", "b"):
        simulate_night(tmp_path / name, progress=lambda k, n: done.append((k, n)), **options)  # type: ignore[arg-type]
    assert done[:2] == [(1, 2), (2, 2)]
    for file in sorted((tmp_path / "a").rglob("*.*")):
        assert file.read_bytes() == (tmp_path / "b" / file.relative_to(tmp_path / "a")).read_bytes()


def test_errors(night: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="mini-sitian, varied"):
        simulate_night(tmp_path, preset="lsst")
    with pytest.raises(InputError, match="at least 1 frame"):
        simulate_night(tmp_path, frames=0)
    with pytest.raises(OutputError, match="not empty"):
        simulate_night(night)


def test_what_is_known_beforehand_is_in_catalogues(night: Path) -> None:
    truth = Table.read(night / "truth.ecsv", format="ascii.ecsv")
    stars = read_catalogue(night / "variables.csv")
    assert len(stars) == len(set(truth["id"][truth["kind"] == "variable"]))
    first = truth[truth["kind"] == "variable"][0]
    assert f"V{first['id']}" in list(stars["name"]) and first["ra"] in list(stars["ra"])
    moving = read_catalogue(night / "asteroids.csv", moving=True)
    assert len(moving) == (truth["kind"] == "asteroid").sum()
    frames = {round(read_frame(file, "mini-sitian").mjd or 0.0, 5) for file in find_frames(night / "frames")}
    assert {round(float(mjd), 5) for mjd in moving["mjd"]} <= frames
