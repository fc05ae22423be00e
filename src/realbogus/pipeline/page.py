"""The night's report: one HTML page that needs nothing but itself.

Everything that came from outside (frame names, reasons, flags, names of known objects) is
escaped by the template engine, and a content security policy in the page forbids any
script but the page's own and any address but inline images.
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units as u
from astropy.coordinates import Angle
from astropy.table import Table
from markupsafe import Markup
from numpy.typing import NDArray

from ..errors import InputError
from ..evaluation.canvas import new_axes, svg
from ..evaluation.html import environment
from ..files import write_text
from . import figures
from .quality_figure import QUALITY, frame_quality
from .terminal import numbers, words
from .triptych import DIFFERENCE_SIGMA, GAP_PX, triptych_png

__all__ = ["write_report"]

#: Keys of the summary that have a place of their own on the page.
_PLACED = {
    "frames", "detections", "scored", "unscored", "above_threshold", "threshold", "model", "model_version",
    "seconds", "peak_rss_mb", "telescope", "method", "reference", "injected", "natural", "calibration",
    "warnings", "realbogus", "version", "command", "settings",
}  # fmt: skip


def write_report(
    path: Path | str,
    *,
    summary: Mapping[str, Any],
    candidates: Table,
    triptychs: NDArray[np.float32],
    triptych_rows: NDArray[np.int64],
    frames: Table,
    completeness: Table | None,
) -> Path:
    """Write the report of a night as one self-contained HTML page.

    Parameters
    ----------
    path : path
        The page to write; replaced whole or not at all.
    summary : mapping
        The content of `summary.json`. What it lacks is left out of the page.
    candidates : Table, N rows
        All detections of the night (`score` masked or NaN where unscored). May be empty.
    triptychs : ndarray of float32, shape (M, 3, S, S)
        Science, reference and difference, ADU, NaN where there is no data.
    triptych_rows : ndarray of int, shape (M,)
        Row in `candidates` of each triptych, best first.
    frames : Table
        One row a frame, in the order of the night.
    completeness : Table or None
        Bins of injected sources: `snr_lo`, `snr_hi` (or `mag_lo`, `mag_hi`), `n`,
        `detected`, `found`. With None, `summary["injected"]["bins"]` is used if there.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    InputError
        Triptychs and rows do not fit each other or the candidates.
    OutputError
        The page cannot be written.
    """
    path = Path(path)
    rows = np.asarray(triptych_rows, dtype=np.int64)
    images = np.asarray(triptychs, dtype=np.float32)
    if len(images) != len(rows) or (len(images) and (images.ndim != 4 or images.shape[1] != 3)):
        raise InputError(
            f"{len(rows)} rows for triptychs of shape {images.shape}; expected (M, 3, S, S) with one row each"
        )
    if len(rows) and (rows.min() < 0 or rows.max() >= len(candidates)):
        raise InputError(f"triptych_rows run {rows.min()} to {rows.max()}, but there are {len(candidates)} candidates")
    engine = environment("realbogus.pipeline")
    engine.filters.update(count=_count, fixed=_fixed, csp_hash=_csp_hash)
    text = engine.get_template("report.html.j2").render(
        summary=summary,
        candidates_total=len(candidates),
        cards=_cards(candidates[rows], images) if len(rows) else [],
        stamp_size=images.shape[-1] if len(images) else 64,
        gap=GAP_PX,
        hatched=bool(np.isnan(images).any()),
        difference_sigma=DIFFERENCE_SIGMA,
        when=_when(numbers(frames, "mjd")),
        frames=_frames(frames),
        failed=dict(summary.get("frames", {}).get("failed", {})),
        settings=_settings(summary),
        one_a_source=len(set(words(candidates[rows], "source"))) == len(rows) if len(rows) else False,
        charts=_charts(summary, candidates, rows, frames, completeness),
    )
    return write_text(path, text)


def _cards(shown: Table, images: NDArray[np.float32]) -> list[dict[str, Any]]:
    """Return what the template shows of each candidate, in the order of the table."""
    measures = "score snr flux x y ra dec mjd missing noise sign fwhm epochs real injected"
    number = {name: numbers(shown, name).tolist() for name in measures.split()}
    text = {name: words(shown, name) for name in ("id", "source", "frame", "known", "flag_names")}
    cards = []
    for i, image in enumerate(images):
        card: dict[str, Any] = {name: column[i] for name, column in (number | text).items()}
        card |= {name: card[name] == 1 for name in ("real", "injected")}
        flags = [word.strip().replace("_", " ") for word in card["flag_names"].split(",") if word.strip()]
        card |= {
            "rank": i + 1,
            "flags": flags,
            "sexagesimal": _sexagesimal(card["ra"], card["dec"]),
            "time": _clock(card["mjd"]),
            "image": base64.b64encode(triptych_png(image, card["noise"])).decode(),
        }
        cards.append(card)
    return cards


def _settings(summary: Mapping[str, Any]) -> dict[str, str]:
    """Return all choices that have no other place on the page, as text."""
    found: dict[str, Any] = {k: v for k, v in summary.items() if isinstance(v, str | int | float)}
    found |= summary.get("settings") or {}
    return {
        name.replace("_", " "): _word(value)
        for name, value in found.items()
        if name not in _PLACED and value is not None
    }


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(map(_word, value)) if isinstance(value, list | tuple) else str(value)


def _frames(frames: Table) -> list[dict[str, Any]]:
    """Return the rows of the table of frames; what a failed frame lacks is NaN."""
    measures = "mjd fwhm sky noise ellipticity stars residual_px noise_ratio kernel_stars detections"
    number = {name: numbers(frames, name).tolist() for name in (*measures.split(), "above_threshold")}
    text = {name: words(frames, name) for name in ("frame", "status", "reason", "convolved")}
    rows = [{name: column[i] for name, column in (number | text).items()} for i in range(len(frames))]
    for row in rows:
        row["failed"], row["time"] = row["status"] == "failed", _clock(row["mjd"])
        if row["failed"]:
            row |= {name: math.nan for name in number if row[name] == -1}
    return rows


def _charts(
    summary: Mapping[str, Any],
    candidates: Table,
    rows: NDArray[np.int64],
    frames: Table,
    completeness: Table | None,
) -> dict[str, Any]:
    """Draw what there is something to draw for; the rest is left out."""
    charts: dict[str, Any] = {}
    scores, real = numbers(candidates, "score"), numbers(candidates, "real") == 1
    threshold = float(summary.get("threshold", 0.5))
    if np.isfinite(scores).any():
        ax, injected = new_axes(5.6, 4.4), numbers(candidates, "injected") == 1
        figures.score_histogram(ax, scores, threshold=threshold, injected=injected)
        charts["scores"] = Markup(svg(ax, "scores"))
    if len(candidates):
        ra, dec = numbers(candidates, "ra"), numbers(candidates, "dec")
        sky = bool(np.isfinite(ra + dec).all())
        across, up = (ra, dec) if sky else _on_reference(candidates)
        links: list[str | None] = [None] * len(candidates)
        for place, row in enumerate(rows, start=1):
            links[row] = f"#candidate-{place}"
        ax = new_axes(5.6, 4.4)
        figures.candidate_map(ax, across, up, scores, real, threshold=threshold, sky=sky, links=links)
        charts["map"], charts["map_is_sky"] = Markup(svg(ax, "map")), sky
    if any(status != "failed" for status in words(frames, "status")):
        panels = [new_axes(5.6, 2.1, fixed=True) for _ in QUALITY]
        frame_quality(panels, frames)
        charts["quality"] = [
            (title, Markup(svg(ax, f"quality{i}")))
            for i, (ax, (title, _, _)) in enumerate(zip(panels, QUALITY, strict=True))
        ]
    bins = completeness
    if bins is None:
        bins = Table(rows=(summary.get("injected") or {}).get("bins") or None)
    if len(bins):
        kind, label = ("snr", "S/N") if "snr_lo" in bins.colnames else ("mag", "magnitude")
        columns = [numbers(bins, name) for name in (f"{kind}_lo", f"{kind}_hi", "n", "detected", "found")]
        ax = figures.completeness_curve(new_axes(5.6, 3.2), *columns, quantity=label)
        charts["completeness"] = Markup(svg(ax, "completeness"))
        charts["bins"], charts["quantity"] = np.transpose(columns).tolist(), label
    return charts


def _on_reference(candidates: Table) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pixels of the reference, where every frame's candidates lie on one another; of the frame where it has none."""
    names = ("ref_x", "ref_y") if {"ref_x", "ref_y"} <= set(candidates.colnames) else ("x", "y")
    return numbers(candidates, names[0]), numbers(candidates, names[1])


