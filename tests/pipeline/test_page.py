"""The night's report as a page, and the ranked list in the terminal."""

import base64
import hashlib
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.table import MaskedColumn, Table
from rich.console import Console

from realbogus.errors import InputError, OutputError
from realbogus.pipeline import figures
from realbogus.pipeline.page import write_report
from realbogus.pipeline.terminal import rank, ranked_table

EVIL = "<script>alert(1)</script>.fits"


def _candidates():
    return Table(
        {
            "id": ["d1", "d2", "d3", "d4"],
            "source": ["s1", "s2", "s3", "s4"],
            "frame": ["one.fits", EVIL, "one.fits", "two.fits"],
            "mjd": [60000.25, 60000.3, 60000.25, np.nan],
            "x": [100.25, 20.0, 30.0, 40.0],
            "y": [50.5, 21.0, 31.0, 41.0],
            "ra": [31.0421, 31.1, 31.2, 31.3],
            "dec": [-0.5, 46.7, 46.8, 46.9],
            "sign": [1, -1, 1, 1],
            "flux": [1234.0, -500.0, 100.0, 90.0],
            "snr": [30.5, -12.0, 5.5, 5.1],
            "score": MaskedColumn([0.987, 0.765, 0.12, 0.0], mask=[False, False, False, True]),
            "real": [True, True, False, False],
            "flag_names": ["", "near saturated, edge, fixed on detector", "", "unscored"],
            "missing": [0.0, 0.12, 0.0, 0.7],
            "fwhm": [2.5] * 4,
            "noise": [10.0] * 4,
            "known": ["", "V* <b>UZ</b> And", "", ""],
            "injected": [False, False, True, False],
            "epochs": [1, 5, 1, 1],
        }
    )


def _frames():
    return Table(
        {
            "frame": ["one.fits", "two.fits", EVIL],
            "mjd": [60000.25, 60000.3, np.nan],
            "status": ["used", "used", "failed"],
            "reason": ["", "", "<img src=x onerror=alert(2)>"],
            "fwhm": [2.5, 2.6, np.nan],
            "noise": [10.0, 11.0, np.nan],
            "detections": [3, 1, -1],
            "above_threshold": [1, 1, -1],
        }
    )


def _summary(**changes):
    return {
        "frames": {"in": 3, "used": 2, "failed": {EVIL: "<img src=x onerror=alert(2)>"}},
        "detections": 4, "scored": 3, "unscored": 1, "above_threshold": 2, "threshold": 0.7,
        "model": "default", "model_version": "1", "seconds": {"detect": 1.5, "total": 3.0},
        "peak_rss_mb": 300.0,
        "telescope": "whipple", "method": "alard-lupton", "reference": {"members": ["one.fits"], "fwhm": 2.4},
        "settings": {"seed": 7, "inject_snr": [5.0, 50.0], "reference": None},
        "warnings": [], "command": "night <x>",
    } | changes  # fmt: skip


def _triptychs(count, seed=0):
    return np.random.default_rng(seed).normal(0, 10, (count, 3, 64, 64)).astype(np.float32)


