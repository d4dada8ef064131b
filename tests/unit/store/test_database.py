"""How often the results database is logged in to; an SQLite connection stands where PostgreSQL's would."""

import sqlite3
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import event, text
from sqlalchemy.pool import NullPool

from nightglass.store.database import Database


class Server(sqlite3.Connection):
    """Is asked as psycopg's is; one that died says so as psycopg's does."""

    autocommit = closed = broken = False

    def cursor(self, *arguments: Any) -> sqlite3.Cursor:
        """Return a cursor where the server is still there."""
        if self.closed:
            raise psycopg.OperationalError("the connection is lost")
        return super().cursor(*arguments)

    def add_notice_handler(self, handler: object) -> None:
        """Take what would hear of notices."""


@pytest.fixture
def logins() -> list[Server]:
    """The connections that were opened."""
    return []


def open_database(logins: list[Server], *, keeps_connections: bool) -> Database:
    database = Database("postgresql://ana@plant/results", keeps_connections=keeps_connections)
    dialect = database.engine.dialect
    dialect.initialize = lambda _: None  # type: ignore[method-assign]  # asks for the server's version

    @event.listens_for(database.engine, "do_connect")
    def _connect(*_: object) -> Server:
        logins.append(sqlite3.connect(":memory:", factory=Server, check_same_thread=False))
        return logins[-1]

    return database


def ask(database: Database) -> int:
    with database.reading() as connection:
        return int(connection.execute(text("SELECT 7")).scalar_one())


@pytest.mark.parametrize(("keeps_connections", "expected"), [(True, 1), (False, 12)])
def test_the_pages_log_in_once_and_a_task_whenever_it_asks(
    logins: list[Server], keeps_connections: bool, expected: int
) -> None:
    database = open_database(logins, keeps_connections=keeps_connections)
    assert [ask(database) for _ in range(12)] == [7] * 12
    assert len(logins) == expected


def test_nobody_waits_for_a_connection_and_few_are_kept(logins: list[Server]) -> None:
    database = open_database(logins, keeps_connections=True)
    for expected in (20, 20 + 20 - 3):
        held = [database.engine.connect() for _ in range(20)]
        for connection in held:
            connection.close()
        assert len(logins) == expected


def test_a_connection_that_died_meanwhile_is_replaced(logins: list[Server]) -> None:
    database = open_database(logins, keeps_connections=True)
    ask(database)
    logins[0].closed = True
    assert ask(database) == 7
    assert len(logins) == 2


def test_an_sqlite_file_is_opened_anew_every_time(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'nightglass.db'}", keeps_connections=True)
    assert isinstance(database.engine.pool, NullPool)
