"""Packets out of Avro: containers and messages, and what is wrong with those that give none."""

from __future__ import annotations

import copy
import json
import struct
from pathlib import Path
from typing import Any

import fastavro
import made
import numpy as np
import pytest

from realbogus.adapters import Packet, Unusable, packet_schema, read_packets
from realbogus.adapters.containers import _CODECS
from realbogus.errors import InputError

PLANES = [made.noise((63, 63), seed) for seed in range(3)]
RECORDS = [made.ztf_record(PLANES, 500, 600, number) for number in (1, 2, 3)]


def _ids(found: list[Packet | Unusable]) -> list[str]:
    return [each.id if isinstance(each, Packet) else each.cause for each in found]


@pytest.mark.parametrize("codec", sorted(_CODECS))
@pytest.mark.parametrize("interval", [1, 10**9], ids=["blocks", "block"])
def test_every_record_of_a_file_is_read(tmp_path: Path, codec: str, interval: int) -> None:
    data = made.container(made.ZTF_SCHEMA, RECORDS, codec=codec, sync_interval=interval)
    (tmp_path / "a.avro").write_bytes(data)
    for source in (data, tmp_path / "a.avro"):
        found = list(read_packets(source))
        assert _ids(found) == ["1", "2", "3"]
        assert [each.record for each in found] == [0, 1, 2]
        first = found[0]
        assert isinstance(first, Packet) and first.kind == "ztf" and first.schema is not None
        for channel, plane in zip(("difference", "science", "reference"), PLANES, strict=True):
            np.testing.assert_array_equal(first.cutouts[channel].pixels, plane)


def test_scalars_are_kept_and_earlier_detections_are_not_decoded() -> None:
    (found,) = read_packets(made.container(made.ZTF_SCHEMA, RECORDS[:1]))
    assert isinstance(found, Packet) and found.schema is not None
    assert found.metadata["rb"] == pytest.approx(0.91) and found.metadata["drb"] is None
    assert found.metadata["schemavsn"] == "3.3" and "prv_candidates" not in found.metadata
    expected = RECORDS[0]["candidate"].keys() | {"schemavsn", "objectId", "candid"}
    assert found.metadata.keys() == expected
    assert found.schema.types["rb"] == "float32" and found.schema.types["pid"] == "int64"
    assert found.schema.reader is not None
    assert "prv_candidates" not in {field["name"] for field in found.schema.reader["fields"]}


@pytest.mark.parametrize("prefix", [b"", b"\0" + struct.pack(">i", 4711)], ids=["plain", "confluent"])
def test_a_message_is_read_by_the_schema_that_is_given(tmp_path: Path, prefix: bytes) -> None:
    schema = packet_schema(made.ZTF_SCHEMA)
    data = prefix + made.message(made.ZTF_SCHEMA, RECORDS[1])
    (tmp_path / "message").write_bytes(data)
    for source in (data, tmp_path / "message"):
        for given in (schema, made.ZTF_SCHEMA, json.dumps(made.ZTF_SCHEMA), fastavro.parse_schema(made.ZTF_SCHEMA)):
            assert _ids(list(read_packets(source, schema=given))) == ["2"]
    (cut,) = read_packets(data[:900], schema=schema)
    assert isinstance(cut, Unusable) and cut.cause == "damaged"


def test_a_schema_of_nothing_known_lists_the_known() -> None:
    with pytest.raises(InputError, match=r"rubin has .*diaSource.*; ztf has candid") as caught:
        packet_schema({"type": "record", "name": "weather", "fields": [{"name": "wind", "type": "float"}]})
    assert "'weather' with the fields wind" in str(caught.value)
    with pytest.raises(InputError, match="no Avro schema"):
        packet_schema("{}")


def test_files_without_packets_say_what_they_are(tmp_path: Path) -> None:
    whole = made.container(made.ZTF_SCHEMA, RECORDS, sync_interval=1)
    other = {"type": "record", "name": "weather", "fields": [{"name": "wind", "type": "float"}]}
    cases = {
        "empty": (b"", "empty", "no bytes"),
        "text": (b"candid,rb\n1,0.5\n", "foreign", "begins with b'cand'"),
        "head": (whole[:300], "damaged", "within the header"),
        "other": (made.container(other, [{"wind": 3.0}]), "foreign", "'weather' with the fields wind is no known"),
        "none": (made.container(made.ZTF_SCHEMA, []), "empty", "without a record"),
    }
    for name, (data, cause, words) in cases.items():
        (tmp_path / name).write_bytes(data)
        (found,) = read_packets(tmp_path / name)
        assert isinstance(found, Unusable)
        assert (found.file, found.record, found.cause) == (name, -1, cause)
        assert words in found.reason
    (found,) = read_packets(tmp_path)  # a folder is no file
    assert isinstance(found, Unusable) and "cannot be read" in found.reason


def test_a_file_that_is_cut_short_gives_what_is_whole() -> None:
    blocks = made.container(made.ZTF_SCHEMA, RECORDS, sync_interval=1)
    found = list(read_packets(blocks[:-5000]))
    assert _ids(found) == ["1", "2", "damaged"]
    assert "cut short: a block of 1 record" in found[-1].reason  # type: ignore[union-attr]


