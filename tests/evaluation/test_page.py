"""The page: whole, self-contained, and deaf to markup in names."""

from __future__ import annotations

import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from realbogus.calibration import fit_calibration
from realbogus.errors import OutputError
from realbogus.evaluation.page import report_figures, write_page
from realbogus.evaluation.report import report_on

NASTY = '<script>alert("x")</script> $x_1$'


class Tags(HTMLParser):
    """All tags of a page, and every attribute that could name an address."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [str(value) for name, value in attributes if name in ("href", "src")]
        self.ids += [str(value) for name, value in attributes if name == "id"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    labels = np.arange(600) % 6 == 0
    scores = np.clip(rng.normal(0.3 + 0.4 * labels, 0.15), 0, 1)
    columns = {"snr": rng.uniform(3, 40, 600), "kind": np.where(labels, "star", NASTY)}
    report = report_on(scores, labels, model=NASTY, columns=columns, draws=50,
                       calibration=fit_calibration(scores, labels, method="platt", prevalence=0.01))  # fmt: skip
    out = tmp_path_factory.mktemp("page")
    report.save(out)
    return out


def test_nothing_of_another_report_stays(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / "tables" / "mine.md").write_text("")
    assert (tmp_path / "tables" / "by_kind.csv").exists() and (tmp_path / "figures" / "recall_by_snr.png").exists()
    report_on([0.9, 0.2, 0.4], [1, 0, 0], draws=0).save(tmp_path)
    assert sorted(path.name for path in (tmp_path / "tables").glob("*.md")) == [
        "mine.md", "operating_points.md", "passing.md", "probability.md"
    ]  # fmt: skip
    assert not list((tmp_path / "figures").glob("*_by_*")) and (tmp_path / "figures" / "roc.png").exists()


def test_the_page_needs_nothing_but_itself(folder: Path) -> None:
    text = (folder / "report.html").read_text()
    page = Tags()
    page.feed(text)
    assert "script" not in page.tags
    assert "&lt;script&gt;" in text
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in page.links)
    assert "http" not in re.sub(r'http-equiv="[^"]*"', "", text)
    assert page.tags.count("figure") == page.tags.count("svg") == 7
    assert {link[1:] for link in page.links if link[0] == "#"} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    assert "prefers-color-scheme: dark" in text


def test_the_page_says_the_numbers(folder: Path) -> None:
    text = (folder / "report.html").read_text()
    for cell in re.findall(r"[\d.]+", (folder / "tables" / "operating_points.md").read_text().splitlines()[2]):
        assert cell in text
    assert "for a share of 1 % real" in text


def test_figures_lie_beside_it(folder: Path) -> None:
    names = {"scores", "precision_recall", "roc", "confusion", "reliability", "recall_by_snr", "passing_by_kind"}
    assert {path.name for path in (folder / "figures").iterdir()} == {
        f"{n}{end}" for n in names for end in (".pdf", ".png")
    }


def test_no_figure_is_empty() -> None:
    columns = {"snr": [np.nan, np.nan, 5.0, 6.0], "mag": [15.0, 16.0, np.nan, np.nan], "kind": ["star", "star", "", ""]}
    drawn = report_figures(report_on([0.9, 0.8, 0.1, 0.3], [1, 1, 0, 0], columns=columns, draws=0))
    assert "recall_by_mag" in drawn
    assert not {"recall_by_snr", "passing_by_kind"} & set(drawn)


def test_names_are_shown_as_they_are(folder: Path) -> None:
    assert "&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt; $x_1$" in (folder / "report.html").read_text().replace(
        "&#34;", "&quot;"
    )
    svg = re.findall(r"<svg.*?</svg>", (folder / "report.html").read_text(), flags=re.S)
    assert any('&lt;script&gt;alert("x")&lt;/script&gt; $x_1$</text>' in picture for picture in svg)
    assert (folder / "report.md").read_text().startswith(r"# \<script\>alert")


def test_one_class_draws_what_there_is(tmp_path: Path) -> None:
    report = report_on([0.1, 0.6], [0, 0])
    assert sorted(report_figures(report)) == ["confusion", "reliability", "scores"]
    text = write_page(report, tmp_path).read_text()
    assert "<dd>–</dd>" in text
    assert "AUC –" in text
    assert "nan" not in text
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        write_page(report, tmp_path / "file" / "page")
