"""Science, reference and difference of one candidate, side by side in one small PNG."""

from __future__ import annotations

import io
import math

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from numpy.typing import NDArray
from PIL import Image

__all__ = ["triptych_png"]

_LEVELS = 112
_NO_DATA, _STRIPE, _GAP = 2 * _LEVELS, 2 * _LEVELS + 1, 255
#: Columns of gap between two panels of a triptych.
GAP_PX = 2
#: The difference panel runs from minus to plus so many sigma.
DIFFERENCE_SIGMA = 8.0


def triptych_png(panels: NDArray[np.float32], noise: float = math.nan) -> bytes:
    """Render science, reference and difference side by side as one PNG of palette colours.

    Row 0 is at the bottom, as in every FITS viewer. Science and reference lose their own
    median and share one asinh stretch; the difference runs from -8 to +8 sigma through
    black, negative blue, positive orange (told apart by colour-blind readers). Pixels
    without data are hatched.

    Parameters
    ----------
    panels : ndarray of float32, shape (3, S, S)
        ADU; NaN where there is no data.
    noise : float
        Sigma of the difference, ADU; estimated from the stamp where not finite.

    Examples
    --------
    >>> triptych_png(np.zeros((3, 64, 64), "float32"))[1:4]
    b'PNG'
    """
    size = panels.shape[-1]
    sigma = _sigma(panels[0])
    flat = [panel - _median(panel) for panel in panels[:2]]
    both = np.concatenate([panel[np.isfinite(panel)] for panel in flat])
    low = -1.5 * sigma
    high = max(float(np.percentile(both, 99.8)) if both.size else 0.0, 8.0 * sigma)

    def stretch(values: NDArray[np.float32]) -> NDArray[np.float32]:
        soft = 3.0 * sigma
        scaled: NDArray[np.float32] = np.arcsinh((values - low) / soft) / np.arcsinh((high - low) / soft)
        return scaled

    noise = noise if math.isfinite(noise) and noise > 0 else _sigma(panels[2])
    shares = [stretch(flat[0]), stretch(flat[1]), 0.5 + 0.5 * panels[2] / (DIFFERENCE_SIGMA * noise)]
    canvas = np.full((size, 3 * size + 2 * GAP_PX), _GAP, dtype=np.uint8)
    y, x = np.mgrid[:size, :size]
    hatch = np.where((x + y) % 6 < 2, _STRIPE, _NO_DATA)
    for place, share in enumerate(shares):
        level = np.clip(np.nan_to_num(share), 0, 1) * (_LEVELS - 1) + (_LEVELS if place == 2 else 0)
        panel = np.where(np.isfinite(panels[place]), np.round(level), hatch).astype(np.uint8)
        start = place * (size + GAP_PX)
        canvas[:, start : start + size] = panel[::-1]
    picture = Image.fromarray(canvas)
    picture.putpalette(_palette())
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True, transparency=_GAP)
    return buffer.getvalue()


def _palette() -> list[int]:
    # dark through the noise, so that what stands out of it shows
    stops = [(0, "#d3ecff"), (0.22, "#3b8fe0"), (0.5, "#07090c"), (0.78, "#e07f1c"), (1, "#ffeacb")]
    diverging = LinearSegmentedColormap.from_list("difference", stops)
    grey = LinearSegmentedColormap.from_list("sky", ["#07090c", "#8b929b", "#ffffff"])
    steps = np.linspace(0, 1, _LEVELS)
    colours = np.zeros((256, 3))
    colours[:_LEVELS], colours[_LEVELS : 2 * _LEVELS] = grey(steps)[:, :3], diverging(steps)[:, :3]
    colours[_NO_DATA], colours[_STRIPE] = (0.24, 0.27, 0.31), (0.33, 0.36, 0.40)
    return [int(v) for v in np.round(colours * 255).ravel()]


def _median(values: NDArray[np.float32]) -> float:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if finite.size else 0.0


def _sigma(values: NDArray[np.float32]) -> float:
    """Return a robust sigma that is never zero, whatever comes."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 1.0
    mad = 1.4826 * float(np.median(np.abs(finite - _median(finite))))
    return mad or float(finite.std()) or 1.0