def test_damage_costs_a_block_and_not_the_file() -> None:
    data = bytearray(made.container(made.ZTF_SCHEMA, RECORDS, sync_interval=1))
    sync = bytes(data[-16:])
    second = data.index(sync, data.index(sync) + 16) + 16 + 8  # behind the lengths of the second block
    data[second : second + 4] = b"\xff" * 4
    found = list(read_packets(bytes(data)))
    assert _ids(found) == ["1", "damaged", "3"]
    assert [each.record for each in found] == [0, 1, 2]
    end = data.index(sync, second)
    data[end : end + 16] = bytes(16)
    assert _ids(list(read_packets(bytes(data)))) == ["1", "damaged", "3"]


def test_one_block_with_damage_says_how_many_are_lost() -> None:
    data = bytearray(made.container(made.ZTF_SCHEMA, RECORDS, sync_interval=10**9))
    start = data.index(b"ZTF19aaa0002") - 1  # the length of a word, now far too long
    data[start : start + 2] = b"\xff\xff"
    found = list(read_packets(bytes(data)))
    assert _ids(found) == ["1", "damaged"]
    assert "1 more of its block lost" in found[1].reason  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("change", "cause", "words"),
    [
        ({"cutoutTemplate": None}, "no cutout", "cutoutTemplate is empty"),
        ({"cutoutScience": {"fileName": "", "stampData": b""}}, "no cutout", "cutoutScience is empty"),
        ({"cutoutDifference": {"fileName": "", "stampData": b"GIF"}}, "bad cutout", "cutoutDifference: no FITS"),
    ],
)
def test_a_record_without_its_cutouts_is_listed_by_its_number(change: dict[str, Any], cause: str, words: str) -> None:
    found = list(read_packets(made.container(made.ZTF_SCHEMA, [RECORDS[0], RECORDS[1] | change, RECORDS[2]])))
    assert _ids(found) == ["1", cause, "3"]
    assert isinstance(found[1], Unusable)
    assert (found[1].id, found[1].record) == ("2", 1) and words in found[1].reason


def _with(field: dict[str, Any], position: int = 0) -> dict[str, Any]:
    schema = copy.deepcopy(made.ZTF_SCHEMA)
    schema["fields"].insert(position, field)
    return schema


def _record(name: str, *fields: Any) -> dict[str, Any]:
    return {
        "type": "record",
        "name": name,
        "fields": [{"name": f"f{n}", "type": kind} for n, kind in enumerate(fields)],
    }


def _tower() -> dict[str, Any]:
    kind: Any = _record("r0", *["null"] * 20)
    for level in range(1, 12):
        kind = _record(f"r{level}", kind, *[f"r{level - 1}"] * 19)
    return kind


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ({"type": "array", "items": "null"}, "take no bytes"),
        ({"type": "array", "items": _record("nothing", "null", "null")}, "take no bytes"),
        ({"type": "array", "items": _record("little", "boolean", *["null"] * 900)}, "take no bytes"),
        (_record("tree", ["null", "tree"]), "within itself"),
        (_record("forest", {"type": "array", "items": "forest"}), "within itself"),
        (_tower(), "more than 20000 values"),
    ],
    ids=["array", "records", "mixed", "union", "list", "tower"],
)
def test_schemas_that_could_go_on_for_ever_are_refused(kind: Any, words: str) -> None:
    schema = _with({"name": "evil", "type": kind})
    with pytest.raises(InputError, match=words):
        packet_schema(schema)


def test_lengths_that_nothing_stands_behind_cost_nothing() -> None:
    data = made.container(made.ZTF_SCHEMA, RECORDS[:1])
    sync = data[-16:]
    start = data.index(sync) + 16
    for count, size in ((2**60, 2**62), (1, 2**62), (2**62, 4), (1, -5), (-1, 5)):
        forged = data[:start] + _zigzag(count) + _zigzag(size) + b"\1\2\3\4" + sync
        (found,) = read_packets(forged)
        assert isinstance(found, Unusable) and found.cause == "damaged"


def test_a_block_that_unpacks_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("realbogus.adapters.containers.LARGEST_BLOCK", 10_000)
    (found,) = read_packets(made.container(made.ZTF_SCHEMA, RECORDS[:1], codec="deflate"))
    assert isinstance(found, Unusable) and found.cause == "refused"


def _zigzag(value: int) -> bytes:
    value = (value << 1) ^ (value >> 63)
    out = bytearray()
    while value > 0x7F:
        out.append((value & 0x7F) | 0x80)
        value >>= 7
    return bytes([*out, value])


def test_numbers_stay_numbers_where_a_schema_calls_them_times() -> None:
    schema = copy.deepcopy(made.ZTF_SCHEMA)
    candidate = schema["fields"][3]["type"]["fields"]
    candidate.append({"name": "made", "type": {"type": "long", "logicalType": "timestamp-micros"}})
    record = copy.deepcopy(RECORDS[0])
    record["candidate"]["made"] = 1_700_000_000_000_000
    (found,) = read_packets(made.container(schema, [record]))
    assert isinstance(found, Packet) and found.metadata["made"] == 1_700_000_000_000_000


def test_without_fastavro_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "fastavro", None)
    with pytest.raises(InputError, match=r"pip install \"realbogus\[alerts\]\""):
        list(read_packets(b"Obj\x01"))
