import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from nightglass.errors import StorageError
from nightglass.store.database import Database


def test_rows_that_went_are_not_called_gone_while_a_reader_keeps_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nightglass.store.database._BUSY_SECONDS", 0.2)
    file = tmp_path / "nightglass.db"
    database = Database(f"sqlite:///{file}")
    database.check()
    with database.writing() as connection:
        connection.exec_driver_sql("CREATE TABLE names (name TEXT)")
        connection.exec_driver_sql("INSERT INTO names VALUES ('a name to forget')")
    database.compact()
    with closing(sqlite3.connect(file, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT name FROM names").fetchall()
        with database.writing() as connection:
            connection.exec_driver_sql("DELETE FROM names")
        with pytest.raises(StorageError, match="expected nobody to read for so long, got a reader"):
            database.compact()
        assert b"a name to forget" in file.read_bytes()
    database.compact()
    assert b"a name to forget" not in file.read_bytes()
