"""Labels from catalogues, predictions, injections and people; every row accounted for."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.table import Table

from realbogus.curation.assemble import assemble
from realbogus.curation.catalogue import as_catalogue
from realbogus.curation.gather import gather
from realbogus.curation.verdicts import Rules
from realbogus.errors import ConfigError, InputError
from realbogus.stamps import IGNORE, UNLABELLED, StampSet

ARCSEC = 1 / 3600


def labels(made) -> list[int]:
    return made.catalogue["label"].tolist()


def known(**columns) -> Table:
    return as_catalogue(Table(columns))


def test_a_detection_at_a_variable_is_real_what_is_near_is_left_out_the_rest_bogus(make_set):
    dec = np.array([0.5, 2.0, 8.0, 20.0, 0.4]) * ARCSEC
    frames = ["f1", "f1", "f1", "f1", "f2"]
    stamps = make_set(5, peak=[30, 30, 30, 30, -30], ra=np.zeros(5), dec=dec, frame=frames)
    made = assemble({"n": stamps}, variables=known(name=["star"], ra=[0.0], dec=[0.0]))
    # the nearest of each frame; 2 arcsec is within the radius but not the nearest; 8 within the guard of 9; 20 free
    assert labels(made) == [1, IGNORE, IGNORE, 0, 1]
    assert made.catalogue["origin"].tolist() == ["catalogue", "", "", "catalogue", "catalogue"]
    assert made.catalogue["source"].tolist()[0] == "star" == made.catalogue["source"].tolist()[4]
    assert made.catalogue["centre_snr"][4] < -20  # a negative source is a source
    assert made.counts().rows[-1][-1] == 5


def test_a_source_must_be_detected_at_the_centre(make_set):
    stamps = make_set(3, peak=[30, 0, 30], ra=[0.0, 0.0, 1.0], dec=[0.0] * 3, frame=["a", "b", "a"])
    made = assemble({"n": stamps}, variables=known(name=["star"], ra=[0.0], dec=[0.0]))
    assert labels(made) == [1, IGNORE, 0]
    assert made.catalogue["why"][1] == "known variable, not detected at the centre"
    # a stamp that was shifted off its centre
    shifted = StampSet(np.roll(stamps.pixels, 4, axis=3), stamps.catalogue)
    with pytest.raises(InputError, match="0 real"):
        assemble({"n": shifted}, variables=known(name=["star"], ra=[0.0], dec=[0.0]))


def test_no_star_gives_more_than_its_cap_and_the_seed_decides_which(make_set):
    count = 40
    ra = np.where(np.arange(count) < 30, 0.0, 1.0 + np.arange(count))
    stamps = make_set(count, ra=ra, dec=np.zeros(count), frame=[f"f{k}" for k in range(count)])
    variables = known(name=["star"], ra=[0.0], dec=[0.0])
    made = [assemble({"n": stamps}, variables=variables, rules=Rules(cap=7), seed=seed) for seed in (1, 1, 2)]
    rows = [np.flatnonzero(np.array(labels(one)) == 1) for one in made]
    assert [len(part) for part in rows] == [7, 7, 7]
    assert rows[0].tolist() == rows[1].tolist() != rows[2].tolist()
    assert (np.array(made[0].catalogue["why"]) == "over the cap of its source").sum() == 23
    assert labels(assemble({"n": stamps}, variables=variables, rules=Rules(cap=0))).count(1) == 30


def test_moving_objects_are_matched_in_time(make_set):
    stamps = make_set(3, ra=[10.0, 10.0, 11.0], dec=[0.0] * 3, mjd=[60000.0, 60000.5, 60000.0], frame=["a", "b", "a"])
    rows = Table({"name": ["433", "433"], "ra": [10.0, 10.5], "dec": [0.0, 0.0], "mjd": [60000.001, 60000.5]})
    made = assemble({"n": stamps}, solar_system=as_catalogue(rows, moving=True))
    assert labels(made) == [1, 0, 0]  # at 60000.5 it has moved on: what is there is not it
    assert made.catalogue["origin"][0] == "solar-system"
    without = StampSet(stamps.pixels, stamps.catalogue["id", "noise", "fwhm", "ra", "dec"])
    with pytest.raises(InputError, match="no times"):
        assemble({"n": without}, solar_system=as_catalogue(rows, moving=True))


def test_injected_sources_are_mixed_in_at_their_share(make_set):
    night = make_set(60, ra=np.arange(60.0), dec=np.zeros(60), frame=["f"] * 60)
    extra = make_set(50, seed=3, ra=np.arange(50.0) + 100, dec=np.zeros(50), injected=[True] * 40 + [False] * 10)
    variables = known(name=[f"v{k}" for k in range(20)], ra=np.arange(20.0), dec=np.zeros(20))
    made = assemble({"n": night}, variables=variables, injected={"i": extra}, rules=Rules(injected_share=0.2))
    origin = np.array(made.catalogue["origin"])[np.array(labels(made)) == 1]
    assert (origin == "catalogue").sum() == 20
    assert (origin == "injection").sum() == 5  # 5 of 25 is a fifth
    assert len(made.catalogue) == 110
    assert len(set(made.catalogue["id"])) == 110  # both sets call their rows c000...
    wanting = assemble({"n": night}, variables=variables, injected={"i": extra}, rules=Rules(injected_share=0.9))
    assert (np.array(wanting.catalogue["origin"]) == "injection").sum() == 40
    assert wanting.provenance["injected_lacking"] == 140


def test_injected_rows_of_a_night_are_real_and_what_lies_beside_them_is_not_judged(make_set):
    stamps = make_set(
        4, ra=np.full(4, np.nan), dec=np.full(4, np.nan), x=[10.0, 14.0, 10.0, 90.0], y=[10.0] * 4,
        frame=["a", "a", "b", "a"], injected=[True, False, False, False],
    )  # fmt: skip
    made = assemble({"n": stamps})
    assert labels(made) == [1, IGNORE, 0, 0]
    assert made.catalogue["origin"].tolist() == ["injection", "", "detection", "detection"]


def test_pixels_match_pixels_and_never_the_sky(make_set):
    stamps = make_set(2, x=[10.0, 300.0], y=[10.0, 10.0])
    assert labels(assemble({"n": stamps}, variables=known(x=[10.5], y=[11.0]))) == [1, 0]
    with pytest.raises(InputError, match=r"the stamps have x, y, .* has ra, dec: they cannot be matched"):
        assemble({"n": stamps}, variables=known(ra=[1.0], dec=[1.0]))
    with pytest.raises(InputError, match="the stamps have no positions"):
        assemble({"n": make_set(2)}, variables=known(ra=[1.0], dec=[1.0]))


def test_a_row_without_a_place_is_not_called_bogus(make_set):
    stamps = make_set(3, ra=[0.0, 1.0, np.nan], dec=[0.0, 0.0, np.nan])
    made = assemble({"n": stamps}, variables=known(ra=[0.0], dec=[0.0]))
    assert labels(made) == [1, 0, IGNORE]
    assert made.catalogue["why"][2] == "no position or time to match"


def test_unusable_stamps_stay_and_are_not_judged(make_set):
    stamps = make_set(3, ra=[0.0, 1.0, 2.0], dec=[0.0] * 3, usable=[True, True, False])
    assert labels(assemble({"n": stamps}, variables=known(ra=[0.0], dec=[0.0]))) == [1, 0, IGNORE]


def test_what_people_said_stands_before_any_catalogue(make_set):
    stamps = make_set(4, ra=[0.0, 1.0, 2.0, 3.0], dec=[0.0] * 4)
    said = Table({"id": ["c000", "c001", "c002"], "label": [0, 1, IGNORE]})
    made = assemble({"n": stamps}, variables=known(ra=[0.0], dec=[0.0]), verdicts=said)
    assert labels(made) == [0, 1, IGNORE, 0]
    assert made.catalogue["origin"].tolist() == ["vote", "vote", "vote", "catalogue"]
    with pytest.raises(InputError, match="not one of 1 verdicts"):
        assemble({"n": stamps}, variables=known(ra=[0.0], dec=[0.0]), verdicts=Table({"id": ["?"], "label": [1]}))


def test_labels_that_are_there_are_kept_and_assembled_ones_made_anew(make_set):
    stamps = make_set(5, ra=[0.0, 1.0, 2.0, 3.0, 4.0], dec=[0.0] * 5, label=[1, 0, 1, 0, UNLABELLED],
                      origin=["vote", "simulation", "catalogue", "catalogue", ""])  # fmt: skip
    made = assemble({"n": stamps}, variables=known(ra=[3.0], dec=[0.0]))
    assert labels(made) == [1, 0, 0, 1, 0]
    assert made.catalogue["origin"].tolist() == ["vote", "simulation", "catalogue", "catalogue", "catalogue"]
    # without a catalogue there is nothing to make them anew with
    assert labels(assemble({"n": stamps.select([0, 1, 2, 3])})) == [1, 0, 1, 0]


def test_origins_are_weighed_and_left_out(make_set):
    stamps = make_set(4, label=[1, 0, 1, 0], origin=["vote", "vote", "simulation", "simulation"], weight=[1, 1, 2, 2.0])
    made = assemble({"n": stamps}, weights={"vote": 3.0, "simulation": 0.5})
    assert made.catalogue["weight"].tolist() == [3.0, 3.0, 1.0, 1.0]
    less = assemble({"n": stamps}, leave_out=["simulation"])
    assert labels(less) == [1, 0, IGNORE, IGNORE]
    with pytest.raises(InputError, match="no label comes from 'votes': the origins here are simulation, vote"):
        assemble({"n": stamps}, weights={"votes": 1.0})


def test_one_place_in_two_nights_is_one_source(make_set):
    first = make_set(2, ra=[0.0, 5.0], dec=[0.0, 0.0], source=["s000", "s001"])
    second = make_set(2, ra=[5.0, 7.0], dec=[0.1 * ARCSEC, 0.0], source=["s000", "s001"])
    made = assemble({"a": first, "b": second}, variables=known(name=["star"], ra=[0.0], dec=[0.0]))
    source = made.catalogue["source"].tolist()
    assert source[0] == "star"
    assert source[1] == source[2] != source[3]


def test_the_written_set_is_the_assembled_one(make_set, tmp_path):
    both = {
        "a": make_set(3, ra=[0.0, 1.0, 2.0], dec=[0.0] * 3, channels=("science", "difference")),
        "b": make_set(2, ra=[8.0, 9.0], dec=[0.0] * 2, seed=9),
    }
    variables = known(name=["star"], ra=[0.0], dec=[0.0])
    with pytest.raises(InputError, match="--channels difference"):
        assemble(both, variables=variables)
    made = assemble(both, variables=variables, channels=["difference"])
    written = made.save(tmp_path / "set")
    assert written.channels == ("difference",)
    assert np.array_equal(written.pixels, np.concatenate([both["a"].pixels[:, 1:], both["b"].pixels]))
    assert np.array_equal(made.stamps().pixels, written.pixels)
    assert written.labels.tolist() == labels(made)
    assert "known variable" in (tmp_path / "set" / "assembly.md").read_text()
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"radius_arcsec": 0.0}, "radius_arcsec is 0"),
        ({"radius_px": np.nan}, "radius_px is nan"),
        ({"guard": 0.5}, "guard is 0.5"),
        ({"cap": -1}, "cap is -1"),
        ({"least_snr": np.nan}, "least_snr is nan"),
        ({"injected_share": 1.0}, "injected_share is 1"),
    ],
)
def test_impossible_rules_are_refused(choices, words):
    with pytest.raises(ConfigError, match=words):
        Rules(**choices)


def test_what_cannot_be_assembled_is_said(make_set):
    place = {"ra": [0.0, 1.0], "dec": [0.0, 0.0]}
    with pytest.raises(InputError, match="nothing says what is real of 2 stamps"):
        assemble({"n": make_set(2, **place)})
    with pytest.raises(InputError, match="no stamps in them"):
        assemble({"n": make_set(0)})
    with pytest.raises(InputError, match="0 real and 2 bogus"):
        assemble({"n": make_set(2, **place)}, variables=known(ra=[50.0], dec=[0.0]))
    with pytest.raises(InputError, match="label holds 7"):
        assemble({"n": make_set(2, label=[7, 0])})
    with pytest.raises(InputError, match="ids are not unique"):
        assemble({"n": make_set(2, **place).select([0, 0])}, variables=known(ra=[0.0], dec=[0.0]))
    with pytest.raises(InputError, match="cannot be joined"):
        assemble({"a": make_set(1, flags=["x"]), "b": make_set(1, flags=[3])}, variables=known(ra=[0.0], dec=[0.0]))


def test_sets_that_were_assembled_apart_are_joined_by_place(make_set):
    """Both number their sources from the start: the same name is not the same star, nor another name another."""
    sky = [np.array([10.0, 20.0, 30.0]), np.array([30.0, 40.0])]
    sets = {
        name: make_set(len(ra), ra=ra, dec=np.zeros(len(ra)), source=[f"s{k:06d}" for k in range(len(ra))],
                       set=["n"] * len(ra), label=np.zeros(len(ra), int))
        for name, ra in zip("ab", sky, strict=True)
    }  # fmt: skip
    _, table, *_ = gather(sets, {}, None, 1.0)
    source = table["source"].tolist()
    assert source[2] == source[3] and len(set(source)) == 4


def test_a_row_without_a_place_is_of_the_source_that_it_is_named_after(make_set):
    """And it takes the places of no other row away."""
    first = make_set(3, ra=[10.0, np.nan, 20.0], dec=[0.0, np.nan, 0.0], source=["x", "x", "y"])
    second = make_set(3, ra=[10.0, 20.0, np.nan], dec=[0.0, 0.0, np.nan], source=["p", "q", ""])
    _, table, *_ = gather({"a": first, "b": second}, {}, None, 1.0)
    source = table["source"].tolist()
    assert source[0] == source[1] == source[3] and source[2] == source[4] and len(set(source)) == 3
    assert source[5] not in source[:5]
