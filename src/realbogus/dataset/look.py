"""The look that people take at a real before it is learned from (section 2.2.1).

"Some sample centers showed significant spurious features due to suboptimal image subtraction, while others
lacked source features due to weak variability signals." The truth of a simulation says nothing of either, so
here a rule on the difference image does what eyes did.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

__all__ = ["ALONE", "LEAST_PEAK", "look"]

#: A source is seen where it stands so high above the noise, in sigma of the smoothed stamp.
LEAST_PEAK = 8.0
#: What else may be there in parts of the source's own height: within three FWHM of it, and anywhere.
ALONE = (0.5, 2.0)

_CENTRE_PX = 2.5
_FWHM_TO_SIGMA = 2.0 * np.sqrt(2.0 * np.log(2.0))


def look(difference: NDArray[np.floating], fwhm: float) -> str:
    """Say why people would set the stamp of a real aside.

    The stamp is smoothed by its own point spread function, as an eye does. Then the highest point at the
    centre is the source, and what a star of that height does not explain is false.

    Parameters
    ----------
    difference : ndarray of float, shape (H, W)
        Difference image, the source in the middle and positive (times its sign).
    fwhm : float
        Of a star in it, pixels.

    Returns
    -------
    str
        "" for a stamp to keep; "faint": no source is seen; "spurious": something else near it is at least half
        as bright, or anything in the stamp twice as bright.

    Examples
    --------
    >>> y, x = np.mgrid[:64, :64]
    >>> star = 900.0 * np.exp(-((x - 32.0) ** 2 + (y - 32.0) ** 2) / (2 * 1.5**2))
    >>> noise = np.random.default_rng(0).normal(0, 10, (64, 64))
    >>> look(star + noise, 3.5), look(0.01 * star + noise, 3.5), look(star + noise - 0.7 * np.roll(star, 6, 1), 3.5)
    ('', 'faint', 'spurious')
    """
    sigma = fwhm / _FWHM_TO_SIGMA
    seen = gaussian_filter(np.asarray(difference, dtype=float), sigma)
    seen -= np.median(seen)
    noise = 1.4826 * float(np.median(np.abs(seen)))
    y, x = np.indices(seen.shape)
    middle = [(side - 1) / 2 for side in seen.shape]
    centre = np.where(np.hypot(y - middle[0], x - middle[1]) <= _CENTRE_PX, seen, -np.inf)
    row, column = np.unravel_index(int(np.argmax(centre)), seen.shape)
    peak = float(seen[row, column])
    if not peak > 0 or peak < LEAST_PEAK * noise:
        return "faint"
    away = (y - row - _between(seen[row - 1 : row + 2, column])) ** 2
    away = away + (x - column - _between(seen[row, column - 1 : column + 2])) ** 2
    # a star of that FWHM smoothed by itself is wider by the root of two
    rest = np.abs(seen - peak * np.exp(-away / (4.0 * sigma**2)))
    near, anywhere = ALONE
    spurious = rest[away <= (3.0 * fwhm) ** 2].max() > near * peak or rest.max() > anywhere * peak
    return "spurious" if spurious else ""


def _between(three: NDArray[np.float64]) -> float:
    """Return where between pixels the top lies, by a parabola through three of them."""
    before, top, after = three
    bend = before - 2.0 * top + after
    return float(np.clip(0.5 * (before - after) / bend, -0.5, 0.5)) if bend < 0 else 0.0
