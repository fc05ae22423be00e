"""The card and the contract."""

import json

import numpy as np
import pytest

from realbogus.classifier import Card, symmetry_views
from realbogus.errors import ModelError
from realbogus.preprocess import Preprocess


def test_a_card_survives_json():
    card = Card(
        "m",
        "compact",
        {"hidden": 3},
        Preprocess(fwhm_px=4.0),
        0.7,
        4,
        None,
        {"a": 1},
        {"seed": 2},
        {"auc": 0.9},
        "2",
    )
    assert Card.from_json(card.to_json()) == card
    assert Card.from_json(card.to_json().encode()).with_threshold(0.1).threshold == 0.1


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda v: v.update(card_version=99), "version 99"),
        (lambda v: v.pop("card_version"), "cannot be read"),
        (lambda v: v.update(surprise=1), "does not fit"),
        (lambda v: v.pop("preprocess"), "does not fit"),
        (lambda v: v["preprocess"].update(fwhm=1), "unknown keys"),
    ],
)
def test_a_foreign_card_is_refused(spoil, message):
    values = json.loads(Card("m", "compact").to_json())
    spoil(values)
    with pytest.raises(ModelError, match=message):
        Card.from_json(json.dumps(values))


def test_text_that_is_no_card_is_refused():
    for text in ("", "[]", "null", "{"):
        with pytest.raises(ModelError):
            Card.from_json(text)


def test_the_views_are_eight_different_symmetries():
    plane = np.arange(9.0, dtype=np.float32).reshape(1, 1, 3, 3)
    views = symmetry_views(plane, 8)
    assert len({view.tobytes() for view in views}) == 8
    assert all(sorted(view.ravel()) == sorted(plane.ravel()) for view in views)
    with pytest.raises(ModelError, match="choose"):
        symmetry_views(plane, 3)
