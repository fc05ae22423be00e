"""One candidate's three panels as a picture."""

import io

import numpy as np
from PIL import Image

from realbogus.pipeline.triptych import triptych_png


def _pixels(panels, **choices):
    return np.asarray(Image.open(io.BytesIO(triptych_png(panels, **choices))).convert("RGBA")).astype(int)


def test_triptych_shows_row_zero_below_and_the_sign_of_the_difference():
    panels = np.zeros((3, 64, 64), np.float32)
    panels[0, 10, 20] = 500.0
    panels[2, 10, 20], panels[2, 40, 20] = 60.0, -60.0
    picture = _pixels(panels, noise=10.0)
    assert picture.shape == (64, 3 * 64 + 2 * 2, 4)
    science, difference = picture[:, :64], picture[:, -64:]
    assert np.unravel_index(science[..., 0].argmax(), (64, 64)) == (63 - 10, 20)
    red, _, blue, _ = difference[63 - 10, 20]
    assert red > blue + 50  # positive is orange
    red, _, blue, _ = difference[63 - 40, 20]
    assert blue > red + 50  # negative is blue
    assert difference[5, 5, :3].max() < 30  # zero is dark


def test_triptych_marks_what_has_no_data():
    panels = np.random.default_rng(0).normal(0, 10, (3, 64, 64)).astype(np.float32)
    panels[:, :, :10] = np.nan
    panels[1] = np.nan
    picture = _pixels(panels)
    assert len(np.unique(picture[:, :10, :3].reshape(-1, 3), axis=0)) == 2  # the two tones of the hatching
    assert len(np.unique(picture[:, 66:130, :3].reshape(-1, 3), axis=0)) == 2
    assert (picture[:, 64:66, 3] == 0).all() and (picture[:, :64, 3] == 255).all()


def test_science_and_reference_share_one_scale():
    panels = np.zeros((3, 64, 64), np.float32)
    panels[:2] += np.random.default_rng(3).normal(0, 5, (64, 64)).astype(np.float32)
    panels[0] += 1000.0  # another sky
    panels[:2, 30:34, 30:34] += 200.0
    picture = _pixels(panels)
    np.testing.assert_allclose(picture[:, :64], picture[:, 66:130], atol=3)
