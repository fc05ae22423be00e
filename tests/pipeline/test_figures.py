"""Charts of the report."""

import numpy as np
import pytest
from astropy.table import Table
from matplotlib.figure import Figure

from realbogus.evaluation.canvas import new_axes, svg
from realbogus.pipeline import figures
from realbogus.pipeline.quality_figure import QUALITY, frame_quality


def _frames(**changes):
    columns = {
        "frame": ["a", "b", "c", "d"],
        "mjd": [60000.9, 60000.95, np.nan, 60001.05],
        "status": ["used", "used", "failed", "used"],
        "fwhm": [2.0, 2.5, np.nan, 3.0],
        "noise": [9.0, 9.5, np.nan, 9.1],
        "detections": [10.0, 0.0, np.nan, 30.0],
        "above_threshold": [1, 0, -1, 2],
    }
    return Table(columns | changes)


def _quality(frames):
    return frame_quality([new_axes() for _ in QUALITY], frames)


def test_score_histogram_counts_every_scored_detection_once():
    scores = np.array([0.0, 0.11, 0.12, 0.5, 1.0, np.nan])
    injected = np.array([False, False, False, True, True, True])
    ax = figures.score_histogram(new_axes(), scores, threshold=0.4, injected=injected, bins=10)
    natural, planted = (patch.get_data().values for patch in ax.patches)
    assert natural.tolist() == [1, 2, 0, 0, 0, 0, 0, 0, 0, 0]
    assert planted.tolist() == [0, 0, 0, 0, 0, 1, 0, 0, 0, 1]
    assert ax.get_yscale() == "log"
    assert ax.lines[0].get_xdata()[0] == 0.4


def test_without_injections_there_is_no_legend():
    ax = figures.score_histogram(new_axes(), [0.1, 0.9], threshold=0.5)
    assert ax.get_legend() is None


def test_frame_quality_marks_failed_frames_between_their_neighbours():
    axes = _quality(_frames())
    for ax, (_, column, _) in zip(axes, QUALITY, strict=True):
        _, dots, crosses = ax.lines
        np.testing.assert_allclose(dots.get_xdata(), [21.6, 22.8, 25.2], atol=1e-6)
        np.testing.assert_array_equal(dots.get_ydata(), _frames()[column][[0, 1, 3]])
        np.testing.assert_allclose(crosses.get_xdata(), [24.0], atol=1e-6)
        assert crosses.get_marker() == "x"
        assert ax.get_xlabel() == "UTC"
    # past midnight the clock starts again
    assert axes[0].xaxis.get_major_formatter()(25.5, 0) == "01:30"


@pytest.mark.parametrize(
    "mjd", [[np.nan] * 4, [60000.0, 60001.0, np.nan, 60009.0], [60000.0, np.nan, 60000.1, 60000.2]]
)
def test_frame_quality_counts_frames_where_times_do_not_do(mjd):
    axes = _quality(_frames(mjd=mjd))
    assert axes[0].get_xlabel() == "frame number"
    assert axes[0].lines[1].get_xdata().tolist() == [1, 2, 4]


def test_frames_out_of_order_get_no_invented_time():
    axes = _quality(_frames(mjd=[60000.95, 60000.9, np.nan, 60001.05]))
    assert np.isnan(axes[0].lines[2].get_xdata()).all()


def test_candidate_map_keeps_a_field_across_the_meridian_in_one_piece():
    ax = new_axes()
    ra, dec = [359.9, 0.1, 0.2, np.nan], [60.0, 60.1, 60.2, np.nan]
    figures.candidate_map(ax, ra, dec, [0.1, 0.9, 0.95, 0.9], [False, True, True, True], threshold=0.5, sky=True)
    points = np.asarray(ax.collections[0].get_offsets())
    assert np.ptp(np.concatenate([points[:, 0], ax.lines[0].get_xdata()])) == pytest.approx(0.3)
    assert points.shape == (2, 2)  # the one without a position is left out
    left, right = ax.get_xlim()
    assert left > right  # east to the left
    assert ax.get_aspect() == pytest.approx(1 / np.cos(np.radians(60.1)))


def test_candidate_map_links_the_best_on_top():
    ax = new_axes()
    links = ["#candidate-1", None, "#candidate-2"]
    figures.candidate_map(ax, [1, 2, 3], [1, 2, 3], [0.99, 0.1, 0.8], [True, False, True], threshold=0.5, links=links)
    assert ax.collections[0].get_urls() == ["#candidate-2", "#candidate-1"]
    text = svg(ax, "map")
    assert text.count('<a href="#candidate-') == 2


def test_candidate_map_of_nothing_is_empty():
    ax = figures.candidate_map(new_axes(), [], [], [], [], threshold=0.5)
    assert svg(ax, "map").startswith("<svg")


def test_completeness_curve_draws_shares_and_skips_empty_bins():
    ax = figures.completeness_curve(new_axes(), [5, 10, 20], [10, 20, 40], [20, 0, 10], [12, 0, 10], [10, 0, 9])
    lines = {container.get_label(): container[0] for container in ax.containers}
    assert lines["detected"].get_ydata().tolist() == [0.6, 1.0]
    found = next(line for label, line in lines.items() if label.startswith("found"))
    assert found.get_ydata().tolist() == [0.5, 0.9]


def test_charts_draw_on_any_axes():
    ax = Figure().add_subplot()
    assert figures.score_histogram(ax, [0.2], threshold=0.5) is ax
