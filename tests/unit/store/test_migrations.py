import re
from pathlib import Path

import pytest

from nightglass.errors import ConfigurationError
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
