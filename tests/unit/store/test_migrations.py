import re
import shutil
import sqlite3
from pathlib import Path

import pytest

from nightglass.errors import ConfigurationError
from nightglass.store import Store
from nightglass.store.migrations import Migration, find_migrations

SQL_DIR = Path(__file__).resolve().parents[3] / "sql"


def test_a_semicolon_in_a_string_or_comment_ends_nothing() -> None:
    sql = "-- one; two\nCREATE TABLE a (b TEXT DEFAULT 'x;y'); -- why; so\n\nCREATE TABLE c (d TEXT -- e;\n);\n"
    statements = [re.sub(r"\s+", " ", s).strip() for s in Migration(1, "x", sql).statements()]
    assert len(statements) == 2
    assert statements[0].endswith("'x;y'); -- why; so")
    assert statements[1] == "CREATE TABLE c (d TEXT -- e; );"


@pytest.mark.parametrize("names", [[], ["0002_a.sql"], ["0001_a.sql", "0003_b.sql"], ["0001_a.sql", "0001_b.sql"]])
def test_numbers_have_no_gap_and_no_double(tmp_path: Path, names: list[str]) -> None:
    (tmp_path / "migrations").mkdir()
    for name in names:
        (tmp_path / "migrations" / name).touch()
    with pytest.raises(ConfigurationError, match="without gaps"):
        find_migrations(tmp_path)


def test_every_migration_ends_with_a_whole_statement() -> None:
    for migration in find_migrations(SQL_DIR):
        assert "".join(migration.statements()).rstrip() == migration.sql.rstrip()


def test_no_migration_drops_a_view_that_others_may_use() -> None:
    assert [m.name for m in find_migrations(SQL_DIR) if re.search(r"\bDROP\s+VIEW\b", m.sql, re.IGNORECASE)] == []


def test_a_view_is_replaced_below_the_views_of_others(tmp_path: Path) -> None:
    older = tmp_path / "sql"
    (older / "migrations").mkdir(parents=True)
    (older / "queries").symlink_to(SQL_DIR / "queries")
    for migration in sorted((SQL_DIR / "migrations").iterdir())[:7]:
        shutil.copy(migration, older / "migrations")
    file = tmp_path / "nightglass.db"
    with Store.connect(f"sqlite:///{file}", older) as store:
        store.migrate()
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("CREATE VIEW defects AS SELECT path FROM verdicts WHERE verdict = 'defect'")
    connection.execute(
        """INSERT INTO verdict_log (entry, collection, night, scope, path, sha256, verdict, "at", "by", note, source)
        VALUES (1, 'cells', '2026-07-24', 'image', 'a.png', ?, 'defect', '2026-07-25', 'ana', '', 'page')""",
        ("a" * 64,),
    )
    with Store.connect(f"sqlite:///{file}", SQL_DIR) as store:
        assert store.migrate()[0] == 8
    assert connection.execute("SELECT * FROM defects").fetchall() == [("a.png",)]
    connection.execute("INSERT INTO verdict_withdrawals VALUES (2, 1, '2026-07-26', 'ana', 'page')")
    assert connection.execute("SELECT * FROM defects").fetchall() == []
    connection.close()
