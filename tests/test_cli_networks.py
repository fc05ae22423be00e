"""The verb `networks`."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from realbogus.architectures import ARCHITECTURES
from realbogus.architectures import facts as measuring
from realbogus.cli import main


def test_every_network_is_listed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def measured(name: str, **options: object) -> measuring.Facts:
        assert options == {"in_channels": 1, "size": 64, "speed": True, "seconds": 0.5}
        return measuring.Facts(
            name, measuring.PAPER_NAMES.get(name, ""), 132_868_840, 34_402_945, 1, 987_654_321, 12345
        )

    monkeypatch.setattr(measuring, "facts", measured)
    assert main(["networks"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name in ARCHITECTURES:
        (line,) = [line for line in lines if line.split()[:1] == [name]]
        # whole, in a terminal of 80 columns
        paper = [measuring.PAPER_NAMES[name]] if name in measuring.PAPER_NAMES else []
        assert line.split()[1:] == [*paper, "132.9", "34.40", "987.7", "12,345"]
        assert len(line) <= 80


def test_what_table_2_has_otherwise_is_said_below(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["networks", "--networks", "vgg11", "compact", "--no-speed"]) == 0
    said = capsys.readouterr().out
    assert "* Table 2 of the paper has 138.0 M for VGGNet11: that is the size of VGG16; VGG11 has 132.9 M." in said
    assert said.count("* ") == 1
    assert said.index("* Table 2") > said.index("compact")


def test_names_and_place_are_looked_at_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(measuring, "facts", lambda *_, **__: pytest.fail("something was measured"))
    assert main(["networks", "--networks", "compact", "vgg99"]) == 1
    assert "known are compact" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    for out in (tmp_path, tmp_path / "file" / "x.json"):
        assert main(["networks", "--networks", "compact", "-o", str(out)]) == 1
        assert f"cannot write {out}" in capsys.readouterr().err
    monkeypatch.setattr(measuring, "facts", lambda *_, **__: measuring.Facts("compact", "", 1, 1, 1, 1, 1.0))
    assert main(["networks", "--networks", "compact", "-o", str(tmp_path / "x.json")]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "x.json"]


def test_numbers_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "stamps_per_second", lambda network, in_channels, size, **_: in_channels * size)
    out = tmp_path / "made" / "networks.json"
    command = ["networks", "--networks", "compact", "shufflenetv2_x0_5", "--size", "40", "--out", str(out)]
    assert main([*command, "--channels", "3"]) == 0
    first, second = json.loads(out.read_text())
    assert (first["name"], second["name"], second["paper"]) == ("compact", "shufflenetv2_x0_5", "ShuffleNetV2_x0_5")
    assert second["parameters_imagenet"] == 1_366_792
    assert first["stamps_per_s"] == 120
    assert main([*command, "--no-speed"]) == 0
    assert json.loads(out.read_text())[0]["stamps_per_s"] is None
    assert not math.isnan(json.loads(out.read_text())[0]["multiply_adds"])


def test_what_it_cannot_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["networks", "--no-speed", "--size", "16"]) == 1
    assert "too small" in capsys.readouterr().err
    assert main(["networks", "--networks", "vgg99"]) == 1
    assert "known are compact" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert main(["networks", "--out", str(tmp_path / "file" / "x.json")]) == 1
    assert "cannot write" in capsys.readouterr().err