def _page(tmp_path, **changes):
    given = {
        "summary": _summary(), "candidates": _candidates(), "triptychs": _triptychs(3),
        "triptych_rows": np.array([0, 1, 2]), "frames": _frames(), "completeness": None,
    }  # fmt: skip
    return write_report(tmp_path / "report.html", **(given | changes)).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The ordinary page; drawn once."""
    return _page(tmp_path_factory.mktemp("page"))


def _empty(**summary):
    none = {"triptychs": _triptychs(0), "triptych_rows": np.zeros(0, dtype=int), "candidates": Table()}
    return none | {"summary": _summary(**summary), "frames": Table()}


class _Parts(HTMLParser):
    """Tags, attributes and shown text of a page."""

    VOID = ("meta", "img", "input")

    def __init__(self, page):
        super().__init__()
        self.tags, self.open, self.words, self.unbalanced = [], [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.unbalanced.append(tag)

    def handle_data(self, data):
        if not {"script", "style"} & set(self.open):
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    def every(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def test_text_from_outside_never_becomes_markup(page):
    parts = _Parts(page)
    assert len(parts.every("script")) == 1  # the page's own
    assert not any(name.startswith("on") for _, attributes in parts.tags for name in attributes)
    assert not parts.every("b") or all("style" in a or not a for a in parts.every("b"))
    for words in (EVIL, "<img src=x onerror=alert(2)>", "V* <b>UZ</b> And", "night <x>"):
        assert words in parts.text


def test_page_is_whole_and_needs_nothing_from_outside(page):
    parts = _Parts(page)
    assert parts.unbalanced == [] and parts.open == []
    assert "://" not in page
    for _, attributes in parts.tags:
        for name in ("src", "href"):
            if attributes.get(name):
                assert attributes[name].startswith(("#", "data:image/png;base64,"))
    ids = [a["id"] for _, a in parts.tags if "id" in a]
    assert len(ids) == len(set(ids))
    assert {a["href"][1:] for a in parts.every("a")} <= set(ids)
    assert all(a.get("alt") is not None for a in parts.every("img"))


def test_policy_allows_the_one_script_and_no_other(page):
    script = re.search(r"<script>(.*?)</script>", page, flags=re.S)[1]
    metas = _Parts(page).every("meta")
    policy = next(a["content"] for a in metas if a.get("http-equiv") == "Content-Security-Policy")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy


def test_page_says_the_numbers(page):
    text = _Parts(page).text
    assert "2 of 4 detections reach the threshold of 0.700" in text
    assert "1 of 3 frames could not be used" in text
    assert "1 detection has no score" in text
    for words in ("0.987", "30.5", "near saturated", "edge", "fixed on detector", "12 % without data", "fading"):
        assert words in text.replace("\N{NO-BREAK SPACE}", " ")
    assert "2023-02-25 06:00:00 UTC" in text
    assert "inject snr" in text and "5.0 50.0" in text


def test_position_is_sexagesimal_and_in_degrees(page):
    text = _Parts(page).text
    ra, dec = SkyCoord(31.0421, -0.5, unit="deg").to_string("hmsdms", sep=":", precision=2).split()
    assert ra in text
    assert dec[:-1] in text
    assert "31.04210°, −0.50000°" in text


def test_without_positions_on_the_sky_none_is_shown(tmp_path):
    candidates = _candidates()
    candidates["ra"], candidates["dec"] = np.nan, MaskedColumn(np.zeros(4), mask=True)
    page = _page(tmp_path, candidates=candidates, frames=Table())
    assert "Right ascension" not in page
    assert "x (px)" in page and "nan" not in _Parts(page).text.lower()


def test_without_a_sky_the_map_shows_pixels_of_the_reference(tmp_path, monkeypatch):
    drawn = []
    draw = figures.candidate_map
    monkeypatch.setattr(figures, "candidate_map", lambda *given, **how: drawn.append(given) or draw(*given, **how))
    candidates = _candidates()
    candidates["ra"] = np.nan
    candidates["ref_x"], candidates["ref_y"] = candidates["x"] + 7.0, candidates["y"] - 3.0
    _page(tmp_path, candidates=candidates, frames=Table())
    np.testing.assert_array_equal(drawn[0][1], candidates["ref_x"])
    np.testing.assert_array_equal(drawn[0][2], candidates["ref_y"])


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (_empty(detections=0, scored=0, unscored=0, above_threshold=0), "No detections."),
        (_empty(detections=9, scored=0, unscored=9, above_threshold=0), "No detection could be scored."),
        (
            _empty(
                frames={"in": 1, "used": 0, "failed": {"a": "empty file"}},
                detections=0,
                scored=0,
                above_threshold=0,
            )
            | {"frames": Table({"frame": ["a"], "mjd": [np.nan], "status": ["failed"], "reason": ["empty file"]})},
            "No frame could be used. All 1 failed",
        ),
        (_empty() | {"summary": {}}, "There were no frames."),
        (
            {"summary": _summary(above_threshold=0), "frames": Table()},
            "No candidate reaches the threshold of 0.700.",
        ),
    ],
)
def test_a_night_without_candidates_says_so(tmp_path, changes, says):
    parts = _Parts(_page(tmp_path, **changes))
    assert says in parts.text
    assert parts.unbalanced == [] and parts.open == []
    if "empty file" in str(changes):
        assert "empty file" in parts.text


def test_completeness_is_drawn_from_the_table_or_the_summary(tmp_path):
    bins = [{"snr_lo": 5.0, "snr_hi": 10.0, "n": 8, "detected": 6, "found": 4}]
    injected = {"n": 8, "detected": 6, "found": 4, "bins": bins}
    natural = {"detections": 4, "above_threshold": 1}
    calibration = {
        "threshold": 0.7,
        "completeness": 0.97,
        "found_fraction": 0.955,
        "natural_fraction": 0.0056,
    }
    told = _summary(injected=injected, natural=natural, calibration=calibration)
    by_summary = _Parts(_page(tmp_path, summary=told, frames=Table())).text.replace("\N{NO-BREAK SPACE}", " ")
    assert "8 synthetic sources were injected: 6 were detected (75.0 %), and 4 of those" in by_summary
    assert "finds 95.5 % of the detected injections and passes 0.56 % of natural" in by_summary
    assert "5 – 10 8 6 4 50 %" in by_summary
    by_table = _Parts(_page(tmp_path, completeness=Table(rows=bins), frames=Table())).text
    assert "5 – 10 8 6 4" in by_table


def test_without_injections_there_is_no_completeness(page):
    assert "Completeness" not in _Parts(page).text


def test_wrong_rows_are_refused(tmp_path):
    with pytest.raises(InputError, match="2 rows for triptychs of shape"):
        _page(tmp_path, triptych_rows=np.array([0, 1]))
    with pytest.raises(InputError, match="run 0 to 4"):
        _page(tmp_path, triptych_rows=np.array([0, 1, 4]))


def test_an_unwritable_place_is_an_output_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="choose a folder you may write"):
        _page(tmp_path / "file", **_empty())


def test_a_hundred_triptychs_stay_below_three_megabytes(page):
    # pure noise packs worst; the charts take no part in the count of triptychs
    card = max(len(text) for text in re.findall(r"<article.*?</article>", page, flags=re.S))
    assert len(page) + 97 * card < 3_000_000


def test_rank_puts_ties_by_signal_and_leaves_the_unscored_out():
    table = Table({"score": MaskedColumn([0.5, 0.9, 0.5, 1.0], mask=[0, 0, 0, 1]), "snr": [5.0, 6.0, -8.0, 9.0]})
    assert rank(table).tolist() == [1, 2, 0]


def _printed(candidates, width=160, **choices):
    console = Console(file=io.StringIO(), width=width, color_system=None)
    ranked_table(candidates, console, **choices)
    return console.file.getvalue()


def test_terminal_shows_the_best_first():
    text = _printed(_candidates(), limit=2)
    assert "Best 2 of 3 detections" in text  # the injected one is no candidate
    lines = [line for line in text.splitlines() if "●" in line and "fits" in line]
    assert "0.987" in lines[0] and "30.5" in lines[0] and "31.04210" in lines[0]
    assert EVIL in lines[1] and "near saturated, edge, fixed on" in lines[1] and "V* <b>UZ</b> And" in lines[1]
    assert "0.120" not in text


@pytest.mark.parametrize("width", [60, 80, 109])
def test_a_narrow_terminal_cuts_no_number(width):
    candidates = _candidates()
    candidates["frame"] = [f"mini-sitian_of_a_long_night_{k:04d}.fits.fz" for k in range(4)]
    candidates["snr"] = [26543.2, -12.0, 5.5, 5.1]
    candidates["x"], candidates["y"] = candidates["x"] + 6000.0, candidates["y"] + 4000.0
    text = _printed(candidates, width=width)
    lines = [line.split() for line in text.splitlines()]
    assert any(line[:4] == ["●", "1", "0.987", "26543.2"] for line in lines)
    assert any(line[:4] == ["●", "2", "0.765", "-12.0"] for line in lines)
    assert "6100.2" in text and "4021.0" in text and "…" not in text
    assert "epochs" not in text and "31.04210" not in text
    assert max(map(len, text.splitlines())) <= width


def test_terminal_obeys_nothing_it_is_given():
    candidates = _candidates()
    candidates["frame"] = ["[red]a\x1b[31m", "b", "c", "d"]
    text = _printed(candidates)
    assert "[red]a[31m" in text and "\x1b" not in text


def test_terminal_says_when_there_is_nothing():
    assert "No detections." in _printed(Table())
    candidates = _candidates()
    candidates["score"].mask = True
    assert "None of 3 detections has a score." in _printed(candidates)
