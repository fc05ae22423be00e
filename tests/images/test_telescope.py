"""Telescope profiles: shipped ones load, own ones are checked at the door."""

from __future__ import annotations

from pathlib import Path

import pytest

from realbogus.errors import ConfigError, InputError, UnknownNameError
from realbogus.images.telescope import Telescope, telescope, telescopes


@pytest.mark.parametrize("name", telescopes())
def test_every_shipped_profile_loads(name: str) -> None:
    profile = telescope(name)
    assert profile.name == name and profile.description
    assert profile.time.start


def test_mini_sitian_numbers() -> None:
    profile = telescope("mini-sitian")
    assert profile.gain.constant == 0.253
    assert profile.read_noise.constant == 1.6
    assert profile.pixel_scale_arcsec.constant == 0.862
    assert profile.saturation.constant == 65535


def test_an_object_is_returned_as_it_is() -> None:
    mine = Telescope("mine")
    assert telescope(mine) is mine


def test_unknown_name_lists_the_known() -> None:
    with pytest.raises(UnknownNameError, match="generic, mini-sitian, whipple"):
        telescope("hubble")


@pytest.mark.parametrize("as_text", [True, False])
def test_own_file(tmp_path: Path, as_text: bool) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[gain]\nkeywords = ["MYGAIN"]\nconstant = 2\n[band]\nconstant = "g"\n')
    profile = telescope(str(path) if as_text else path)
    assert (profile.name, profile.gain.keywords, profile.gain.constant) == ("mine", ("MYGAIN",), 2.0)
    assert profile.band.constant == "g"


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("gian = 1", "unknown gian"),
        ("[gain]\nkeyword = ['G']", "unknown keyword"),
        ("[time]\nend = ['E']", "unknown end"),
        ("gain = 1.5", "must be a table"),
        ("[gain]\nkeywords = 'GAIN'", "must be a list"),
        ("[gain]\nkeywords = [1]", "must be a list"),
        ("[gain]\nconstant = 'high'", "must be a number"),
        ("[gain]\nconstant = -1", "above 0"),
        ("[gain]\nconstant = true", "must be a number"),
        ("[band]\nconstant = 3", "must be text"),
        ("name = 3", "must be text"),
        ("[gain", "not valid TOML"),
    ],
)
def test_a_wrong_file_is_a_config_error(tmp_path: Path, content: str, what: str) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=what):
        telescope(path)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        telescope(tmp_path / "none.toml")
