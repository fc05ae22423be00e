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
    for text in ("", "[]", "null", "{", "[" * 100_000, b"\xff\xfe"):
        with pytest.raises(ModelError, match=r"a/card\.json cannot be read"):
            Card.from_json(text, source="a/card.json")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture_options": None}, "architecture_options is None"),
        ({"metrics": []}, r"metrics is \[\] \(list\), expected a table"),
        ({"config": "x"}, "config is 'x'"),
        ({"name": 3}, r"name is 3 \(int\), expected str"),
        ({"threshold": "0.5"}, "threshold is '0.5'"),
        ({"threshold": None}, "threshold is None"),
        ({"threshold": float("nan")}, "threshold is nan"),
        ({"views": 3}, "views is 3: choose one of 1, 2, 4, 8"),
        ({"views": True}, "views is True"),
        ({"calibration": []}, r"calibration is \[\]"),
        ({"version": 2}, "version is 2"),
        ({"preprocess": None}, "preprocess is None"),
        ({"preprocess": {"channels": 3}}, "preprocess.channels is 3"),
        ({"preprocess": {"channels": [1, 2]}}, "preprocess.channels is"),
        ({"preprocess": {"size": "32"}}, "preprocess.size is '32'"),
        ({"card_version": 2}, "has version 2, this realbogus reads 1: export"),
        ({"card_version": True}, "has version True"),
        ({"card_version": [1]}, r"has version \[1\]"),
    ],
)
def test_a_damaged_card_is_refused_by_name(changes, message):
    values = json.loads(Card("m", "compact").to_json()) | changes
    with pytest.raises(ModelError, match=message) as caught:
        Card.from_json(json.dumps(values), source="models/x/card.json")
    assert "the card of models/x/card.json" in str(caught.value)


@pytest.mark.parametrize("key", sorted(set(json.loads(Card("m", "compact").to_json())) - {"card_version"}))
def test_no_key_of_a_card_may_be_missing(key):
    values = json.loads(Card("m", "compact").to_json())
    del values[key]
    with pytest.raises(ModelError, match=f"lacks the keys {key}"):
        Card.from_json(json.dumps(values))


def test_the_views_are_eight_different_symmetries():
    plane = np.arange(9.0, dtype=np.float32).reshape(1, 1, 3, 3)
    views = symmetry_views(plane, 8)
    assert len({view.tobytes() for view in views}) == 8
    assert all(sorted(view.ravel()) == sorted(plane.ravel()) for view in views)
    with pytest.raises(ModelError, match="choose"):
        symmetry_views(plane, 3)
