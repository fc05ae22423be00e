"""SQLite and PostgreSQL: a row for every candidate, written once however often it comes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import ConfigError, OutputError
from ..batch import Failed, Scored
from ..patience import UnavailableError
from .sink import SINKS
from .values import clean, columns_of

if TYPE_CHECKING:
    from sqlalchemy import Engine, MetaData

__all__ = ["COLUMNS", "Database"]

#: Columns of the table `candidates` that every catalogue has or may have, and their types; all others of a catalogue
#: go into the column `extra`, as JSON. Catalogues of surveys differ by a hundred columns, and a table that grows
#: columns in the middle of a night locks out whoever reads or writes it; both databases look into JSON.
COLUMNS = {
    "id": "text", "source": "text", "frame": "text", "field": "text", "night": "text", "band": "text",
    "mjd": "number", "ra": "number", "dec": "number", "x": "number", "y": "number",
    "snr": "number", "flux": "number", "mag": "number", "sign": "whole", "flags": "whole",
    "noise": "number", "fwhm": "number", "usable": "truth",
    "score": "number", "probability": "number", "real": "truth", "threshold": "number", "policy": "text",
    "model": "text", "model_version": "text", "reason": "text",
}  # fmt: skip

#: Letters of an id at most: PostgreSQL's index takes entries of 2,704 bytes, and a letter has up to 4.
_LONGEST_KEY = 600
_NONE = type(None)
_KINDS: dict[str, set[type]] = {
    "text": {str, _NONE},
    "number": {float, int, _NONE},
    "whole": {int, _NONE},
    "truth": {bool, _NONE},
}


class Database:
    """Tables `candidates` and `failed` of a database. A `Sink`.

    A candidate is known by its `id`: one that comes again replaces its row. The rows of a batch come together or not
    at all, and are there for good when `write` returns.

    Parameters
    ----------
    url : str
        As SQLAlchemy has it: `sqlite:///x.db`, `postgresql://user@host/base`.

    Raises
    ------
    ConfigError
        SQLAlchemy or the database's driver is not installed.
    OutputError
        It cannot be opened, or has a table `candidates` that is another's.
    """

    lasting = True

    def __init__(self, url: str) -> None:
        try:
            import sqlalchemy
        except ImportError as error:
            raise _needs() from error
        try:
            where = sqlalchemy.make_url(url)
        except sqlalchemy.exc.ArgumentError as error:
            raise OutputError(
                "this is no address of a database; write sqlite:///x.db or postgresql://user@host/base"
            ) from error
        if where.get_backend_name() == "sqlite" and (where.host or where.database in (None, "", ":memory:")):
            raise OutputError(
                f"{where.render_as_string()} names no file of this computer: write sqlite:///x.db, or sqlite:////data/x.db"
            )
        if where.drivername in ("postgres", "postgresql"):
            where = where.set(drivername="postgresql+psycopg")
        self.name = where.render_as_string(hide_password=True)
        try:
            self._engine = _engine(where)
        except (ImportError, sqlalchemy.exc.NoSuchModuleError) as error:
            raise _needs() from error
        except sqlalchemy.exc.ArgumentError as error:
            raise OutputError(f"{self.name} is no address that its driver takes: {error}") from error
        tables = _tables()
        try:
            with self._asking():
                _create(self._engine, tables)
        except UnavailableError as error:
            self._engine.dispose()
            raise OutputError(f"{error}; is it there, and may you write to it?") from error
        self._candidates = _upsert(self._engine, tables, "candidates", ("id",))
        self._failed = _upsert(self._engine, tables, "failed", ("place", "id"))
        self._positional = self._engine.dialect.positional

    def write(self, scored: Scored) -> None:
        """Insert rows, or replace those that are there.

        Raises
        ------
        UnavailableError
            The database is away, busy or full.
        OutputError
            It refuses them.
        """
        columns = columns_of(scored.rows)
        count = len(scored)
        values = {name: _typed(columns.pop(name, None), kind, name, columns, count) for name, kind in COLUMNS.items()}
        values["id"] = [_key(name) for name in values["id"]]
        values["extra"] = _as_json(columns, count)
        # in the order of their ids: several writers then never wait for each other in a ring
        order = sorted(range(count), key=values["id"].__getitem__)
        rows = list(zip(*values.values(), strict=True))
        self._run(self._candidates, [rows[row] for row in order], (*values,))

    def refuse(self, failed: Sequence[Failed]) -> None:
        """List what gave no candidate; the same once more changes nothing."""
        rows = sorted(
            (_key(clean(entry.where), 400), _key(clean(entry.id), 200), _text(clean(entry.reason))) for entry in failed
        )
        self._run(self._failed, rows, ("place", "id", "reason"))

    def close(self, *, whole: bool = True) -> None:
        """Close the connections."""
        self._engine.dispose()

    def _run(self, statement: str, rows: Sequence[tuple[Any, ...]], names: tuple[str, ...]) -> None:
        given: Any = list(rows) if self._positional else [dict(zip(names, row, strict=True)) for row in rows]
        with self._asking(), self._engine.begin() as connection:
            # past SQLAlchemy's own handling of each value, which takes longer than SQLite itself
            connection.exec_driver_sql(statement, given)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Tell a database that is away from one that refuses."""
        from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError

        try:
            yield
        except DBAPIError as error:
            said = str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else type(error.orig).__name__
            if error.connection_invalidated or isinstance(error, (OperationalError, InterfaceError)):
                raise UnavailableError(f"{self.name} does not answer as it should ({said})") from error
            raise OutputError(f"{self.name} refuses the rows ({said})") from error
        except SQLAlchemyError as error:
            raise UnavailableError(f"{self.name} does not answer as it should ({error})") from error


