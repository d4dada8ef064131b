"""Every row of a database as one file of JSON lines, and back: the same for SQLite and PostgreSQL, ours or MLflow's.

It needs no tool beside Python, and no password leaves this process.
"""

import gzip
import hashlib
import json
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, Connection, Integer, MetaData, Table, func, insert, select
from sqlalchemy.exc import SAWarning

from nightglass.errors import ConfigurationError, InputError
from nightglass.records import Record
from nightglass.store.database import Database
from nightglass.store.dump_values import as_json, as_value

_ROWS_AT_ONCE = 500
_DIGEST_BITS = 256
Change = Callable[[str], str]


class TableFacts(Record):
    """What a table held: its ``digest`` is the same for the same rows in any order."""

    rows: int
    digest: str


class _Tally:
    """Counts rows and adds up their sha256: their order, which two databases see differently, does not count."""

    def __init__(self) -> None:
        self.rows, self._sum = 0, 0

    def add(self, line: str) -> None:
        self.rows += 1
        self._sum += int.from_bytes(hashlib.sha256(line.encode()).digest())

    def facts(self) -> TableFacts:
        return TableFacts(rows=self.rows, digest=f"{self._sum % 2**_DIGEST_BITS:064x}")


def dump_database(database: Database, path: Path) -> dict[str, TableFacts]:
    """Write every row, all as of one moment, to a gzipped file; return what each table held.

    Raises:
        StorageError: The database does not answer.
    """
    found: dict[str, TableFacts] = {}
    # Without name and time in its header: the same rows give the same bytes.
    with (
        path.open("wb") as raw,
        gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as file,
        database.reading_one_moment() as connection,
    ):
        for table in _reflect(connection):
            names = _stored_names(table)
            _write_line(file, json.dumps({"table": table.name, "columns": names}))
            tally = _Tally()
            for line in _read_lines(connection, table, names):
                tally.add(line)
                _write_line(file, line)
            found[table.name] = tally.facts()
    return found


def count_rows(database: Database) -> dict[str, int]:
    """Return how many rows each table has."""
    with database.reading() as connection:
        return {
            table.name: int(connection.execute(select(func.count()).select_from(table)).scalar_one())
            for table in _reflect(connection)
        }


def read_rows(database: Database, name: str) -> list[dict[str, Any]]:
    """Return the rows of one small table; none where there is no such table."""
    with database.reading() as connection:
        for table in _reflect(connection):
            if table.name == name:
                return [dict(row) for row in connection.execute(select(table)).mappings()]
    return []


def measure_database(database: Database) -> dict[str, TableFacts]:
    """Return what each table holds, as of one moment."""
    found = {}
    with database.reading_one_moment() as connection:
        for table in _reflect(connection):
            tally = _Tally()
            for line in _read_lines(connection, table, _stored_names(table)):
                tally.add(line)
            found[table.name] = tally.facts()
    return found


def read_small_table(path: Path, name: str) -> list[dict[str, Any]]:
    """Return the rows that a dump has of one small table; none where it has no such table."""
    rows: list[dict[str, Any]] = []
    for table, columns, values in _read_dump(path):
        if table == name:
            rows.append(dict(zip(columns, values, strict=True)))
        elif rows:
            break
    return rows


def measure_dump(path: Path, change: Change) -> dict[str, TableFacts]:
    """Return what the tables of a dump hold once every text in it is changed, as `measure_database` would say."""
    tallies: dict[str, _Tally] = {}
    for table, columns, values in _read_dump(path):
        changed = {name: _change(value, change) for name, value in zip(columns, values, strict=True)}
        tallies.setdefault(table, _Tally()).add(json.dumps([as_json(changed[name]) for name in sorted(changed)]))
    return {name: tally.facts() for name, tally in tallies.items()}


