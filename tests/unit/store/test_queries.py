import re
from pathlib import Path

import pytest

from nightglass.errors import ConfigurationError
from nightglass.store.queries import load_queries

SQL_DIR = Path(__file__).resolve().parents[3] / "sql"


def write(folder: Path, **files: str) -> Path:
    (folder / "queries").mkdir()
    for name, content in files.items():
        (folder / "queries" / f"{name}.sql").write_text(content)
    return folder


def test_queries_are_cut_at_their_names(tmp_path: Path) -> None:
    found = load_queries(
        write(
            tmp_path,
            a="-- About it.\n\n-- name: one\n-- A :comment binds nothing.\nSELECT :x;\n\n-- name: two\nSELECT 2;\n",
        )
    )
    assert {name: str(query) for name, query in found.items()} == {"one": "SELECT :x", "two": "SELECT 2"}
    assert list(found["one"].compile().params) == ["x"]


def test_a_name_is_used_once(tmp_path: Path) -> None:
    folder = write(tmp_path, a="-- name: one\nSELECT 1;", b="-- name: one\nSELECT 2;")
    with pytest.raises(ConfigurationError, match=r"b\.sql: expected every query name once, got 'one' again"):
        load_queries(folder)


def test_a_folder_without_queries_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"expected \.sql files with named queries, got none"):
        load_queries(tmp_path)


def test_no_query_changes_or_deletes_an_entry_of_the_promotion_log() -> None:
    touching = [
        name
        for name, query in load_queries(SQL_DIR).items()
        if re.search(r"\b(update|delete\s+from|truncate|replace)\b[^;]*\bpromotion_log\b", str(query), re.IGNORECASE)
    ]
    assert touching == []
    assert "append_promotion" in load_queries(SQL_DIR)


def test_no_query_changes_or_deletes_a_verdict_but_for_an_image_that_is_deleted_on_request() -> None:
    queries = {name: str(query) for name, query in load_queries(SQL_DIR).items()}
    redacting = queries.pop("redact_verdicts").lower()
    assert re.search(r"^update verdict_log\s+set path = :hidden, note = ''\s+where [^;]*sha256 = :sha256", redacting)
    sql = "\n".join(queries.values()).lower()
    for table in ("verdict_log", "verdict_withdrawals"):
        assert f"insert into {table}" in sql
        for words in (f"update {table}", f"delete from {table}", f"truncate {table}", f"replace into {table}"):
            assert words not in sql
