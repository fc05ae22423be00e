"""Tables in files: Parquet, CSV, ECSV, VOTable. Put in their place whole, when all has been written."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from astropy.table import MaskedColumn, Table

from ...columns import texts
from ...errors import OutputError
from ...files import scratch_folder
from ...pipeline.products import for_votable
from ...tables import as_arrow, as_table
from ..batch import Failed, Scored
from .draft import Draft, groups
from .seen import Seen
from .sink import SINKS, Sink
from .values import clean, columns_of

__all__ = ["TableFile"]

#: A row of delimited text: line breaks within quotes are of a value.
_ROW = re.compile(r'(?:[^"\n]++|"[^"]*+")*+\n')
#: What some reader takes for the end of a line, and the break before a # that no reader of ECSV keeps apart.
_BREAK = re.compile("\r\n?|[\v\f\x1c-\x1e\x85\u2028\u2029]")
_BEFORE_COMMENT = re.compile(r"\n(?=\s*#)")
#: What a source without a candidate gives.
_NO_ROWS = Table(
    names=("id", "score", "probability", "real", "threshold", "policy", "model", "model_version", "reason"),
    dtype=(str, "f4", "f4", bool, float, str, str, str, str),
)
#: Letters that XML cannot hold.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class TableFile:
    """One table in one file, which another run replaces as a whole. A `Sink`.

    Rows gather in a hidden folder beside the file. A run that is killed leaves the file as it was, and the next one
    sweeps the folder away. What gave no candidate goes to `NAME.failed.csv` beside it.

    Parameters
    ----------
    path : path
        The file.
    convert : callable
        From the draft (a Parquet file) to the file.

    Raises
    ------
    OutputError
        The folder cannot be written, or another run is writing the same file.
    """

    #: The file is there when it is closed.
    lasting = False

    def __init__(self, path: Path | str, convert: Callable[[Path, Path], None]) -> None:
        self.path, self._convert = Path(path), convert
        self.name = str(path)
        self.failed_path = self.path.with_name(f"{self.path.name}.failed.csv")
        self._scratch = self.path.with_name(f".{self.path.name}.part")
        if self.path.is_dir():
            raise OutputError(f"cannot write {path}: it is a folder; choose another name, or remove it")
        self._lock = scratch_folder(self._scratch, what=path)
        try:
            self._seen, self._refused = (Seen(self._scratch / name) for name in ("seen", "refused"))
            self._reasons: IO[str] = (self._scratch / "failed.csv").open("w", newline="", encoding="utf-8")
        except (OSError, sqlite3.Error) as error:
            self._lock.close()
            raise OutputError(f"cannot write {path}: {error}; choose a place you may write, with room") from error
        self._list = csv.writer(self._reasons)
        self._list.writerow(["id", "where", "reason"])
        self._failures = 0
        self._draft = Draft(self._scratch)

    @property
    def repeated(self) -> int:
        """How many candidates came again under an id that the table had; the first one stands."""
        return self._seen.repeated

    def write(self, scored: Scored) -> None:
        """Append the rows whose ids are new.

        Raises
        ------
        OutputError
            There is no room, or the folder went away.
        """
        with self._writing(), self._seen.new(list(map(clean, scored.rows["id"].tolist()))) as new:
            rows = scored.rows if new.all() else scored.rows[new]
            self._draft.add(as_arrow(_cleaned(rows)))

    def refuse(self, failed: Sequence[Failed]) -> None:
        """List what gave no candidate."""
        with self._writing(), self._refused.new([clean(f"{entry.where}\n{entry.id}") for entry in failed]) as new:
            for entry, fresh in zip(failed, new.tolist(), strict=True):
                if fresh:
                    self._list.writerow([_line(text) for text in (entry.id, entry.where, entry.reason)])
                    self._failures += 1

    def close(self, *, whole: bool = True) -> None:
        """Put the file in its place, or leave what was there where the source was not read to its end.

        Raises
        ------
        OutputError
            It cannot be written.
        """
        if self._reasons.closed:
            return
        try:
            self._reasons.close()
            if whole:
                with self._writing():
                    self._place()
        finally:
            self._draft.discard()
            self._seen.close()
            self._refused.close()
            shutil.rmtree(self._scratch, ignore_errors=True)
            self._lock.close()

    def _place(self) -> None:
        made = self._scratch / f"made{self.path.suffix}"
        if not self._draft:
            self._draft.add(as_arrow(_NO_ROWS))
        self._convert(self._draft.finish(), made)
        _to_disk(made)
        if self._failures:
            os.replace(self._scratch / "failed.csv", self.failed_path)
        else:
            self.failed_path.unlink(missing_ok=True)  # of an earlier run
        os.replace(made, self.path)

    def _writing(self) -> _Writing:
        return _Writing(self.path)


class _Writing:
    """Turn the system's errors into ours."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, (OSError, sqlite3.Error)) and not isinstance(error, OutputError):
            raise OutputError(f"cannot write {self.path}: {error}; is there room left?") from error


