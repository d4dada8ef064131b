"""What programs read a page at a time, and that a page does not read the whole log."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from nightglass.retraining.verdicts import NewVerdict
from nightglass.store import Store
from nightglass.store.queries import load_queries
from nightglass.store.rows import format_time

SQL_DIR = Path(__file__).resolve().parents[3] / "sql"
NIGHT, NOW = "2026-07-24", datetime(2026, 7, 25, 6, 0, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Twelve verdicts, an hour apart; the third and the ninth are taken back an hour after the last."""
    store = Store.connect(f"sqlite:///{tmp_path / 'nightglass.db'}", SQL_DIR)
    store.migrate()
    for number in range(1, 13):
        one = NewVerdict(
            night=NIGHT, scope="image", path=f"{number}.png", sha256=f"{number:064x}", verdict="defect", by="ana",
            source="page",
        )  # fmt: skip
        store.add_verdicts("cells", [one], NOW + timedelta(hours=number))
    for number in (3, 9):
        store.verdict_log.withdraw("cells", number, "ana", "page", NOW + timedelta(hours=13), night=NIGHT)
    return store


@pytest.mark.parametrize(
    ("hours", "after", "limit", "expected"),
    [
        (8, 0, 100, [3, 8, 9, 10, 11, 12]),
        (8, 3, 100, [8, 9, 10, 11, 12]),
        (8, 0, 3, [3, 8, 9]),
        (8, 9, 2, [10, 11]),
        (13, 0, 100, [3, 9]),
        (13, 3, 1, [9]),
        (0, 0, 4, [1, 2, 3, 4]),
        (14, 0, 100, []),
    ],
)
def test_since_a_moment_counts_what_was_given_and_what_was_taken_back(
    store: Store, hours: int, after: int, limit: int, expected: list[int]
) -> None:
    since = format_time(NOW + timedelta(hours=hours))
    found = store.listings.verdicts("cells", since=since, after=after, limit=limit)
    assert [verdict.entry for verdict in found] == expected
    assert [verdict.entry for verdict in found if verdict.withdrawn_at] == [each for each in expected if each in (3, 9)]
    assert store.listings.verdicts("lids", since=since, after=after, limit=limit) == []


def test_since_a_moment_reads_by_time(store: Store) -> None:
    query = str(load_queries(SQL_DIR)["page_of_verdicts_since"])
    values = {"collection": "cells", "since": format_time(NOW), "after": 0, "limit": 100}
    with store._database.reading() as connection:
        plan = [row[3] for row in connection.execute(text(f"EXPLAIN QUERY PLAN {query}"), values)]
    of_log = [step for step in plan if step.split()[1] in {"verdict_log", "v", "l"}]
    assert of_log[0] == "SEARCH verdict_log USING INDEX verdict_log_by_time (collection=? AND at>?)"
    assert [step.endswith("(entry=?)") for step in of_log[1:]] == [True, True], plan
