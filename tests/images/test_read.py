"""read_frame against FITS files as telescopes write them."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from numpy.typing import NDArray

from realbogus.errors import FrameError, InputError, OutputError
from realbogus.images.fits_file import load_fits
from realbogus.images.frame import BAD, NODATA, SATURATED
from realbogus.images.read import find_frames, read_frame
from realbogus.images.write import write_frame


def sky(shape: tuple[int, int] = (80, 96), level: float = 1000.0, seed: int = 1) -> NDArray[np.float64]:
    """Rounded sky with one bright star, so that all integer types hold the same."""
    rng = np.random.default_rng(seed)
    image = rng.normal(level, 10, shape)
    y, x = np.mgrid[: shape[0], : shape[1]]
    image += 8000 * np.exp(-((x - 40.3) ** 2 + (y - 30.1) ** 2) / 5)
    return np.rint(image)


@pytest.mark.parametrize("kind", ["int16", "uint16", "int32", "uint8", "float32", "float64"])
@pytest.mark.parametrize("suffix", [".fits", ".fits.gz", ".fits.fz"])
def test_number_types_and_containers(tmp_path: Path, kind: str, suffix: str) -> None:
    image = sky() / (50 if kind == "uint8" else 1)
    data = np.rint(image).astype(kind) if kind[0] != "f" else image.astype(kind)
    path = tmp_path / f"a{suffix}"
    if suffix == ".fits.fz":
        fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(data, compression_type="GZIP_1", quantize_level=0)]).writeto(
            path
        )
    else:
        fits.writeto(path, data)
    frame = read_frame(path)
    np.testing.assert_array_equal(frame.pixels, data.astype(np.float32))
    assert frame.pixels.dtype == np.float32 and frame.pixels.dtype.isnative
    assert frame.pixels.flags.c_contiguous and frame.mask.dtype == np.uint8
    assert frame.name == path.name


def test_scaled_integers(tmp_path: Path) -> None:
    hdu = fits.PrimaryHDU(sky().astype(np.int16))
    hdu.header["BSCALE"], hdu.header["BZERO"] = 0.5, 100.0
    raw = hdu.data.copy()
    hdu.scale("int16", bscale=0.5, bzero=100)
    hdu.writeto(tmp_path / "a.fits")
    np.testing.assert_allclose(read_frame(tmp_path / "a.fits").pixels, raw, atol=0.26)


def test_extensions_tables_and_cubes(tmp_path: Path) -> None:
    first, wanted = sky(seed=1), sky(seed=2)
    table = fits.BinTableHDU.from_columns([fits.Column("a", "E", array=np.ones(3))])
    plain = fits.HDUList([fits.PrimaryHDU(), table, fits.ImageHDU(first), fits.ImageHDU(wanted)])
    plain.writeto(tmp_path / "a.fits")
    np.testing.assert_array_equal(read_frame(tmp_path / "a.fits").pixels, first.astype("f4"))
    named = fits.HDUList([fits.PrimaryHDU(first), fits.ImageHDU(wanted, name="SCI")])
    named.writeto(tmp_path / "b.fits")
    np.testing.assert_array_equal(read_frame(tmp_path / "b.fits").pixels, wanted.astype("f4"))
    fits.writeto(tmp_path / "c.fits", first[None])
    np.testing.assert_array_equal(read_frame(tmp_path / "c.fits").pixels, first.astype("f4"))
    fits.writeto(tmp_path / "d.fits", np.stack([first, first]))
    with pytest.raises(FrameError, match="no two-dimensional image"):
        read_frame(tmp_path / "d.fits")


def test_missing_pixels(tmp_path: Path) -> None:
    image = sky().astype(np.float64)
    image[3, 4], image[5, 6], image[7, 8], image[9, 10] = np.nan, np.inf, -3.4e38, -1e300
    image[60:, :20] = 0  # padding beside a footprint
    fits.writeto(tmp_path / "a.fits", image)
    frame = read_frame(tmp_path / "a.fits")
    lost = frame.mask & NODATA != 0
    assert lost[3, 4] and lost[5, 6] and lost[7, 8] and lost[9, 10] and lost[60:, :20].all()
    assert lost.sum() == 4 + 20 * 20
    assert np.isfinite(frame.pixels).all() and abs(frame.pixels[3, 4] - 1000) < 5


def test_header_facts(tmp_path: Path) -> None:
    header = fits.Header(
        {"GAIN": 1.7, "RDNOISE": 4.2, "SATURATE": 50000.0, "EXPTIME": 30.0, "FILTER": "r", "PIXSCALE": 0.9}
    )
    header["DATE-OBS"], header["TIME-OBS"] = "2017-12-20", "12:00:00"
    fits.writeto(tmp_path / "a.fits", sky().astype(np.uint16), header)
    frame = read_frame(tmp_path / "a.fits")
    assert (frame.gain, frame.read_noise, frame.saturation) == (1.7, 4.2, 50000.0)
    assert (frame.exposure_s, frame.band, frame.pixel_scale_arcsec) == (30.0, "r", 0.9)
    assert frame.mjd == pytest.approx(58107.5 + 15 / 86400, abs=1e-9)
    assert frame.wcs is None


def test_gain_guess_is_noted_and_near(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    electrons = rng.poisson(4000, (128, 128))  # gain 2: sky 2000 ADU, sigma 31.6 ADU
    fits.writeto(tmp_path / "a.fits", (electrons / 2).astype(np.float32))
    frame = read_frame(tmp_path / "a.fits")
    assert frame.gain == pytest.approx(2.0, rel=0.1) and "estimated" in frame.notes["gain"]


def test_saturation_found_from_pixels_beats_the_header(tmp_path: Path) -> None:
    image = np.minimum(sky() + 5000, 9000)
    image[50:54, 50:53] = 9000
    fits.writeto(tmp_path / "a.fits", image.astype(np.uint16), fits.Header({"SATURATE": 60000}))
    frame = read_frame(tmp_path / "a.fits")
    assert frame.saturation == 9000 and "pixels" in frame.notes["saturation"]
    full = frame.mask & SATURATED != 0
    assert full[49:55, 49:54].all() and not full[47, 50]  # grown by one


def test_silly_header_saturation_is_ignored(tmp_path: Path) -> None:
    fits.writeto(tmp_path / "a.fits", sky().astype(np.uint16), fits.Header({"SATURATE": 500.0}))
    frame = read_frame(tmp_path / "a.fits")
    assert frame.saturation == 65535 and frame.notes["saturation_ignored"] == 500


def test_broken_cards_cost_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    fits.writeto(path, sky().astype(np.int16), fits.Header({"EXPTIME": 11.0, "FILTER": "x", "OBJECT": "y"}))
    raw = path.read_bytes()
    for old, new in (
        (b"EXPTIME ", b"EXPTIME = 060.00s / seconds"),
        (b"FILTER  ", b"FILTER  = Clear / no quotes"),
        (b"OBJECT  ", b"A BARE LINE OF TEXT, no equals sign"),
    ):
        at = raw.index(old)
        raw = raw[:at] + new.ljust(80) + raw[at + 80 :]
    path.write_bytes(raw)
    frame = read_frame(path)
    assert frame.exposure_s == 60.0 and frame.band == "Clear"


def wcs_header() -> fits.Header:
    return fits.Header(
        {
            "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 30.0, "CRVAL2": 45.0, "CRPIX1": 40.0,
            "CRPIX2": 40.0, "CD1_1": -0.001, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": 0.001,
        }
    )  # fmt: skip


def test_wcs_is_kept_when_usable(tmp_path: Path) -> None:
    header = wcs_header()
    fits.writeto(tmp_path / "a.fits", sky(), header)
    frame = read_frame(tmp_path / "a.fits")
    assert frame.wcs is not None and frame.pixel_scale_arcsec == pytest.approx(3.6, rel=1e-4)
    for key, value in (("CD1_1", 0.0), ("CTYPE1", "LINEAR"), ("CRVAL2", 400.0)):
        wrong = header.copy()
        wrong[key] = value
        fits.writeto(tmp_path / "b.fits", sky(), wrong, overwrite=True)
        assert read_frame(tmp_path / "b.fits").wcs is None, key


@pytest.mark.parametrize("compress", [False, True])
def test_round_trip(tmp_path: Path, compress: bool) -> None:
    image = sky()
    image[5, 5], image[20, 70] = np.nan, 3000
    header = wcs_header()
    header.update({"GAIN": 2.0, "MJD-OBS": 58000.25, "EXPTIME": 10.0, "FILTER": "g", "SATURATE": 8000.0})
    fits.writeto(tmp_path / "a.fits", image, header)
    frame = read_frame(tmp_path / "a.fits")
    assert frame.mask[20, 70] == BAD
    target = tmp_path / ("b.fits.fz" if compress else "b.fits")
    again = read_frame(write_frame(frame, target, compress=compress))
    np.testing.assert_array_equal(again.pixels, frame.pixels)
    np.testing.assert_array_equal(again.mask, frame.mask)
    for name in ("gain", "read_noise", "saturation", "exposure_s", "band"):
        assert getattr(again, name) == getattr(frame, name), name
    assert again.mjd == pytest.approx(frame.mjd, abs=1e-9)
    assert again.wcs is not None and frame.wcs is not None
    np.testing.assert_allclose(again.wcs.all_pix2world(7, 9, 0), frame.wcs.all_pix2world(7, 9, 0))


def test_write_where_nothing_can_be_written(tmp_path: Path) -> None:
    fits.writeto(tmp_path / "a.fits", sky())
    with pytest.raises(OutputError, match="cannot be written"):
        write_frame(read_frame(tmp_path / "a.fits"), tmp_path / "no" / "such" / "b.fits")


def bad_files(folder: Path) -> dict[str, tuple[Path, str]]:
    image = sky().astype(np.int16)
    fits.writeto(folder / "good.fits", image)
    raw = (folder / "good.fits").read_bytes()
    packed = gzip.compress(raw)
    contents = {
        "empty.fits": (b"", "empty"),
        "text.fits": (b"hello, this is no image\n" * 200, "not a FITS file"),
        "cut.fits": (raw[:9000], "cut short"),
        "head.fits": (raw[:1000], "cut short"),
        "cut.fits.gz": (packed[: len(packed) // 2], "cut short"),
        "headonly.fits.gz": (packed[:20], "cut short"),
    }
    for name, (content, _) in contents.items():
        (folder / name).write_bytes(content)
    images = {
        "nan.fits": (np.full((80, 80), np.nan), "no finite pixel"),
        "constant.fits": (np.full((80, 80), 7, np.int16), "constant"),
        "small.fits": (sky((63, 200)), "at least 64x64"),
        "white.fits": (np.where(sky() > 900, 65535, 0).astype(np.uint16), "saturated|constant"),
    }
    for name, (data, _) in images.items():
        fits.writeto(folder / name, data)
    full = np.full((80, 80), 65535, np.uint16)
    full[:2] = sky((2, 80)).astype(np.uint16)
    fits.writeto(folder / "full.fits", full)
    fits.HDUList([fits.PrimaryHDU()]).writeto(folder / "none.fits")
    whats = {name: (folder / name, what) for name, (_, what) in (contents | images).items()}
    whats["full.fits"] = (folder / "full.fits", "saturated")
    whats["none.fits"] = (folder / "none.fits", "no two-dimensional image")
    whats["missing"] = (folder / "missing.fits", "no file")
    whats["folder"] = (folder, "is a folder")
    return whats


def test_unusable_files_say_why(tmp_path: Path) -> None:
    for name, (path, what) in bad_files(tmp_path).items():
        with pytest.raises(FrameError, match=what) as caught:
            read_frame(path)
        assert str(path) in str(caught.value), name


def test_a_name_that_is_no_utf8_says_so(tmp_path: Path) -> None:
    with pytest.raises(FrameError, match=r"a name that is no UTF-8, .*: rename the file"):
        read_frame(tmp_path / os.fsdecode(b"n\xe9.fits"))


def test_a_file_that_may_not_be_read_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a stand-in: root, which tests may run as, may read everything."""
    path = tmp_path / "frame.fits"
    fits.writeto(path, np.zeros((64, 64), np.float32))

    def refused(*args: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("astropy.io.fits.open", refused)
    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(FrameError, match=r"frame.fits cannot be read \(Permission denied\): look at its permissions"):
        load_fits(path)


def test_find_frames(tmp_path: Path) -> None:
    for name in ("b.FITS.gz", "a.fits", "c.fit", "d.fits.fz", "notes.txt", ".hidden.fits"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "e.fits").symlink_to(tmp_path / "gone.fits")  # is a frame that cannot be used, not none
    (tmp_path / "f.fits").mkdir()
    names = [path.name for path in find_frames(tmp_path)]
    assert names == ["a.fits", "b.FITS.gz", "c.fit", "d.fits.fz", "e.fits"]
    with pytest.raises(FrameError, match=r"no file .*e\.fits"):
        read_frame(tmp_path / "e.fits")
    with pytest.raises(InputError, match="no folder"):
        find_frames(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no FITS frame"):
        find_frames(tmp_path / "empty")


def test_whipple_frame(whipple: Path) -> None:
    frame = read_frame(find_frames(whipple)[0], "whipple")
    assert frame.shape == (500, 650) and frame.saturation == 4095
    assert (frame.exposure_s, frame.band, frame.pixel_scale_arcsec) == (60.0, "Clear", 5.21)
    # UT-OBS 2017-12-20T01:33:43.317 plus 30 s
    assert frame.mjd == pytest.approx(58107 + (1 * 3600 + 33 * 60 + 43.317 + 30) / 86400, abs=1e-8)
    assert 100 < (frame.mask & BAD != 0).sum() < 1500
    assert (frame.mask & SATURATED != 0).sum() > 166


def _sky_and_stars(seed=3, sky=800.0, noise=12.0):
    rng = np.random.default_rng(seed)
    pixels = rng.normal(sky, noise, (200, 220))
    yy, xx = np.mgrid[:200, :220]
    for x, y, peak in rng.uniform((20, 20, 500), (200, 180, 90_000), (25, 3)):
        pixels += peak * np.exp(-((xx - x) ** 2 + (yy - y) ** 2) / (2 * 1.5**2))
    return np.minimum(pixels, 60_000.0)


def test_fractions_of_the_full_range_are_read_as_adu(tmp_path):
    adu = _sky_and_stars()
    fits.writeto(tmp_path / "adu.fits", np.rint(adu).astype(np.uint16))
    fits.writeto(tmp_path / "unit.fits", (adu / 65535).astype(np.float32))
    one, other = read_frame(tmp_path / "adu.fits"), read_frame(tmp_path / "unit.fits")
    np.testing.assert_allclose(other.pixels, one.pixels, atol=1.0)
    assert other.saturation == pytest.approx(one.saturation, rel=0.01)
    assert (other.mask & SATURATED).sum() == pytest.approx((one.mask & SATURATED).sum(), abs=5)
    assert other.gain == pytest.approx(one.gain, rel=0.05) and "multiplied" in other.notes["unit"]


def test_a_raw_colour_mosaic_is_refused_and_a_flat_one_is_not(tmp_path):
    pixels = _sky_and_stars()
    header = fits.Header({"BAYERPAT": "RGGB"})
    fits.writeto(tmp_path / "binned.fits", pixels.astype(np.float32), header)
    assert read_frame(tmp_path / "binned.fits").shape == (200, 220)
    pixels[::2, ::2] *= 0.6
    pixels[1::2, 1::2] *= 0.8
    fits.writeto(tmp_path / "mosaic.fits", pixels.astype(np.float32), header)
    with pytest.raises(FrameError, match="debayer"):
        read_frame(tmp_path / "mosaic.fits")


def test_a_camera_setting_is_no_gain(tmp_path):
    pixels = _sky_and_stars(noise=np.sqrt(800 / 0.9)).astype(np.float32)
    fits.writeto(tmp_path / "both.fits", pixels, fits.Header({"GAIN": 120, "EGAIN": 0.25}))
    fits.writeto(tmp_path / "setting.fits", pixels, fits.Header({"GAIN": 120}))
    assert read_frame(tmp_path / "both.fits").gain == 0.25
    frame = read_frame(tmp_path / "setting.fits")
    assert frame.gain == pytest.approx(0.9, rel=0.2) and "setting" in frame.notes["gain_ignored"]
    # a read noise of 37 electrons would explain it, and the header says 1.5
    pixels = _sky_and_stars(sky=20.0, noise=4.0).astype(np.float32)
    fits.writeto(tmp_path / "dark.fits", pixels, fits.Header({"GAIN": 10, "RDNOISE": 1.5}))
    assert read_frame(tmp_path / "dark.fits").gain == pytest.approx(20 / 16, rel=0.2)


def test_the_gain_of_a_dark_exposure_is_believed(tmp_path):
    """Where the read noise is nearly all there is, sky and noise say little of the gain."""
    gain, read_noise, sky_e = 2.0, 20.0, 80.0
    noise = np.sqrt(sky_e + read_noise**2) / gain
    pixels = _sky_and_stars(sky=sky_e / gain, noise=noise).astype(np.float32)
    for name, more in (("said", {"RDNOISE": read_noise}), ("silent", {})):
        fits.writeto(tmp_path / f"{name}.fits", pixels, fits.Header({"GAIN": gain, **more}))
        frame = read_frame(tmp_path / f"{name}.fits")
        assert frame.gain == gain and "gain_ignored" not in frame.notes


@pytest.mark.parametrize("blank", [-32768, -1, 32767])
def test_blank_of_unsigned_integers_is_no_data(tmp_path, blank):
    pixels = np.clip(_sky_and_stars(), 0, 60000).astype(np.uint16)
    pixels[:, 50:80] = blank + 32768
    hdu = fits.PrimaryHDU(pixels)
    hdu.header["BLANK"] = blank
    hdu.writeto(tmp_path / "a.fits")
    frame = read_frame(tmp_path / "a.fits")
    assert ((frame.mask[:, 50:80] & NODATA) != 0).all() and not (frame.mask & NODATA)[:, :50].any()
    assert not (frame.mask & SATURATED).any() or frame.saturation > 10000


def test_a_negative_pedestal_and_a_subtracted_sky_do_not_spoil_the_gain(tmp_path):
    pixels = _sky_and_stars(sky=1800.0, noise=np.sqrt(800 / 0.9)).astype(np.float32)
    fits.writeto(tmp_path / "maxim.fits", pixels, fits.Header({"PEDESTAL": -1000}))
    assert read_frame(tmp_path / "maxim.fits").gain == pytest.approx(0.9, rel=0.2)
    fits.writeto(tmp_path / "nosky.fits", pixels - 1800)
    assert read_frame(tmp_path / "nosky.fits").gain == 1.0


@pytest.mark.parametrize(
    ("cards", "exact"),
    [
        ({"MJD-OBS": 58106.482, "UT-OBS": "2017-12-19T11:33:43.3"}, 58106.4817512),
        ({"MJD-OBS": 58106.0, "DATE-OBS": "2017-12-19T11:33:43.3"}, 58106.4817512),
        ({"MJD-OBS": 58106.4821234, "DATE-OBS": "2017-12-19T11:33:43.3"}, 58106.4821234),
        ({"MJD-OBS": 58106.482, "DATE-OBS": "2017-12-19T04:33:43.3"}, 58106.482),  # local time, most likely
        ({"MJD-OBS": 58106.482}, 58106.482),
        ({"MJD-OBS": "58106.50000", "DATE-OBS": "2017-12-19T13:00:00"}, 58106.5),  # zeros that somebody wrote
    ],
)
def test_a_rounded_time_gives_way_to_the_exact_one(tmp_path, cards, exact):
    fits.writeto(tmp_path / "a.fits", _sky_and_stars().astype(np.float32), fits.Header(cards))
    assert read_frame(tmp_path / "a.fits").mjd == pytest.approx(exact, abs=1e-6)
