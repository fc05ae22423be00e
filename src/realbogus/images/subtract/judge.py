"""The judge: no bad difference image goes on in silence.

HOTPANTS, for one, can leave with status 0 and an image that is 98 % NaN.
"""

from __future__ import annotations

import numpy as np

from ...errors import SubtractionError
from .difference import Difference
from .stars import MIN_STARS, Scale

__all__ = ["MAX_NOISE_RATIO", "MAX_SCALE_ERROR", "MIN_FINITE_FRACTION", "MIN_NOISE_RATIO", "judge"]

#: Least share of unmasked pixels.
MIN_FINITE_FRACTION = 0.1
#: Largest relative disagreement of the kernel's sum with apertures (three of their errors come on top).
MAX_SCALE_ERROR = 0.15
#: Blank sky quieter than this share of its expected noise was smoothed or filled.
MIN_NOISE_RATIO = 0.5
#: Blank sky noisier than this many times what is expected carries structure.
MAX_NOISE_RATIO = 2.5


def judge(difference: Difference, scale: Scale, *, name: str = "frame") -> None:
    """Refuse a difference image that is unfit for detection.

    Parameters
    ----------
    difference : Difference
    scale : Scale
        Flux ratio science / reference from apertures, independent of any kernel.
    name : str
        Of the frame, for the message.

    Raises
    ------
    SubtractionError
        Says what was measured, what was expected and what to do.
    """
    d = difference
    method = f"{name}, {d.method}"
    if not np.isfinite(d.pixels).all() or not np.isfinite(d.noise).all():
        raise SubtractionError(f"{method}: the difference or its noise holds NaN: leave the frame out")
    if not d.finite_fraction >= MIN_FINITE_FRACTION:
        raise SubtractionError(
            f"{method}: {100 * d.finite_fraction:.1f} % of the difference has data, at least "
            f"{100 * MIN_FINITE_FRACTION:.0f} % are needed: choose reference frames with more overlap, "
            "or another subtraction method"
        )
    if d.stars < MIN_STARS:
        raise SubtractionError(
            f"{method}: {d.stars} stars are behind the kernel, at least {MIN_STARS} are needed: "
            "use a deeper reference, or leave the frame out"
        )
    off = d.scale / scale.value - 1
    allowed = MAX_SCALE_ERROR + 3 * scale.error / abs(scale.value)
    if not abs(off) <= allowed:
        raise SubtractionError(
            f"{method}: the kernel's sum says a flux ratio of {d.scale:.4g}, apertures of "
            f"{scale.stars} stars say {scale.value:.4g}; they may differ by {100 * allowed:.0f} %: "
            "check the alignment, or leave the frame out"
        )
    if not (d.sigma > 0 and MIN_NOISE_RATIO <= d.noise_ratio <= MAX_NOISE_RATIO):
        raise SubtractionError(
            f"{method}: blank sky has {d.noise_ratio:.2f} times the expected noise, expected "
            f"{MIN_NOISE_RATIO} to {MAX_NOISE_RATIO}: check gain and noise map, clouds and alignment, "
            "or leave the frame out"
        )
