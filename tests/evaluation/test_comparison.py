"""Models side by side: the rows are the reports' numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from realbogus.errors import InputError, OutputError
from realbogus.evaluation.comparison import comparison_table, write_comparison
from realbogus.evaluation.report import Report, report_on

LABELS = np.arange(2000) < 100


@pytest.fixture(scope="module")
def reports() -> dict[str, Report]:
    rng = np.random.default_rng(0)
    return {
        name: report_on(1 / (1 + np.exp(-rng.normal(gap * LABELS - 2))), LABELS, draws=50, threshold=0.4)
        for name, gap in (("weak", 1.0), ("strong", 5.0), ("middling", 2.5))
    }


def test_rows_are_the_reports_best_first(reports: dict[str, Report]) -> None:
    table = comparison_table(reports, caption="Table 2")
    assert [row[0] for row in table.rows] == ["strong", "middling", "weak"]
    best = reports["strong"]
    assert table.rows[0][1] == 0.4
    counts = best.counts["asked"]
    assert [cell.value for cell in table.rows[0][2:]] == [
        counts.specificity, counts.recall, counts.precision, counts.f1, best.auc, best.missed,
    ]  # fmt: skip
    assert all(cell.low <= cell.value <= cell.high for cell in table.rows[1][2:])


def test_what_cannot_be_known_comes_last() -> None:
    one, other = (report_on([0.1, 0.2], [0, 0], draws=0) for _ in range(2))
    assert "–" in comparison_table({"a": one, "b": other}).to_markdown().splitlines()[-1]


def test_files(reports: dict[str, Report], tmp_path: Path) -> None:
    table = write_comparison(reports, tmp_path / "new")
    assert (tmp_path / "new" / "comparison.md").read_text() == table.to_markdown()
    names = {"comparison.md", "comparison.csv", "comparison.tex", "roc.pdf", "roc.png"}
    assert {path.name for path in (tmp_path / "new").iterdir()} == names
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        write_comparison(reports, tmp_path / "file")


def test_what_cannot_stand_side_by_side() -> None:
    with pytest.raises(InputError, match="no reports"):
        comparison_table({})
    one, other = (report_on([0.1, 0.9], [0, 1], specificity=value, draws=0) for value in (0.99, 0.9))
    with pytest.raises(InputError, match=r"\[0\.9, 0\.99\]"):
        comparison_table({"a": one, "b": other})
    turned = report_on([0.1, 0.9], [1, 0], specificity=0.99, draws=0)
    renamed = report_on([0.1, 0.9], [0, 1], ids=["x", "y"], specificity=0.99, draws=0)
    for another in (turned, renamed):
        with pytest.raises(InputError, match="other stamps or labels"):
            comparison_table({"a": one, "b": another})
