"""A report as figures and as one HTML page that needs nothing but itself.

Everything that came from outside (names of models, kinds, ids) is escaped by the template
engine, and a content security policy in the page forbids scripts and any address.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from markupsafe import Markup

from ..files import remove_others, write_text
from . import figures
from .html import environment
from .text import report_lines

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .result import Report

__all__ = ["report_figures", "write_page"]

#: What stands below each figure; the file's name comes first.
_CAPTIONS = {
    "scores": "Scores of bogus (left axis) and of real (right axis).",
    "precision_recall": "Precision and recall against the threshold. Where they cross is the starting point for "
    "operation.",
    "roc": "Recall against the share of bogus that pass, on a logarithmic axis.",
    "confusion": "Calls at the threshold asked for; shares are those of the row.",
    "reliability": "A score that can be read as a probability lies on the diagonal. Bars are Wilson intervals.",
    "recall_by_snr": "Recall by signal-to-noise, with Wilson intervals.",
    "recall_by_mag": "Recall by magnitude, with Wilson intervals.",
    "recall_by_seeing": "Recall by seeing, with Wilson intervals.",
    "recall_by_fwhm": "Recall by the width of the PSF, with Wilson intervals.",
    "passing_by_kind": "Bogus that pass, by their kind, with Wilson intervals.",
}
_TITLES = {
    "operating_points": "Operating points",
    "passing": "Recall while few bogus pass",
    "probability": "Scores as probabilities",
    "by_snr": "By signal-to-noise",
    "by_mag": "By magnitude",
    "by_seeing": "By seeing",
    "by_fwhm": "By width of the PSF",
    "by_kind": "By kind",
}


def report_figures(report: Report) -> dict[str, Axes]:
    """Draw every figure there is something to draw for.

    Parameters
    ----------
    report : Report

    Returns
    -------
    dict of str to Axes
        By the name of the file, each on a Figure of its own.

    Examples
    --------
    >>> from realbogus.evaluation.report import report_on
    >>> sorted(report_figures(report_on([0.9, 0.2, 0.4], [1, 0, 0], draws=0)))
    ['confusion', 'precision_recall', 'reliability', 'roc', 'scores']
    """
    scores, labels = report.scores, report.labels
    draw: dict[str, Callable[[Axes], Axes]] = {
        "scores": partial(figures.score_histograms, scores=scores, labels=labels, threshold=report.threshold),
        "confusion": partial(figures.confusion_matrix, counts=report.counts["asked"], truth="truth"),
        "reliability": partial(
            figures.reliability_diagram, found={name: part.reliability for name, part in report.probability.items()}
        ),
    }
    if report.real:
        draw["precision_recall"] = partial(figures.precision_recall_by_threshold, scores=scores, labels=labels)
    if report.real and report.bogus:
        scored = {report.model: (scores, labels)}
        draw["roc"] = partial(figures.roc_curves, scored=scored, specificity=report.specificity)
    for part in report.breakdowns:
        if part.column != "kind" and any(b.real for b in part.bins):
            draw[f"recall_by_{part.column}"] = partial(figures.recall_by_bin, bins=part.bins, quantity=part.title)
        if part.column == "kind" and any(b.bogus for b in part.bins):
            draw["passing_by_kind"] = partial(figures.specificity_by_bin, bins=part.bins, quantity=part.title)
    return {name: function(figures.new_axes(5.2, 3.7)) for name, function in draw.items()}


def write_page(report: Report, folder: Path | str) -> Path:
    """Write `figures/` as PDF and PNG, and `report.html`; each file whole or not at all.

    Parameters
    ----------
    report : Report
    folder : path
        Made where it is missing.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    OutputError
        It cannot be written.
    """
    folder = Path(folder)
    pictures = {}
    for name, axes in report_figures(report).items():
        pictures[name] = Markup(figures.svg(axes, name))
        cast("Figure", axes.figure).set_layout_engine("none")  # it stands now; laying it out again costs as much
        figures.save_figure(axes, folder / "figures" / name, dpi=150, truetype=False)
    remove_others(folder / "figures", pictures, *(f"{name}.*" for name in _CAPTIONS))
    text = (
        environment("realbogus.evaluation")
        .get_template("report.html.j2")
        .render(
            model=report.model,
            heads=_heads(report),
            lines=report_lines(report),
            tables=[(name, _TITLES.get(name, name), table) for name, table in report.tables().items()],
            figures=[(name, _CAPTIONS[name], pictures[name]) for name in _CAPTIONS if name in pictures],
            calibration=_calibration(report),
            threshold=report.threshold,
        )
    )
    return write_text(folder / "report.html", text)


def _heads(report: Report) -> list[dict[str, Any]]:
    """Return the numbers at the top of the page: name, value, interval."""
    wanted = (
        ("AUC", report.measured("auc"), 1.0, 4, ""),
        ("recall", report.measured("recall"), 100.0, 2, " %"),
        ("specificity", report.measured("specificity"), 100.0, 2, " %"),
        ("precision", report.measured("precision"), 100.0, 2, " %"),
        (f"missed at spec {100 * report.specificity:g} %", report.measured("missed"), 1.0, 0, f" of {report.real:,}"),
        (f"purity at {100 * report.prevalence:g} % real", report.measured("purity"), 100.0, 1, " %"),
    )
    heads = []
    for name, part, scale, places, unit in wanted:
        known = part.value == part.value
        ends = f"{scale * part.low:.{places}f} to {scale * part.high:.{places}f}" if part.bounded else ""
        value = f"{scale * part.value:.{places}f}{unit}" if known else "–"
        heads.append({"name": name, "value": value, "ends": ends})
    return heads


def _calibration(report: Report) -> str:
    values = report.calibration
    if values is None:
        return "The model has no calibration: its scores rank candidates and are no probabilities."
    share = values.get("prevalence")
    mixture = "the mixture of those" if share is None else f"a share of {100 * share:g} % real"
    return (
        f"Calibrated by the method {values['method']} on {values['real']} real and {values['bogus']} bogus, "
        f"for {mixture}. Thresholds on this page are those of the scores before calibration."
    )