def _needs() -> ConfigError:
    return ConfigError('databases are written with SQLAlchemy and psycopg: pip install "realbogus[database]"')


def _engine(url: Any) -> Engine:
    from sqlalchemy import create_engine, event

    if url.get_backend_name() != "sqlite":
        # a connection that the server has closed meanwhile is noticed before it is used
        return create_engine(url, pool_pre_ping=True, connect_args={"connect_timeout": 10})
    try:
        Path(url.database or "").parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write {url.database}: {error}; choose a place you may write") from error
    engine = create_engine(url, connect_args={"timeout": 10})

    @event.listens_for(engine, "connect")
    def _settings(connection: Any, _: Any) -> None:
        cursor = connection.cursor()
        # readers go on while rows are written, and what was committed survives a power cut
        for setting in ("journal_mode = WAL", "synchronous = FULL"):
            cursor.execute(f"PRAGMA {setting}")
        cursor.close()

    return engine


def _tables() -> MetaData:
    import sqlalchemy as sql
    from sqlalchemy.dialects.postgresql import JSONB

    kinds: dict[str, Any] = {"text": sql.Text, "number": sql.Double, "whole": sql.BigInteger, "truth": sql.Boolean}
    tables = sql.MetaData()
    columns = [sql.Column(name, kinds[kind], primary_key=name == "id") for name, kind in COLUMNS.items()]
    extra = sql.Column("extra", sql.JSON().with_variant(JSONB(), "postgresql"))
    sql.Table("candidates", tables, *columns, extra)
    place, name = (sql.Column(word, sql.Text, primary_key=True) for word in ("place", "id"))
    sql.Table("failed", tables, place, name, sql.Column("reason", sql.Text))
    return tables


def _create(engine: Engine, tables: MetaData) -> None:
    """Make the tables where they are not there, and look whether those that are there are ours."""
    from sqlalchemy import inspect
    from sqlalchemy.exc import IntegrityError, ProgrammingError

    try:
        tables.create_all(engine)
    except (IntegrityError, ProgrammingError):  # another process made them between the look and the making
        tables.create_all(engine)
    look = inspect(engine)
    for table in tables.sorted_tables:
        there = {column["name"] for column in look.get_columns(table.name)}
        absent = sorted({column.name for column in table.columns} - there)
        if absent:
            raise OutputError(
                f"{engine.url.render_as_string()} has a table {table.name} without {', '.join(absent)}: it is of "
                "another version or another program; choose another database"
            )


def _upsert(engine: Engine, tables: MetaData, name: str, key: tuple[str, ...]) -> str:
    """Return the statement in the database's own words."""
    from sqlalchemy.dialects import postgresql, sqlite

    table = tables.tables[name]
    insert: Any = (postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert)(table)
    others = {column.name: insert.excluded[column.name] for column in table.columns if column.name not in key}
    statement = insert.on_conflict_do_update(index_elements=list(key), set_=others)
    return str(statement.compile(dialect=engine.dialect))


def _typed(values: list[Any] | None, kind: str, name: str, others: dict[str, list[Any]], count: int) -> list[Any]:
    """Return a column that fits its type; one that does not goes with the others, and so do numbers too large."""
    if values is None:
        return [None] * count
    kinds = set(map(type, values))
    if not kinds <= _KINDS[kind]:
        others[name] = values
        return [None] * count
    if kind == "text":
        if "\0" not in "".join(filter(None, values)):
            return values
        return [None if value is None else _text(value) for value in values]
    if int in kinds and not all(map(_fits, values)):
        others[name] = [None if _fits(value) else value for value in values]
        return [value if _fits(value) else None for value in values]
    return values


def _fits(value: Any) -> bool:
    """Say whether a number is one that both databases take: whole ones have 64 bits there."""
    return not isinstance(value, int) or -(2**63) <= value < 2**63


def _text(value: str) -> str:
    """Return text without NUL, which PostgreSQL does not take and SQLite's tools stop at; its picture stands for it."""
    return value.replace("\0", "\N{SYMBOL FOR NULL}") if "\0" in value else value


def _key(value: str, most: int = _LONGEST_KEY) -> str:
    """Return text that PostgreSQL's index takes: a longer one ends in a digest of the whole.

    Examples
    --------
    >>> _key("s001"), len(_key("s" * 10_000))
    ('s001', 600)
    """
    value = _text(value)
    if len(value) <= most:
        return value
    return f"{value[: most - 33]}-{hashlib.sha256(value.encode()).hexdigest()[:32]}"


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return _text(value)
    return [_without_nul(entry) for entry in value] if isinstance(value, list) else value


def _as_json(columns: dict[str, list[Any]], count: int) -> list[str]:
    if not columns:
        return ["{}"] * count
    names = [_text(clean(name)) for name in columns]
    # in the values, not in the text of the JSON: there the same letters may be a survey's own words
    worded = [
        list(map(_without_nul, values)) if not set(map(type, values)).isdisjoint((str, list)) else values
        for values in columns.values()
    ]
    dumps = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":")).encode
    return [
        dumps({name: value for name, value in zip(names, row, strict=True) if value is not None})
        for row in zip(*worded, strict=True)
    ]


for _name in ("sqlite", "postgresql", "postgres"):
    SINKS.register(_name)(Database)
