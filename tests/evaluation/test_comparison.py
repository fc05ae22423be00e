"""Tables 2 and 3: the rows are the reports' numbers."""

from __future__ import annotations

import numpy as np
import pytest

from realbogus.errors import InputError
from realbogus.evaluation.comparison import comparison_table
from realbogus.evaluation.report import report_on


def test_rows_are_the_reports_best_first() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(2000) < 100
    reports = {
        name: report_on(1 / (1 + np.exp(-rng.normal(gap * labels - 2))), labels, draws=50)
        for name, gap in (("weak", 1.0), ("strong", 5.0), ("middling", 2.5))
    } | {"one class": report_on([0.1], [0], draws=0)}
    table = comparison_table(
        reports, parameters={"weak": 11.7, "strong": 5.3, "middling": 8}, by_auc=True, caption="Table 2"
    )
    assert [row[0] for row in table.rows] == ["strong", "middling", "weak", "one class"]
    best = reports["strong"]
    assert table.rows[0][1] == 5.3
    assert [cell.value for cell in table.rows[0][2:]] == [
        best.counts["asked"].specificity, best.counts["asked"].recall, best.counts["asked"].precision,
        best.counts["asked"].f1, best.auc, best.missed,
    ]  # fmt: skip
    assert all(cell.low <= cell.value <= cell.high for cell in table.rows[1][2:])
    assert [row[0] for row in comparison_table(reports, name="members").rows] == list(reports)
    assert "–" in table.to_markdown().splitlines()[-1]


def test_what_cannot_stand_side_by_side() -> None:
    with pytest.raises(InputError, match="no reports"):
        comparison_table({})
    one, other = (report_on([0.1, 0.9], [0, 1], specificity=value, draws=0) for value in (0.99, 0.9))
    with pytest.raises(InputError, match=r"\[0\.9, 0\.99\]"):
        comparison_table({"a": one, "b": other})