def _cleaned(rows: Table) -> Table:
    """Return the table with text that UTF-8 can hold; what a table of text has no kind for is JSON."""
    rows = rows.copy(copy_data=False)
    for name in rows.colnames:
        if rows[name].dtype.kind not in "biufUM" or rows[name].ndim > 1:
            values = [_worded(value) for value in columns_of(rows[[name]])[name]]
            rows[name] = MaskedColumn([word or "" for word in values], mask=[word is None for word in values])
        elif rows[name].dtype.kind == "U" and not _is_utf8(rows[name]):
            mask = np.ma.getmaskarray(np.ma.asarray(rows[name]))
            rows[name] = MaskedColumn([clean(word) for word in texts(rows, name).tolist()], mask=mask)
    return rows


def _worded(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _is_utf8(column: Any) -> bool:
    try:
        "".join(np.ma.getdata(np.asanyarray(column)).ravel().tolist()).encode()
    except UnicodeEncodeError:
        return False
    return True


def _line(text: str) -> str:
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in clean(text))


def _to_disk(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


def _parquet(draft: Path, path: Path) -> None:
    os.replace(draft, path)


def _text(format: str) -> Callable[[Path, Path], None]:
    """Return what writes a table as text with astropy, a row group at a time; the head comes with the first."""

    def write(draft: Path, path: Path) -> None:
        with path.open("w", encoding="utf-8", newline="") as stream:
            for number, rows in enumerate(_tables(draft)):
                text = io.StringIO()
                _with_plain_breaks(_without_times(rows), ecsv=format == "ascii.ecsv").write(text, format=format)
                lines = text.getvalue()
                head = _head(lines)
                body = lines[head:]
                if any(word.startswith("#") for word in texts(rows, rows.colnames[0]).tolist()):
                    body = _ROW.sub(_without_comment, body)
                stream.write(body if number else lines[:head] + body)

    return write


def _without_times(rows: Table) -> Table:
    """Return the table with times as text: neither ECSV nor VOTable has a kind for them."""
    for name in rows.colnames:
        if rows[name].dtype.kind == "M":
            words = columns_of(rows[[name]])[name]
            rows[name] = MaskedColumn([word or "" for word in words], mask=[word is None for word in words])
    return rows


def _with_plain_breaks(rows: Table, *, ecsv: bool) -> Table:
    """Return the table with line breaks of one kind, which are quoted; in ECSV none of them before a #."""
    for name in rows.colnames:
        if rows[name].dtype.kind != "U":
            continue
        words = rows[name].tolist()
        plain = [word if word is None else _BREAK.sub("\n", word) for word in words]
        if ecsv:
            plain = [word if word is None else _BEFORE_COMMENT.sub("\N{SYMBOL FOR NEWLINE}", word) for word in plain]
        if plain != words:
            mask = np.ma.getmaskarray(np.ma.asarray(rows[name]))
            rows[name] = MaskedColumn([word or "" for word in plain], mask=mask, unit=rows[name].unit)
    return rows


def _without_comment(row: re.Match[str]) -> str:
    """Quote the first value of a row where it begins with #: as a comment the row would be lost."""
    return re.sub(r"^(#[^\s,]*)", r'"\1"', row[0], count=1)


def _head(text: str) -> int:
    """Return where the rows begin: behind lines of comment and one of names."""
    place = 0
    while text.startswith("#", place):
        place = text.index("\n", place) + 1
    return text.index("\n", place) + 1


def _votable(draft: Path, path: Path) -> None:
    with path.open("w", encoding="utf-8") as stream:
        last = ""
        for number, rows in enumerate(_tables(draft)):
            text = io.BytesIO()
            plain = _without_times(for_votable(rows))
            for name in plain.colnames:
                if plain[name].dtype.kind == "U":  # any length: a later row may be longer than the first ones
                    words = [_NOT_XML.sub("\ufffd", word) for word in texts(plain, name).tolist()]
                    plain[name] = np.array(words, dtype=object)
            plain.write(text, format="votable")
            before, mark, rest = text.getvalue().decode().partition("<TABLEDATA>")
            data, end, last = rest.rpartition("</TABLEDATA>")
            stream.write(f"{before}{mark}{data}" if not number else data)
            last = f"{end}{last}"
        stream.write(last)


def _tables(draft: Path) -> Iterator[Table]:
    return (as_table(rows) for rows in groups(draft))


def _opener(convert: Callable[[Path, Path], None]) -> Callable[[str], Sink]:
    return lambda target: TableFile(target, convert)


for _suffix, _way in (
    (".parquet", _parquet),
    (".csv", _text("ascii.csv")),
    (".ecsv", _text("ascii.ecsv")),
    (".vot", _votable),
):
    SINKS.register(_suffix)(_opener(_way))
