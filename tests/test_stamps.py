"""Stamp sets: rows and stamps stay together, on disk and off."""

import json

import numpy as np
import pytest
from astropy.table import MaskedColumn, Table, vstack

from realbogus.errors import InputError, OutputError
from realbogus.stamps import FILES, UNLABELLED, StampSet


def make(count=5, channels=("difference",)):
    rng = np.random.default_rng(1)
    rows = Table(
        {
            "id": [f"s{k}" for k in range(count)],
            "noise": np.full(count, 2.0, np.float32),
            "fwhm": np.full(count, 3.0, np.float32),
            "score": MaskedColumn(np.linspace(0, 1, count), mask=np.arange(count) == 2),
        }
    )
    return StampSet(
        rng.normal(size=(count, len(channels), 64, 64)).astype(np.float32), rows, channels, {"from": "test"}
    )


def test_a_set_comes_back_from_disk_as_it_was(tmp_path):
    stamps = make(channels=("difference", "science"))
    back = StampSet.load(stamps.save(tmp_path / "set"))
    np.testing.assert_array_equal(back.pixels, stamps.pixels)
    assert isinstance(back.pixels, np.memmap)
    assert back.channels == stamps.channels and back.provenance == {"from": "test"}
    assert list(back.catalogue["id"]) == list(stamps.catalogue["id"])
    assert back.catalogue["score"].mask.tolist() == [False, False, True, False, False]


def test_selection_keeps_rows_with_their_stamps():
    stamps = make()
    chosen = stamps.select([3, 0])
    assert list(chosen.catalogue["id"]) == ["s3", "s0"]
    np.testing.assert_array_equal(chosen.pixels[0], stamps.pixels[3])
    assert len(stamps.select(np.array([True, False, False, False, True]))) == 2


def test_joining_keeps_the_order_and_refuses_other_channels():
    one = make(2)
    joined = StampSet.concatenate([one, make(3)])
    assert len(joined) == 5
    np.testing.assert_array_equal(joined.pixels[:2], one.pixels)
    with pytest.raises(InputError, match="differ"):
        StampSet.concatenate([one, make(2, ("difference", "science"))])
    with pytest.raises(InputError, match="no stamp sets"):
        StampSet.concatenate([])


def test_labels_are_unlabelled_where_there_are_none():
    assert (make().labels == UNLABELLED).all()


@pytest.mark.parametrize(
    ("shape", "rows", "message"),
    [
        ((5, 64, 64), 5, r"\(N, C, S, S\)"),
        ((5, 2, 64, 64), 5, "channel names"),
        ((4, 1, 64, 64), 5, "one row a stamp"),
    ],
)
def test_shapes_that_disagree_are_refused(shape, rows, message):
    with pytest.raises(InputError, match=message):
        StampSet(np.zeros(shape, np.float32), make(rows).catalogue)


def test_a_catalogue_without_noise_is_refused():
    rows = make().catalogue
    rows.remove_column("noise")
    with pytest.raises(InputError, match="noise"):
        StampSet(np.zeros((5, 1, 64, 64), np.float32), rows)


def test_damaged_and_missing_sets_say_what_was_expected(tmp_path):
    with pytest.raises(InputError, match="expected a folder"):
        StampSet.load(tmp_path / "nothing")
    folder = make().save(tmp_path / "set")
    pixels = (folder / "pixels.npy").read_bytes()
    (folder / "pixels.npy").write_bytes(pixels[: len(pixels) // 2])
    with pytest.raises(InputError, match="no readable stamp set"):
        StampSet.load(folder)
    (folder / "pixels.npy").write_bytes(pixels)
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps(card | {"format": 99}))
    with pytest.raises(InputError, match="format 99"):
        StampSet.load(folder)
    for spoiled in ([], 3, None):
        (folder / "card.json").write_text(json.dumps(spoiled))
        with pytest.raises(InputError, match="format None"):
            StampSet.load(folder)
    for spoiled in ({"format": card["format"]}, card | {"channels": 5}, card | {"provenance": "mine"}):
        (folder / "card.json").write_text(json.dumps(spoiled))
        with pytest.raises(InputError, match=r"card\.json lacks its channels"):
            StampSet.load(folder)


def test_an_unwritable_folder_is_an_output_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="may write"):
        make().save(tmp_path / "file" / "set")


def test_what_has_no_label_is_not_bogus() -> None:
    rows = Table({"id": ["a", "b", "c"], "noise": np.ones(3), "fwhm": np.ones(3)})
    pixels = np.zeros((3, 1, 8, 8), np.float32)
    for label in (MaskedColumn([1, 0, 0], mask=[False, True, False]), [1.0, np.nan, 0.0]):
        rows["label"] = label
        assert StampSet(pixels, rows, ("difference",)).labels.tolist() == [1, UNLABELLED, 0]
    joined = vstack([rows[:1], rows["id", "noise", "fwhm"][1:2]])
    assert StampSet(pixels[:2], joined, ("difference",)).labels.tolist() == [1, UNLABELLED]
    for label, said in ((["real", "", ""], "'real'"), ([0.9, 0.0, 1.0], "0.9"), ([2, 0, 1], "2")):
        rows["label"] = label
        with pytest.raises(InputError, match=f"the column label holds {said}, expected 1, 0"):
            _ = StampSet(pixels, rows, ("difference",)).labels


def test_a_loaded_set_may_be_saved_over_itself(tmp_path):
    stamps = make()
    before = np.array(stamps.pixels)
    loaded = StampSet.load(stamps.save(tmp_path / "set"))
    loaded.catalogue["noise"][:] = 7.0
    again = StampSet.load(loaded.save(tmp_path / "set"))
    np.testing.assert_array_equal(again.pixels, before)
    assert again.noise.tolist() == [7.0] * 5
    assert sorted(path.name for path in (tmp_path / "set").iterdir()) == [
        "card.json",
        "catalogue.parquet",
        "pixels.npy",
    ]


def test_a_save_that_fails_leaves_the_earlier_set(tmp_path, monkeypatch):
    kept = make()
    kept.save(tmp_path / "set")

    def full(*args, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("realbogus.stamps.write_parquet", full)
    with pytest.raises(OutputError, match="No space left"):
        make(count=3).save(tmp_path / "set")
    np.testing.assert_array_equal(StampSet.load(tmp_path / "set").pixels, kept.pixels)
    assert sorted(path.name for path in (tmp_path / "set").iterdir()) == sorted(FILES)


@pytest.mark.parametrize("name", ["weights.safetensors", "bundle.json", "card.json"])
def test_stamps_are_not_written_over_a_model(tmp_path, name):
    (tmp_path / name).write_text("{}")
    with pytest.raises(OutputError, match=f"holds a model .*{name}"):
        make().save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_masked_noise_is_no_number():
    stamps = make(count=3)
    stamps.catalogue["noise"] = MaskedColumn([2.0, 1e20, 2.0], mask=[False, True, False])
    np.testing.assert_array_equal(stamps.noise, np.float32([2.0, np.nan, 2.0]))


def test_ids_of_two_kinds_are_not_joined():
    other = make()
    other.catalogue["id"] = np.arange(5)
    with pytest.raises(InputError, match="kind of a column"):
        StampSet.concatenate([make(), other])
