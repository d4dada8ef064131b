from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, event, text

from nightglass.errors import AccessDeniedError, ConfigurationError, StorageError
from nightglass.pages.places import open_store
from nightglass.settings import Settings
from nightglass.store import Store

pytestmark = pytest.mark.integration


def read(database_url: str, sql: str) -> list[tuple[Any, ...]]:
    engine = create_engine(database_url)
    with engine.connect() as connection:
        rows = [tuple(row) for row in connection.execute(text(sql))]
    engine.dispose()
    return rows


def test_a_wrong_password_is_one_line_without_it(postgres_server: Any, sql_dir: Path) -> None:
    url = postgres_server.get_uri(database="postgres").replace("postgres:@", "guarded:{}@")
    Store.connect(url.format("correct-horse"), sql_dir).close()
    with pytest.raises(AccessDeniedError, match="password authentication failed") as caught:
        Store.connect(url.format("wrong-battery"), sql_dir)
    assert "wrong-battery" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_a_role_may_not_do_is_denied(postgres_url: str, postgres_server: Any, sql_dir: Path) -> None:
    with Store.connect(postgres_url, sql_dir) as owner:
        owner.migrate()
    url = postgres_url.replace("postgres:@", "guarded:correct-horse@")
    with Store.connect(url, sql_dir) as store, pytest.raises(AccessDeniedError, match="permission denied"):
        store.list_nights()


def test_a_server_that_is_down_may_heal(sql_dir: Path) -> None:
    with pytest.raises(StorageError, match="refused") as caught:
        Store.connect("postgresql://ana:tiger-tail@127.0.0.1:1/results", sql_dir)
    assert caught.value.can_heal
    assert "tiger-tail" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_pages_log_in_once_and_again_after_the_server_has_cut_them_off(postgres_url: str, tmp_path: Path) -> None:
    with open_store(Settings(home=tmp_path, database_url=postgres_url).resolved()) as store:
        logins: list[object] = []
        event.listen(store._database.engine, "connect", lambda connection, _: logins.append(connection))
        assert [store.list_nights() for _ in range(10)] == [[]] * 10
        assert logins == []  # the connection that migrated is still there
        others = "FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'nightglass'"
        read(postgres_url, f"SELECT pg_terminate_backend(pid) {others}")
        assert [store.list_nights() for _ in range(10)] == [[]] * 10
        assert len(logins) == 1
        store.close()


@pytest.mark.parametrize("url", ["not an address", "mysql://ana:tiger-tail@h/d", "sqlite://", "sqlite:///:memory:"])
def test_an_address_of_another_kind_is_refused(url: str, sql_dir: Path) -> None:
    with pytest.raises(ConfigurationError, match="NIGHTGLASS_DATABASE_URL: expected") as caught:
        Store.connect(url, sql_dir)
    assert "tiger-tail" not in str(caught.value)


def test_an_sqlite_file_that_is_none_or_lies_nowhere(sql_dir: Path, tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("no database " * 100)
    with pytest.raises(ConfigurationError, match="expected an SQLite database, got another file"):
        Store.connect(f"sqlite:///{file}", sql_dir)
    with pytest.raises(StorageError, match=r"notes\.txt"):
        Store.connect(f"sqlite:///{file}/below/nightglass.db", sql_dir)


def test_sqlite_lets_readers_read_while_a_writer_writes(sql_dir: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'nightglass.db'}"
    with Store.connect(url, sql_dir) as store:
        store.migrate()
        with store._database.writing() as connection:
            connection.execute(text("DELETE FROM night_results"))
            assert store.list_nights() == []
    assert read(url, "PRAGMA journal_mode") == [("wal",)]
