"""Numbered migrations: ``sql/migrations/NNNN_name.sql``, applied in order, each in one transaction."""

import re
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, TextClause, inspect

from nightglass.errors import ConfigurationError
from nightglass.store.database import Database

_FILE_NAME = re.compile(r"(\d{4})_(\w+)\.sql")
_REPLACE_VIEW = re.compile(r"^CREATE OR REPLACE VIEW (\w+)", re.MULTILINE)


@dataclass(frozen=True)
class Migration:
    """One file; ``version`` is its number."""

    version: int
    name: str
    sql: str

    def statements(self) -> Iterator[str]:
        """Cut the file into its statements, which one of the drivers wants one at a time."""
        statement = ""
        for line in self.sql.splitlines(keepends=True):
            statement += line
            # SQLite's own tokenizer knows that a semicolon in a string or comment ends nothing.
            if sqlite3.complete_statement(statement):
                yield statement
                statement = ""


def find_migrations(sql_dir: Path) -> list[Migration]:
    """Return the migrations below ``sql_dir/migrations`` in order.

    Raises:
        ConfigurationError: There are none, or their numbers are not 1, 2, 3, ...
    """
    folder = sql_dir / "migrations"
    migrations = [
        Migration(int(match[1]), match[2], path.read_text(encoding="utf-8"))
        for path in sorted(folder.glob("*.sql"))
        if (match := _FILE_NAME.fullmatch(path.name))
    ]
    versions = [migration.version for migration in migrations]
    if not versions or versions != list(range(1, len(versions) + 1)):
        raise ConfigurationError(f"{folder}: expected migrations 0001, 0002, ... without gaps, got {versions}")
    return migrations


def apply_migrations(
    database: Database, queries: Mapping[str, TextClause], sql_dir: Path, *, up_to: int | None = None
) -> list[int]:
    """Bring the database to this code's version; safe to run again and in several processes at once.

    Args:
        database: The results.
        queries: Those that read and record the version.
        sql_dir: The folder with ``migrations/``.
        up_to: Stop at this version.

    Returns:
        The versions that this call applied; empty when there was nothing to do.

    Raises:
        ConfigurationError: The database is newer than this code.
    """
    migrations = find_migrations(sql_dir)
    with database.reading() as connection:
        current = _read_version(connection, queries)
    if current > len(migrations):
        raise ConfigurationError(
            f"{database.where}: expected schema version {len(migrations)} or older, got {current}: "
            "a newer Nightglass has used this database, update this one"
        )
    return [migration.version for migration in migrations[current:up_to] if _apply(database, queries, migration)]


def _apply(database: Database, queries: Mapping[str, TextClause], migration: Migration) -> bool:
    with database.writing() as connection:
        # Another process may have been first while this one waited for the lock.
        if _read_version(connection, queries) >= migration.version:
            return False
        for statement in migration.statements():
            for part in _for_sqlite(statement) if database.is_sqlite else [statement]:
                connection.exec_driver_sql(part)
        row = {
            "version": migration.version,
            "name": migration.name,
            "applied_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        connection.execute(queries["record_migration"], row)
    return True


def _for_sqlite(statement: str) -> list[str]:
    """Return what replaces a view on SQLite, which has no words for it; dropping one there takes nothing with it.

    On PostgreSQL people's own views depend on it and roles have rights on it, so no migration may drop one.
    """
    match = _REPLACE_VIEW.search(statement)
    if match is None:
        return [statement]
    return [f"DROP VIEW {match[1]}", _REPLACE_VIEW.sub(r"CREATE VIEW \1", statement, count=1)]


def _read_version(connection: Connection, queries: Mapping[str, TextClause]) -> int:
    if not inspect(connection).has_table("schema_migrations"):
        return 0
    return int(connection.execute(queries["schema_version"]).scalar_one())
