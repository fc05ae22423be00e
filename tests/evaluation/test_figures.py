"""Figures: they show the numbers, nothing is cut off, and files come out the same every time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.text import Text
from sklearn.metrics import roc_curve

from realbogus.errors import InputError, OutputError
from realbogus.evaluation import figures
from realbogus.evaluation.breakdown import break_down
from realbogus.evaluation.canvas import COLOURS
from realbogus.metrics import Confusion, confusion, precision_recall_crossing, reliability

RNG = np.random.default_rng(0)
LABELS = (np.arange(3000) % 20 == 0).astype(int)
SCORES = (1 / (1 + np.exp(-RNG.normal(5 * LABELS - 3, 1.5)))).astype(np.float32)
HISTORY = [
    {"epoch": float(k), "train_loss": 0.1 / k, "valid_loss": None if k == 2 else 0.2 / k, "valid_accuracy": 0.9}
    for k in range(1, 6)
]
BINS = break_down(SCORES, LABELS, 0.5, {"snr": np.full(3000, 6.0), "kind": np.repeat(["a dipole", "a ghost"], 1500)})

DRAWN: dict[str, Any] = {
    "screening": lambda ax: figures.screening_histogram(ax, SCORES),
    "scores": lambda ax: figures.score_histograms(ax, SCORES, LABELS, threshold=0.97),
    "precision_recall": lambda ax: figures.precision_recall_by_threshold(ax, SCORES, LABELS),
    "confusion": lambda ax: figures.confusion_matrix(ax, Confusion(68, 9, 6, 4917)),
    "learning": lambda ax: figures.learning_curves(ax, {"resnet18": HISTORY, "one $epoch_1$": HISTORY[:1]}),
    "roc": lambda ax: figures.roc_curves(ax, {"a": (SCORES, LABELS), "b": (SCORES**2, LABELS)}, specificity=0.9925),
    "roc of a path": lambda ax: figures.roc_curves(ax, {"a": (SCORES, LABELS), "/a/long/path" * 9: (SCORES, LABELS)}),
    "roc of five bogus": lambda ax: figures.roc_curves(ax, {"a": (SCORES[:6], LABELS[:6])}, specificity=0.9925),
    "threshold beyond": lambda ax: figures.score_histograms(ax, SCORES, LABELS, threshold=7.0),
    "reliability": lambda ax: figures.reliability_diagram(ax, {"before": reliability(SCORES, LABELS)}),
    "recall": lambda ax: figures.recall_by_bin(ax, BINS[0].bins),
    "specificity": lambda ax: figures.specificity_by_bin(ax, BINS[1].bins),
    "ensemble": lambda ax: figures.ensemble_diagram(ax, threshold=0.798),
}


@pytest.mark.parametrize("name", list(DRAWN))
def test_nothing_is_cut_off(name: str) -> None:
    ax = figures.new_axes(7.2, 3.4) if name == "ensemble" else figures.new_axes()
    assert DRAWN[name](ax) is ax
    figure = ax.figure
    figure.draw_without_rendering()
    drawn, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert drawn.x0 > -0.02
    assert drawn.y0 > -0.02
    assert drawn.x1 < width + 0.02
    assert drawn.y1 < height + 0.02
    words = [text.get_text() for text in figure.findobj(Text)]
    assert not [word for word in words if "mathdefault" in word]


def test_screening_counts_the_bands() -> None:
    ax = figures.screening_histogram(figures.new_axes(), [0.0, 0.1, 0.2, 0.9, 0.95], low=0.2, high=0.9)
    words = [text.get_text().split("\n") for text in ax.texts]
    assert words == [["keep", "2", "40.0 %"], ["review", "2", "40.0 %"], ["hard", "1", "20.0 %"]]
    assert ax.get_yscale() == "log"


def test_the_crossing_is_where_the_metric_says() -> None:
    ax = figures.precision_recall_by_threshold(figures.new_axes(), SCORES, LABELS)
    at = precision_recall_crossing(SCORES, LABELS)
    dot = next(line for line in ax.lines if line.get_marker() == "o")
    assert dot.get_xdata()[0] == at
    assert dot.get_ydata()[0] == pytest.approx(confusion(SCORES, LABELS, at).precision)
    precision = next(line for line in ax.lines if line.get_label() == "precision")
    for x, y in list(zip(*precision.get_data(), strict=True))[::200]:
        assert y == pytest.approx(confusion(SCORES, LABELS, x).precision)


def test_between_two_scores_the_higher_one_counts() -> None:
    ax = figures.precision_recall_by_threshold(figures.new_axes(), [0.2, 0.9], [0, 1], crossing=False)
    precision = next(line for line in ax.lines if line.get_label() == "precision")
    # a threshold of 0.5 lets only the real pass; "pre" draws the value at 0.9 from there down to 0.2
    assert precision.get_drawstyle() == "steps-pre"
    assert precision.get_xydata().tolist() == [[0.2, 0.5], [0.9, 1.0]]


def test_roc_keeps_every_corner() -> None:
    ax = figures.roc_curves(figures.new_axes(), {"a": (SCORES, LABELS)})
    rate, recall = ax.lines[0].get_data()
    every, found, _ = roc_curve(LABELS, SCORES, drop_intermediate=False)
    for at in every[every > 0][::50]:
        assert recall[rate <= at + 1e-12].max() == pytest.approx(found[every <= at + 1e-12].max())


def test_two_axes_of_the_bimodal_histogram() -> None:
    ax = figures.score_histograms(figures.new_axes(), SCORES, LABELS, bins=10)
    twin = ax.figure.axes[-1]
    for axes, value in ((ax, 0), (twin, 1)):
        counts = axes.patches[0].get_data().values
        np.testing.assert_array_equal(counts, np.histogram(SCORES[value == LABELS], np.linspace(0, 1, 11))[0])
        assert axes.get_ylim()[1] > counts.max()


def test_a_class_that_is_not_there_has_no_share() -> None:
    ax = figures.confusion_matrix(figures.new_axes(), Confusion(tp=0, fp=1, fn=0, tn=3))
    assert [text.get_text() for text in ax.texts] == ["3\n75.00 %", "1\n25.00 %", "0\n–", "0\n–"]


def test_bins_of_nothing_draw_nothing() -> None:
    for draw in (figures.recall_by_bin, figures.specificity_by_bin):
        ax = draw(figures.new_axes(), [])
        ax.figure.draw_without_rendering()
        assert not ax.patches


def test_learning_curves_skip_what_was_not_measured() -> None:
    ax = figures.learning_curves(figures.new_axes(), {"resnet18": HISTORY})
    assert ax.lines[1].get_xdata().tolist() == [1, 3, 4, 5]
    with pytest.raises(InputError, match=r"no column train_accuracy: it has epoch"):
        figures.learning_curves(figures.new_axes(), {"resnet18": HISTORY}, quantity="accuracy")


def test_the_legend_of_a_single_epoch_explains_its_dots() -> None:
    ax = figures.learning_curves(figures.new_axes(), {"resnet18": HISTORY[:1]})
    keys = {str(line.get_label()): line for line in ax.lines if line.get_label() in ("validation", "training")}
    for word, line in zip(("training", "validation"), ax.lines[:2], strict=True):
        drawn, key = (mark.get_markerfacecolor() == "none" for mark in (line, keys[word]))
        assert (keys[word].get_marker(), keys[word].get_linestyle(), key) == ("o", "None", drawn)


def test_galleries() -> None:
    stamps = RNG.normal(size=(30, 2, 16, 16))
    stamps[0, 0, :4] = np.nan
    stamps[1] = 7.0
    figure = figures.new_figure(6.0, constrained=False)
    axes = figures.stamp_gallery(figure, {"kept": stamps[:5], "none": stamps[:0], "excluded": stamps[5:8]}, columns=4)
    assert len(axes) == 8
    np.testing.assert_array_equal(axes[2].images[0].get_array(), stamps[2, 0])
    assert [text.get_text() for text in figure.texts] == ["kept", "excluded"]
    boxes = [ax.get_position() for ax in axes]
    assert all(box.x0 >= 0 and box.y0 >= 0 and box.x1 <= 1 and box.y1 <= 1 for box in boxes)
    assert len({(round(box.x0, 3), round(box.y0, 3)) for box in boxes}) == 8
    scores = np.linspace(0, 1, 30)
    axes = figures.bands_gallery(figures.new_figure(6.0, constrained=False), stamps, scores, columns=3)
    shown = [float(ax.texts[0].get_text()) for ax in axes]
    assert len(shown) == 9
    assert max(shown[:3]) < 0.2 <= min(shown[3:6]) <= max(shown[3:6]) <= 0.9 < min(shown[6:])
    with pytest.raises(InputError, match="one score a stamp"):
        figures.bands_gallery(figures.new_figure(), stamps, scores[:4])
    with pytest.raises(InputError, match="no stamps to draw"):
        figures.stamp_gallery(figures.new_figure(), {"kept": stamps[:0]})
    with pytest.raises(InputError, match="'kept' has shape"):
        figures.stamp_gallery(figures.new_figure(), {"kept": np.zeros((3, 8))})


@pytest.mark.parametrize(
    ("draw", "words"),
    [
        (lambda ax: figures.screening_histogram(ax, [0.1, np.nan]), "1 of 2 scores are NaN"),
        (lambda ax: figures.screening_histogram(ax, []), "0 of 0 scores"),
        (lambda ax: figures.precision_recall_by_threshold(ax, [0.1], [0]), "none of 1 candidates is real"),
        (lambda ax: figures.roc_curves(ax, {"x": ([0.1], [0])}), "x: 0 real and 1 bogus"),
        (lambda ax: figures.ensemble_diagram(ax, []), "no members"),
    ],
)
def test_bad_input_is_named(draw: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        draw(figures.new_axes())


def test_files_are_the_same_every_time(tmp_path: Path) -> None:
    def written(folder: str) -> list[bytes]:
        ax = figures.confusion_matrix(figures.new_axes(2, 2), Confusion(1, 2, 3, 4))
        return [path.read_bytes() for path in figures.save_figure(ax, tmp_path / folder / "figure.1")]

    first = written("a")
    assert first == written("b")
    assert b"CreationDate" not in first[0]
    assert first[0].startswith(b"%PDF")
    assert first[1].startswith(b"\x89PNG")
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["figure.1.pdf", "figure.1.png"]
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        figures.save_figure(figures.new_axes(1, 1), tmp_path / "file" / "figure")


def test_inline_svg_takes_the_colours_of_the_page() -> None:
    ax = figures.score_histograms(figures.new_axes(), SCORES, LABELS)
    text = figures.svg(ax, "chart")
    assert "http" not in text
    assert not [name for name, colour in COLOURS.items() if colour in text]
    assert "var(--real)" in text
    assert isinstance(ax, Axes)


def test_ties_leave_no_place_where_precision_equals_recall() -> None:
    ax = figures.precision_recall_by_threshold(figures.new_axes(), [0.5] * 6, [1, 0, 0, 0, 0, 0])
    assert ax.texts[-1].get_text() == "threshold 0.500\nprecision 0.167\nrecall 1.000"
