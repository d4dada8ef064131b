from typing import Any

import pytest
from sqlalchemy import create_engine, text

from nightglass.retraining.records import Gate, Retraining
from nightglass.store import Store

pytestmark = pytest.mark.integration


def build_gate(name: str, *, passed: bool = True, **changes: Any) -> Gate:
    fields: dict[str, Any] = {
        "name": name,
        "title": f"About {name}",
        "champion": 0.9,
        "challenger": 0.95,
        "low": -0.01,
        "high": 0.11,
        "limit": -0.02,
        "why": "so",
    }
    return Gate(passed=passed, **(fields | changes))


def build_retraining(run: str = "manual__1", **changes: Any) -> Retraining:
    fields: dict[str, Any] = {
        "collection": "cells",
        "run": run,
        "model_name": "nightglass-cells",
        "champion_version": "1",
        "challenger_version": "2",
        "data_version": "ab" * 32,
        "started_at": "2026-03-15T02:00:00.000000Z",
        "finished_at": "2026-03-15T02:20:00.000000Z",
        "requested_by": "ana",
        "reason": "the night of 2026-03-14",
        "outcome": "refused",
        "sentence": "Refused: too slow.",
        "folder_url": "/home/retraining/cells/manual__1",
        "gates": [build_gate("auroc"), build_gate("latency_p50", passed=False, low=None, high=None)],
    }
    return Retraining.model_validate(fields | changes)


def read(database_url: str, sql: str) -> list[tuple[Any, ...]]:
    engine = create_engine(database_url)
    with engine.connect() as connection:
        rows = [tuple(row) for row in connection.execute(text(sql))]
    engine.dispose()
    return rows


def test_a_retraining_comes_back_as_it_was(store: Store) -> None:
    hostile = build_gate("sizes", why="'; DROP TABLE retraining_gates; --", champion=None, limit=None)
    retraining = build_retraining(gates=[build_gate("auroc"), hostile], reason='<b>|=1+1\n"quoted"')
    assert store.publish_retraining(retraining)
    assert store.list_retrainings("cells") == [retraining]
    assert store.list_retrainings("other") == []


def test_publishing_again_changes_nothing(store: Store, database_url: str) -> None:
    assert store.publish_retraining(build_retraining())
    before = read(database_url, "SELECT * FROM retraining_results")
    assert not store.publish_retraining(build_retraining())
    assert not store.publish_retraining(build_retraining(finished_at="2026-03-15T09:00:00.000000Z"))
    assert read(database_url, "SELECT * FROM retraining_results") == before
    assert read(database_url, "SELECT COUNT(*) FROM retraining_gates") == [(2,)]


def test_another_outcome_replaces_the_first(store: Store, database_url: str) -> None:
    store.publish_retraining(build_retraining())
    promoted = build_retraining(outcome="promoted", sentence="Promoted.", gates=[build_gate("auroc")])
    assert store.publish_retraining(promoted)
    assert store.list_retrainings("cells") == [promoted]
    assert read(database_url, "SELECT name FROM retraining_gates") == [("auroc",)]


def test_they_are_listed_newest_first(store: Store) -> None:
    for run, day, gates in (("b", 14, []), ("c", 16, [build_gate("auroc")]), ("a", 15, [build_gate("size")] * 3)):
        started = f"2026-03-{day}T02:00:00.000000Z"
        assert store.publish_retraining(build_retraining(run, started_at=started, gates=gates))
    store.publish_retraining(build_retraining("x", collection="other", started_at="2026-03-17T02:00:00.000000Z"))
    assert [(r.run, len(r.gates)) for r in store.list_retrainings("cells")] == [("c", 1), ("a", 3), ("b", 0)]
    assert [r.run for r in store.list_retrainings(limit=2)] == ["x", "c"]


def test_the_last_outcome_of_a_version_counts(store: Store) -> None:
    for run, version, outcome, day in (
        ("1", "2", "rejected", 14),
        ("2", "2", "promoted", 15),
        ("3", None, "refused", 16),
    ):
        started = f"2026-03-{day}T02:00:00.000000Z"
        store.publish_retraining(build_retraining(run, challenger_version=version, outcome=outcome, started_at=started))
    assert store.retraining_outcomes("nightglass-cells") == {"2": "promoted"}
    assert store.retraining_outcomes("nightglass-other") == {}


def test_people_read_what_failed(store: Store, database_url: str) -> None:
    store.publish_retraining(build_retraining())
    rows = read(database_url, "SELECT run, outcome, gates, failed_gates FROM retrainings")
    assert rows == [("manual__1", "refused", 2, "latency_p50")]
    rows = read(database_url, "SELECT position, name, passed, limit_value, outcome FROM gates ORDER BY position")
    assert rows == [(1, "auroc", 1, -0.02, "refused"), (2, "latency_p50", 0, -0.02, "refused")]
