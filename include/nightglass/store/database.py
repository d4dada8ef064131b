"""One door to SQLite and PostgreSQL: connections, transactions, and failures as one clear line."""

import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import NullPool, QueuePool

from nightglass.errors import AccessDeniedError, ConfigurationError, NightglassError, StorageError
from nightglass.storage import explaining

_BUSY_SECONDS = 30
_WRITE = "nightglass_write"
_POSTGRESQL_LOCK = 0x6E69676874  # "night": one key for all writers of one database
_DENIED = (
    "password authentication failed",
    "no password supplied",
    "no pg_hba.conf entry",
    "permission denied",
    "readonly database",
    "read-only transaction",
    "unable to open database file",
    "disk is full",
    "disk full",
)
#: Nobody waits for a connection: those beyond the pool are closed after use. Old ones are not even tried, as a
#: firewall may have cut them without telling anybody.
_KEPT: Mapping[str, Any] = {
    "poolclass": QueuePool, "pool_size": 3, "max_overflow": -1, "pool_pre_ping": True, "pool_recycle": 300
}  # fmt: skip
_NO_TABLES = {"UndefinedTable", "UndefinedColumn"}


class Database:
    """The results database by its SQLAlchemy URL.

    Every block below has its own connection: a night's tasks are short and far apart, they fork, and a server
    restarts in a year, so a pool would only hand out dead connections.

    Args:
        database_url: Where it is.
        keeps_connections: Keep a few between the blocks and try each before it is used again: for a process that
            asks often, does not fork, and would log in anew for every block. SQLite has nobody to log in to, and a
            connection that is kept would read on in a file that somebody replaced.
    """

    def __init__(self, database_url: str, *, keeps_connections: bool = False) -> None:
        url = _read_url(database_url)
        self.where = url.set(query={}).render_as_string(hide_password=True)
        self.is_sqlite = url.get_backend_name() == "sqlite"
        if self.is_sqlite:
            with explaining(self.where):
                Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
        self.engine = _create_engine(url, is_sqlite=self.is_sqlite, keeps_connections=keeps_connections)

    def check(self) -> None:
        """Connect once; on SQLite also switch the file to write-ahead logging, which it remembers.

        Raises:
            StorageError: The database does not answer.
            AccessDeniedError: It said no: wrong password, read-only, disk full.
        """
        with self._explaining():
            if not self.is_sqlite:
                with self.engine.connect():
                    return
            _enable_write_ahead_log(self.engine)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a connection; what the block reads is one consistent state on SQLite."""
        with self._explaining(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def reading_one_moment(self) -> Iterator[Connection]:
        """Give a connection; whatever the block reads, however long, is as it was at its first read."""
        engine = self.engine if self.is_sqlite else self.engine.execution_options(isolation_level="REPEATABLE READ")
        with self._explaining(), engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give a connection in a transaction that is alone in writing; an error in the block undoes it.

        Writes are few and take milliseconds, so one lock for all of them is simpler than being clever.
        """
        engine = self.engine.execution_options(**{_WRITE: True})
        with self._explaining(), engine.begin() as connection:
            if not self.is_sqlite:
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_POSTGRESQL_LOCK})")
            yield connection

    def compact(self) -> None:
        """Give up the room of rows that are gone, for good, and look at the rest for better plans of queries.

        Raises:
            StorageError: The database does not answer, or somebody reads an SQLite file for too long.
        """
        with self._explaining():
            if not self.is_sqlite:
                with self.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
                    connection.exec_driver_sql("VACUUM (ANALYZE)")
                return
            raw = self.engine.raw_connection()
            try:
                cursor = raw.cursor()
                cursor.execute("VACUUM")
                # Until the log is empty, the rows of before are still in the file.
                is_busy, *_ = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                if is_busy:
                    raise StorageError(f"{self.where}: expected nobody to read for so long, got a reader: try again")
                cursor.execute("PRAGMA optimize")
            finally:
                raw.close()

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except (DBAPIError, sqlite3.Error) as error:
            explained = _explain(error, self.where)
            if explained is None:
                raise
            raise explained from error


def _read_url(database_url: str) -> URL:
    try:
        url = make_url(database_url)
    except ArgumentError:
        # The text is not repeated: it may hold a password.
        raise ConfigurationError(
            "NIGHTGLASS_DATABASE_URL: expected sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE, "
            "got something else"
        ) from None
    backend = url.get_backend_name()
    if backend in {"postgresql", "postgres"}:
        return url.set(drivername="postgresql+psycopg")
    if backend != "sqlite":
        raise ConfigurationError(f"NIGHTGLASS_DATABASE_URL: expected sqlite or postgresql, got {backend}")
    if not url.database or url.database.startswith((":memory:", "file:")):
        raise ConfigurationError("NIGHTGLASS_DATABASE_URL: expected sqlite:///FILE, got no file")
    return url


def _create_engine(url: URL, *, is_sqlite: bool, keeps_connections: bool) -> Engine:
    if not is_sqlite:
        query = {"connect_timeout": "10", "application_name": "nightglass"} | dict(url.query)
        url = url.set(query=query)
        return create_engine(url, **_KEPT) if keeps_connections else create_engine(url, poolclass=NullPool)
    engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": _BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _record: object) -> None:
        # The driver's own BEGIN comes too late for a lock and not at all before DDL: send it here instead.
        connection.isolation_level = None
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        is_writing = connection.get_execution_options().get(_WRITE)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writing else "BEGIN")

    return engine


def _enable_write_ahead_log(engine: Engine) -> None:
    """Set WAL mode; SQLite does not wait for another process that is doing the same, so this does."""
    deadline = time.monotonic() + _BUSY_SECONDS
    raw = engine.raw_connection()
    try:
        cursor = raw.cursor()
        while cursor.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            try:
                cursor.execute("PRAGMA journal_mode = WAL")
                break
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
    finally:
        raw.close()


def _explain(error: DBAPIError | sqlite3.Error, where: str) -> NightglassError | None:
    """Return what a person is told; None when the failure is a bug and its traceback is wanted."""
    original = (error.orig if isinstance(error, DBAPIError) else error) or error
    kinds = {kind.__name__ for kind in type(original).__mro__}  # PEP 249: every driver has the same names
    text = " ".join(str(original).split())[:300]
    if kinds & _NO_TABLES or text.startswith(("no such table", "no such column")):
        return ConfigurationError(f"{where}: expected the tables of this Nightglass, got {text}; migrate it first")
    if any(word in text for word in _DENIED):
        return AccessDeniedError(f"{where}: access denied ({text})")
    if "file is not a database" in text:
        return ConfigurationError(f"{where}: expected an SQLite database, got another file")
    if kinds & {"OperationalError", "InterfaceError"}:
        return StorageError(f"{where}: {text}")
    return None
