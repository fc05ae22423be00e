import json
import stat
import sys

import numpy as np
import pytest

from realbogus.errors import SubtractionError
from realbogus.images.frame import NODATA
from realbogus.images.subtract import subtract
from realbogus.images.subtract.hotpants import command

FAKE = """#!{python}
import json, os, sys
import numpy as np
from astropy.io import fits
line = sys.argv[1:]
json.dump(line, open({record!r}, "w"))
mode = {mode!r}
if mode == "fails":
    sys.exit("Error: not enough stamps")
if mode == "silent":
    sys.exit(0)
if mode == "sleeps":
    import time
    time.sleep(30)
at = lambda name: line[line.index(name) + 1]
from scipy.ndimage import gaussian_filter
science, reference = fits.getdata(at("-inim")).astype("f4"), fits.getdata(at("-tmplim")).astype("f4")
sigma = (3.6**2 - 3.0**2) ** 0.5 / 2.3548
difference = science - gaussian_filter(reference, sigma)
noise = fits.getdata(at("-ini")).astype("f4")
border = int(at("-r"))
edge = np.ones(science.shape, bool)
edge[border:-border, border:-border] = False
difference[edge] = 1e-30
if mode == "nan":
    difference[: int(0.98 * len(difference))] = np.nan
header = fits.Header()
header["KSUM00"] = "1.8000" if mode == "scale" else "1.0000"
header["CONVOL00"] = "TEMPLATE"
fits.writeto(at("-outim"), difference, header, overwrite=True)
fits.writeto(at("-oni"), noise, overwrite=True)
"""


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Put a made-up `hotpants` on PATH; returns the file that records its command line."""

    def install(mode):
        record = tmp_path / "line.json"
        program = tmp_path / "hotpants"
        program.write_text(FAKE.format(python=sys.executable, record=str(record), mode=mode))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", str(tmp_path))
        return record

    return install


def run(field):
    made = field()
    return subtract(made.science, made.reference, made.measurement, method="hotpants")


def test_without_the_binary_the_error_says_what_to_do(field, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SubtractionError, match=r'on PATH.*method="alard-lupton"'):
        run(field)


def test_a_good_answer_becomes_a_difference(field, fake):
    record = fake("good")
    difference = run(field)
    assert difference.method == "hotpants" and difference.convolved == "reference"
    assert difference.scale == 1.0
    assert difference.noise_ratio == pytest.approx(1.0, abs=0.1)
    line = json.loads(record.read_text())
    border = int(line[line.index("-r") + 1])
    assert (difference.mask[:border] & NODATA).all() and not difference.mask[border:-border, border:-border].any()
    assert line[line.index("-c") + 1] == "t" and line[line.index("-n") + 1] == "i"


@pytest.mark.parametrize(
    ("mode", "says"),
    [
        ("nan", "of the difference has data"),
        ("fails", "status 1: Error: not enough stamps"),
        ("silent", "status 0 but no usable image"),
        ("scale", "flux ratio of 1.8"),
    ],
)
def test_every_kind_of_failure_is_an_error(field, fake, mode, says):
    fake(mode)
    with pytest.raises(SubtractionError, match=says):
        run(field)


def test_a_program_that_hangs_is_stopped(field, fake):
    from realbogus.images.subtract import prepare
    from realbogus.images.subtract.hotpants import hotpants

    fake("sleeps")
    made = field()
    pair = prepare(made.science, made.reference, made.measurement)
    with pytest.raises(SubtractionError, match=r"did not end within 0\.2 s"):
        hotpants(pair, timeout_s=0.2)


@pytest.mark.parametrize("fwhms", [(3.0, 3.0), (1.5, 1.6), (2.0, 8.0)])
def test_command_line_has_distinct_sigmas_and_every_file(tmp_path, fwhms):
    line = command(
        "/x/hotpants", tmp_path, sharp_fwhm=fwhms[0], broad_fwhm=fwhms[1], convolve="science",
        upper=(6e4, 5e4), lower=(-90, -80), gain=(0.25, 3), read_noise=(6, 5), shape=(500, 650),
    )  # fmt: skip
    assert line[0] == "/x/hotpants" and all(isinstance(item, str) for item in line)
    at = line.index("-ng")
    sigmas = [float(s) for s in line[at + 3 : at + 8 : 2]]
    assert line[at + 1] == "3" and len(set(sigmas)) == 3 and min(sigmas) > 0
    assert sigmas == sorted(sigmas)
    options = {
        "-iu": "60000", "-tu": "50000", "-il": "-90", "-tl": "-80", "-ig": "0.25", "-tg": "3",
        "-ir": "6", "-tr": "5", "-c": "i", "-n": "i", "-bgo": "1",
    }  # fmt: skip
    assert {name: line[line.index(name) + 1] for name in options} == options
    for name in ("-inim", "-tmplim", "-outim", "-oni", "-ini", "-tni", "-r", "-rss", "-ko"):
        assert line.count(name) == 1
    np.testing.assert_array_less(0, [int(line[line.index(n) + 1]) for n in ("-r", "-rss")])