def _sexagesimal(ra: float, dec: float) -> str:
    if not (math.isfinite(ra) and math.isfinite(dec)):
        return ""
    hours = Angle(ra % 360.0, u.deg).to_string(unit=u.hourangle, sep=":", precision=2, pad=True)
    return f"{hours} {Angle(dec, u.deg).to_string(sep=':', precision=1, pad=True, alwayssign=True)}"


def _moment(mjd: float) -> datetime | None:
    """Return the UTC of a Modified Julian Date; None for one outside the years 1900 to 2100."""
    return datetime(1858, 11, 17) + timedelta(days=mjd) if 15020 < mjd < 88069 else None


def _clock(mjd: float) -> str:
    moment = _moment(mjd)
    return f"{moment:%Y-%m-%d %H:%M:%S}" if moment else ""


def _when(mjd: NDArray[np.float64]) -> str:
    moments = sorted(m for m in map(_moment, mjd.tolist()) if m)
    if not moments:
        return ""
    first, last = moments[0], moments[-1]
    end = f"{last:%H:%M}" if first.date() == last.date() else f"{last:%Y-%m-%d %H:%M}"
    return f"{first:%Y-%m-%d %H:%M} – {end} UTC"


def _count(value: Any) -> str:
    return f"{int(value):,}" if value is not None and math.isfinite(value) else "–"


def _fixed(value: Any, places: int = 2) -> str:
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:,.{places}f}".replace("-", "\u2212")


def _csp_hash(script: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(str(script).encode()).digest()).decode() + "'"