def load_database(
    database: Database,
    path: Path,
    *,
    skipped: Collection[str],
    replaced: Collection[str],
    change: Change = lambda text: text,
) -> None:
    """Put the rows of a dump into the tables of a database, all of them or none.

    Args:
        database: It has the same tables.
        path: What `dump_database` wrote.
        skipped: Tables whose rows are left as they are.
        replaced: Tables whose rows are removed first; all others are empty.
        change: Applied to every text.

    Raises:
        ConfigurationError: A table or column of the dump is not there.
        InputError: The file is no dump.
    """
    with database.writing() as connection:
        tables = {table.name: table for table in _reflect(connection)}
        for table in reversed(list(tables.values())):
            if table.name in replaced:
                connection.execute(table.delete())
        for name, rows in _in_batches(path):
            if name in skipped:
                continue
            if name not in tables:
                raise ConfigurationError(f"{database.where}: expected the table {name} of the backup, got none")
            _check_columns(tables[name], rows[0], database.where)
            changed = [{column: _change(value, change) for column, value in row.items()} for row in rows]
            connection.execute(insert(tables[name]), changed)
        if not database.is_sqlite:
            _move_counters(connection, tables.values())


def _reflect(connection: Connection) -> list[Table]:
    """Return the tables, those first that others refer to."""
    metadata = MetaData()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SAWarning)  # an index on an expression is no concern of a dump
        metadata.reflect(connection, resolve_fks=True)
        tables = list(metadata.sorted_tables)
    for table in tables:
        for column in table.columns:
            if isinstance(column.type, JSON):
                column.type.none_as_null = True  # else NULL would come back as the JSON text null
    return tables


def _stored_names(table: Table) -> list[str]:
    """Return the columns that hold something of their own, in the order of their names."""
    return sorted(column.name for column in table.columns if column.computed is None)


def _read_lines(connection: Connection, table: Table, names: list[str]) -> Iterator[str]:
    columns = [table.columns[name] for name in names]
    order = list(table.primary_key.columns) or columns
    query = select(*columns).order_by(*order).execution_options(yield_per=_ROWS_AT_ONCE)
    for row in connection.execute(query):
        yield json.dumps([as_json(value) for value in row])


def _write_line(file: gzip.GzipFile, line: str) -> None:
    file.write(f"{line}\n".encode())


def _read_dump(path: Path) -> Iterator[tuple[str, list[str], list[Any]]]:
    table, columns = "", []
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for line in file:
                read = json.loads(line)
                if isinstance(read, dict):
                    table, columns = read["table"], read["columns"]
                else:
                    yield table, columns, [as_value(value) for value in read]
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path.name}: expected the rows of a backup, got {type(error).__name__}: {error}") from error


def _in_batches(path: Path) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    batch: list[dict[str, Any]] = []
    name = ""
    for table, columns, values in _read_dump(path):
        if batch and (table != name or len(batch) == _ROWS_AT_ONCE):
            yield name, batch
            batch = []
        name = table
        batch.append(dict(zip(columns, values, strict=True)))
    if batch:
        yield name, batch


def _check_columns(table: Table, row: Mapping[str, object], where: str) -> None:
    if row and sorted(row) != _stored_names(table):
        others = ", ".join(sorted(set(row) ^ set(_stored_names(table))))
        raise ConfigurationError(f"{where}: expected the backup's columns in {table.name}, they differ in {others}")


def _change(value: object, change: Change) -> object:
    return change(value) if isinstance(value, str) else value


def _move_counters(connection: Connection, tables: Collection[Table]) -> None:
    """Let PostgreSQL number new rows behind those that came with their numbers."""
    for table in tables:
        for column in table.primary_key.columns:
            if not isinstance(column.type, Integer):
                continue
            counter = connection.execute(select(func.pg_get_serial_sequence(table.name, column.name))).scalar()
            last = connection.execute(select(func.max(column))).scalar()
            if counter is not None and last is not None and last > 0:
                connection.execute(select(func.setval(counter, last)))
