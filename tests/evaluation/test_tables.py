"""Tables: every format read back gives the numbers, and no text breaks out of its cell."""

from __future__ import annotations

import csv
import io
import math
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from realbogus.errors import InputError, OutputError
from realbogus.evaluation.tables import Column, Measured, ResultTable, escaped, known
from realbogus.metrics import wilson_interval

COLUMNS = [Column("network"), Column("recall %", ".2f", 100), Column("missed", "d")]
NASTY = "a|b_c & 100 % of $x_1$ {\\} #1 ~^ <i>*\nnext"


def test_markdown() -> None:
    table = ResultTable(
        COLUMNS, [["resnet18", Measured(0.91, 0.9, 0.9222), 7], ["x|y", math.nan, None]], "Two *networks*"
    )
    assert table.to_markdown().splitlines() == [
        r"Two \*networks\*",
        "",
        "| network | recall % | missed |",
        "|---|--:|--:|",
        "| resnet18 | 91.00 [90.00, 92.22] | 7 |",
        r"| x\|y | – | – |",
    ]


def test_csv_reads_back_as_numbers() -> None:
    rows = [['a,"b"', Measured(0.123456789, 0.1, 0.2), 12345678], ["c", Measured(0.5), None], [NASTY, None, 1]]
    read = list(csv.DictReader(io.StringIO(ResultTable(COLUMNS, rows).to_csv())))
    assert list(read[0]) == ["network", "recall %", "recall % low", "recall % high", "missed"]
    assert [row["network"] for row in read] == ['a,"b"', "c", NASTY]
    assert float(read[0]["recall %"]) == pytest.approx(12.3456789, rel=1e-5)
    assert (float(read[0]["recall % low"]), float(read[0]["recall % high"])) == (10, 20)
    assert read[0]["missed"] == "12345678"
    assert [read[1][key] for key in ("recall %", "recall % low", "missed")] == ["50", "", ""]


def test_latex() -> None:
    table = ResultTable(COLUMNS, [["a_b", Measured(0.91, 0.89, 0.92), 7], ["[c]", -0.5, None]], "50 % & more")
    assert table.to_latex().splitlines() == [
        r"\begin{table}",
        r"\centering",
        r"\caption{50 \% \& more}",
        r"\begin{tabular}{lrr}",
        r"\toprule",
        r"network & recall \% & missed \\",
        r"\midrule",
        r"a\_b & $91.00_{-2.00}^{+1.00}$ & 7 \\",
        r"{}[c] & $-50.00$ & -- \\",
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]


def test_an_interval_beside_its_value_is_written_out() -> None:
    """The percentile interval of a skewed statistic may lie beside the value: no superscript can say that."""
    assert "0.50 [0.60, 0.70]" in ResultTable([Column("x", ".2f")], [[Measured(0.5, 0.6, 0.7)]]).to_latex()


def test_none_and_all_stand_in_latex_like_the_rest() -> None:
    for k, n in ((0, 7), (0, 23), (9, 9), (130, 130)):
        low, high = wilson_interval(k, n)
        table = ResultTable([Column("share", ".2f")], [[Measured(k / n, float(low), float(high))]])
        assert "_{-" in table.to_latex()


def test_unknown_of_any_precision_is_a_dash() -> None:
    columns = [Column("x", ".1f")] * 3
    for table in ([[np.float32("nan"), np.float64("nan"), math.inf]], [[None, Measured(math.nan), -math.inf]]):
        assert ResultTable(columns, table).to_text() == [["–"] * 3]
        assert ResultTable(columns, table).to_csv().splitlines()[1] == ",,"
    assert (known(0.25), known(math.nan), known(math.inf)) == (0.25, None, None)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a_b_c", "a_b_c"),
        ("_a_", r"\_a\_"),
        ("0.91 [0.89, 0.93]", "0.91 [0.89, 0.93]"),
        ("[x](http://y)", r"[x]\(http://y)"),
        ("R&D", "R&D"),
        ("&lt;b&#62; &amp", r"\&lt;b\&#62; &amp"),
        ("<b>*`~|\\", r"\<b\>\*\`\~\|\\"),
    ],
)
def test_markdown_shows_the_text_itself(text: str, shown: str) -> None:
    assert escaped(text) == shown


def test_nasty_text_stays_in_its_cell() -> None:
    table = ResultTable(COLUMNS, [[NASTY, None, None]], NASTY)
    body = table.to_markdown().splitlines()
    assert len(body) == 5
    assert body[-1].replace("\\|", "").count("|") == 4
    row = table.to_latex().splitlines()[7]
    assert row.count(" & ") == 2
    assert r"100 \% of \$x\_1\$ \{\textbackslash{}\} \#1 \textasciitilde{}\textasciicircum{}" in row


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="pdflatex is absent")
def test_latex_compiles(tmp_path: Path) -> None:
    table = ResultTable(COLUMNS, [[NASTY, Measured(0.9, 0.8, 0.95), 3]], NASTY)
    text = "\\documentclass{article}\\usepackage[utf8]{inputenc}\\usepackage{booktabs}\\begin{document}\n"
    (tmp_path / "t.tex").write_text(text + table.to_latex() + "\\end{document}\n")
    outcome = subprocess.run(["pdflatex", "-halt-on-error", "t.tex"], cwd=tmp_path, capture_output=True, check=False)
    assert outcome.returncode == 0, outcome.stdout.decode()


def test_files(tmp_path: Path) -> None:
    table = ResultTable(COLUMNS, [["a", 0.5, 3]])
    paths = table.save(tmp_path / "deep" / "table.2")
    assert [path.name for path in paths] == ["table.2.md", "table.2.csv", "table.2.tex"]
    assert [path.read_text() for path in paths] == [table.to_markdown(), table.to_csv(), table.to_latex()]
    assert sorted(path.name for path in paths[0].parent.iterdir()) == sorted(path.name for path in paths)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        table.save(tmp_path / "file" / "table")


@pytest.mark.parametrize(
    ("row", "words"),
    [(["a", 0.5], "2 entries under 3 columns"), (["a", "b", 3], "'b' cannot stand in the column 'recall %' of numbers"),
     ([1.0, 0.5, 3], "cannot stand in the column 'network' of text")],
)  # fmt: skip
def test_rows_that_do_not_fit_are_named(row: list[object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        ResultTable(COLUMNS, [row])  # type: ignore[list-item]
