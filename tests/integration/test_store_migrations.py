import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, inspect, text

from nightglass.errors import ConfigurationError
from nightglass.store import Store

pytestmark = pytest.mark.integration


def read(database_url: str, sql: str) -> list[tuple[Any, ...]]:
    engine = create_engine(database_url)
    with engine.connect() as connection:
        rows = [tuple(row) for row in connection.execute(text(sql))]
    engine.dispose()
    return rows


def test_migrating_again_applies_nothing(store: Store, database_url: str) -> None:
    before = read(database_url, "SELECT version, name, applied_at FROM schema_migrations ORDER BY version")
    assert [row[0] for row in before] == list(range(1, len(before) + 1))
    assert store.migrate() == []
    assert read(database_url, "SELECT version, name, applied_at FROM schema_migrations ORDER BY version") == before


def test_processes_that_migrate_at_once_apply_each_migration_once(
    database_url: str, sql_dir: Path, tmp_path: Path
) -> None:
    script = """
import sys, time
from pathlib import Path
from nightglass.store import Store
url, sql_dir, go = sys.argv[1:]
while not Path(go).exists():
    time.sleep(0.001)
with Store.connect(url, Path(sql_dir)) as store:
    print(*store.migrate())
"""
    go = tmp_path / "go"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, database_url, str(sql_dir), str(go)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    go.touch()
    outcomes = [(*process.communicate(timeout=60), process.returncode) for process in processes]
    assert [(error, code) for _, error, code in outcomes] == [("", 0)] * 4
    applied = sorted(int(version) for output, _, _ in outcomes for version in output.split())
    assert applied == [version for (version,) in read(database_url, "SELECT version FROM schema_migrations")]
    assert applied == list(range(1, len(applied) + 1))


def test_a_failing_migration_leaves_nothing_behind(database_url: str, sql_dir: Path, tmp_path: Path) -> None:
    broken = tmp_path / "sql"
    (broken / "migrations").mkdir(parents=True)
    (broken / "queries").symlink_to(sql_dir / "queries")
    first = (sql_dir / "migrations" / "0001_schema_migrations.sql").read_text()
    (broken / "migrations" / "0001_schema_migrations.sql").write_text(first)
    (broken / "migrations" / "0002_broken.sql").write_text("CREATE TABLE half (a TEXT);\nSELEKT 1;\n")
    with Store.connect(database_url, broken) as store, pytest.raises(Exception, match="SELEKT"):
        store.migrate()
    engine = create_engine(database_url)
    assert inspect(engine).get_table_names() == ["schema_migrations"]
    engine.dispose()
    assert read(database_url, "SELECT version FROM schema_migrations") == [(1,)]


def test_a_replaced_view_keeps_the_views_of_others_and_their_rights(
    postgres_url: str, sql_dir: Path, tmp_path: Path
) -> None:
    older = tmp_path / "sql"
    (older / "migrations").mkdir(parents=True)
    (older / "queries").symlink_to(sql_dir / "queries")
    for migration in sorted((sql_dir / "migrations").iterdir())[:7]:
        shutil.copy(migration, older / "migrations")
    with Store.connect(postgres_url, older) as store:
        store.migrate()
    engine = create_engine(postgres_url)
    with engine.begin() as connection:
        connection.execute(text("CREATE VIEW defects AS SELECT path FROM verdicts WHERE verdict = 'defect'"))
        connection.execute(text("GRANT SELECT ON verdicts TO guarded"))
        entry = """INSERT INTO verdict_log
            (entry, collection, night, scope, path, sha256, verdict, "at", "by", note, source)
            VALUES (1, 'cells', '2026-07-24', 'image', 'a.png', :sha256, 'defect', '2026-07-25', 'ana', '', 'page')"""
        connection.execute(text(entry), {"sha256": "a" * 64})
    with Store.connect(postgres_url, sql_dir) as store:
        assert store.migrate()[0] == 8
    assert read(postgres_url, "SELECT path FROM defects") == [("a.png",)]
    assert read(postgres_url, "SELECT has_table_privilege('guarded', 'verdicts', 'SELECT')") == [(True,)]
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO verdict_withdrawals VALUES (2, 1, '2026-07-26', 'ana', 'page')"))
    engine.dispose()
    assert read(postgres_url, "SELECT path FROM defects") == []


def test_a_database_that_is_newer_than_the_code_is_refused(store: Store, database_url: str, sql_dir: Path) -> None:
    engine = create_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO schema_migrations VALUES (9999, 'future', 'x')"))
    engine.dispose()
    with pytest.raises(ConfigurationError, match=r"expected schema version \d+ or older, got 9999"):
        store.migrate()


def test_a_database_without_tables_says_so(database_url: str, sql_dir: Path) -> None:
    with (
        Store.connect(database_url, sql_dir) as store,
        pytest.raises(ConfigurationError, match="migrate it first"),
    ):
        store.list_nights()
