"""What a night leaves behind: candidates in every format, stamps, summary."""

from __future__ import annotations

import json
import resource
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table, vstack

from ..errors import ConfigError
from ..files import plain, write_text
from ..stamps import StampSet
from ..tables import write_parquet
from .settings import FORMATS

__all__ = ["check_formats", "collect", "for_votable", "peak_rss_mb", "stack", "write_candidates", "write_json"]

_COLUMNS = (
    "rank", "id", "source", "frame", "mjd", "x", "y", "ra", "dec", "score", "real", "snr", "flux", "flux_err", "sign",
    "epochs", "known", "flags", "flag_names", "missing", "fwhm", "noise", "ref_x", "ref_y", "peak", "a", "b", "theta",
    "npix", "threshold", "model", "model_version", "injected", "injected_snr",
)  # fmt: skip


def check_formats(also: Sequence[str]) -> tuple[str, ...]:
    """Return the formats, or a `ConfigError` that lists the known ones."""
    unknown = [name for name in also if name not in FORMATS]
    if unknown:
        raise ConfigError(f"unknown format {', '.join(unknown)}: known are {', '.join(FORMATS)}")
    return tuple(dict.fromkeys(also))


def stack(tables: Sequence[Table]) -> Table:
    """Join tables row by row; an empty list gives an empty table."""
    return vstack(list(tables), metadata_conflicts="silent") if tables else Table()


def rank(rows: Table) -> Table:
    """Return the rows best first, unscored last; ties by S/N, then by id, so that every run agrees."""
    if not len(rows):
        rows["rank"] = np.zeros(0, dtype=np.int32)
        return rows
    order = np.lexsort((np.asarray(rows["id"]), -np.abs(np.asarray(rows["snr"])), -rows["score"].filled(-1.0)))
    ranked = rows[order]
    ranked["rank"] = np.arange(1, len(ranked) + 1, dtype=np.int32)
    return ranked


def no_rows() -> Table:
    """Return the catalogue of a night without detections: every column, no row."""
    text = {"id", "source", "frame", "known", "flag_names", "model", "model_version"}
    whole = {"rank", "epochs", "flags", "npix", "sign"}
    truth = {"real", "injected"}
    kinds = {
        name: str if name in text else np.int32 if name in whole else bool if name in truth else float
        for name in _COLUMNS
    }
    return Table({name: np.zeros(0, kind) for name, kind in kinds.items()})


def in_order(rows: Table) -> Table:
    """Return the columns in their published order, further ones last."""
    names = [name for name in _COLUMNS if name in rows.colnames]
    return rows[names + [name for name in rows.colnames if name not in names]]


def collect(parts: Sequence[Path], rows: Table, folder: Path) -> None:
    """Write the stamps of all frames as one set, in the order of `rows`, a frame at a time in memory.

    Parameters
    ----------
    parts : sequence of Path
        Folder of each frame's result.
    rows : Table
        The night's catalogue; `part` and `row` say where each stamp lies.
    folder : Path
        The stamp set to write.
    """
    folder.mkdir(parents=True, exist_ok=True)
    first = StampSet.load(parts[0])
    shape = (len(rows), *first.pixels.shape[1:])
    folder.mkdir(parents=True, exist_ok=True)
    pixels = np.lib.format.open_memmap(folder / "pixels.npy", mode="w+", dtype=np.float32, shape=shape)
    for number, part in enumerate(parts):
        mine = np.flatnonzero(np.asarray(rows["part"]) == number)
        if len(mine):
            pixels[mine] = StampSet.load(part).pixels[np.asarray(rows["row"])[mine]]
    pixels.flush()
    catalogue = rows.copy(copy_data=False)
    catalogue.remove_columns(["part", "row"])
    write_parquet(catalogue, folder / "catalogue.parquet")
    StampSet.write_card(folder, first.channels, shape, {"origin": "night"})


def write_candidates(rows: Table, folder: Path, also: Sequence[str]) -> None:
    """Write `candidates.parquet` and the formats of `also` beside it."""
    write_parquet(rows, folder / "candidates.parquet")
    writers: dict[str, Callable[[Path], None]] = {
        "csv": lambda path: rows.write(path, format="ascii.csv", overwrite=True),
        "ecsv": lambda path: rows.write(path, format="ascii.ecsv", overwrite=True),
        "votable": lambda path: for_votable(rows).write(path, format="votable", overwrite=True),
        "reg": lambda path: _write_regions(rows, path),
    }
    suffix = {"votable": "vot"}
    for name in also:
        writers[name](folder / f"candidates.{suffix.get(name, name)}")


def for_votable(rows: Table) -> Table:
    """Return the table with signed bytes as 16-bit integers and the largest whole numbers as text.

    VOTable has no signed byte, and no unsigned number of 64 bits.
    """
    wide = rows.copy(copy_data=False)
    for name in rows.colnames:
        if rows[name].dtype == np.int8:
            wide[name] = rows[name].astype(np.int16)
        elif rows[name].dtype == np.uint64:
            wide[name] = rows[name].astype(str)
    return wide


def _write_regions(rows: Table, path: Path) -> None:
    """DS9 regions of the candidates above threshold, in sky coordinates where they are known."""
    lines = ["# Region file format: DS9 version 4.1", "global color=cyan"]
    for row in rows[np.asarray(rows["real"], dtype=bool)]:
        text = " ".join(f"{row['score']:.3f} {row['frame']}".replace("{", "(").replace("}", ")").split())
        if np.isfinite(row["ra"]):
            place = f'fk5; circle({row["ra"]:.7f},{row["dec"]:.7f},10")'
        else:
            place = f"image; circle({row['x'] + 1:.2f},{row['y'] + 1:.2f},{2 * row['fwhm']:.2f})"
        lines.append(f"{place} # text={{{text}}}")
    path.write_text("\n".join(lines) + "\n")


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write JSON that any reader takes: numpy values as plain ones, NaN and infinity as null."""
    write_text(path, json.dumps(plain(values), indent=1, allow_nan=False) + "\n")


def peak_rss_mb() -> float:
    """Largest resident memory of this process or any of its ended children, MiB."""
    kib = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return kib / 1024
