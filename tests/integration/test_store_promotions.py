from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from nightglass.errors import InputError
from nightglass.records import Assessment, ModelRef, Verb
from nightglass.store import Store

pytestmark = pytest.mark.integration

MakeAssessment = Callable[..., Assessment]
NOW = datetime(2026, 3, 15, 2, 30, tzinfo=UTC)


def version(number: int) -> ModelRef:
    return ModelRef(name="nightglass-cells", version=str(number))


def read(database_url: str, sql: str) -> list[tuple[Any, ...]]:
    engine = create_engine(database_url)
    with engine.connect() as connection:
        rows = [tuple(row) for row in connection.execute(text(sql))]
    engine.dispose()
    return rows


def publish(store: Store, assessment: Assessment, now: datetime = NOW) -> bool:
    return store.publish_night(assessment, f"file:///reports/{assessment.night}/report.html", now)


def promote(store: Store, version: str, previous: str | None, at: datetime, **changes: Any) -> bool:
    entry: dict[str, Any] = {
        "collection": "cells",
        "model_name": "nightglass-cells",
        "event": "promoted",
        "version": version,
        "previous_version": previous,
        "at": at,
        "by": "ana",
        "reason": "all gates met",
        "run": f"retrain-{version}",
    }
    return store.record_promotion(**(entry | changes))


def test_model_history_says_what_was_production_until_when(store: Store, database_url: str) -> None:
    promote(store, "1", None, NOW)
    promote(store, "2", "1", (NOW + timedelta(days=1)).astimezone(timezone(timedelta(hours=5))))
    promote(store, "1", "2", NOW + timedelta(days=2), event="rolled_back", reason='it\'s "worse"', run=None)
    promote(store, "7", None, NOW, collection="other", model_name="nightglass-other")
    history = store.model_history("cells")
    assert [(e.event, e.version, e.at[:10], e.until and e.until[:10]) for e in history] == [
        ("rolled_back", "1", "2026-03-17", None),
        ("promoted", "2", "2026-03-16", "2026-03-17"),
        ("promoted", "1", "2026-03-15", "2026-03-16"),
    ]
    assert history[0].reason == 'it\'s "worse"'
    on_the_16th = 'SELECT version FROM model_history WHERE "at" <= :day AND ("until" > :day OR "until" IS NULL)'
    day = "'2026-03-16T12:00:00Z'"
    assert read(database_url, on_the_16th.replace(":day", day) + " AND collection = 'cells'") == [("2",)]


def test_a_retried_promotion_is_logged_once(store: Store) -> None:
    assert promote(store, "1", None, NOW)
    assert not promote(store, "1", None, NOW + timedelta(minutes=5))
    assert promote(store, "1", None, NOW + timedelta(minutes=6), run="another")
    assert promote(store, "1", None, NOW + timedelta(minutes=6), run=None)
    assert promote(store, "1", None, NOW + timedelta(minutes=7), run=None)
    assert len(store.model_history("cells")) == 4


@pytest.mark.parametrize("missing", ["by", "reason"])
def test_a_promotion_needs_who_and_why(store: Store, missing: str) -> None:
    with pytest.raises(InputError, match="expected who changes the champion and why"):
        promote(store, "1", None, NOW, **{missing: " "})


def test_nights_since_promotion(store: Store, make_assessment: MakeAssessment) -> None:
    assert store.nights_since_promotion("cells", version(3), "2026-03-20") is None
    promote(store, "2", None, NOW - timedelta(days=9))
    publish(store, make_assessment("2026-03-10", model_version="2"), NOW - timedelta(days=5))
    assert store.nights_since_promotion("cells", version(2), "2026-03-20") is None
    publish(store, make_assessment("2026-03-11"), NOW - timedelta(hours=1))
    promote(store, "3", "2", NOW)
    assert store.nights_since_promotion("cells", version(3), "2026-03-20") == 0
    for day in (14, 15, 16):
        publish(store, make_assessment(f"2026-03-{day}", verb=Verb.HOLD), NOW + timedelta(days=day - 13))
    assert store.nights_since_promotion("cells", version(3), "2026-03-16") == 2
    promote(store, "2", "3", NOW + timedelta(days=9), event="rolled_back")
    assert store.nights_since_promotion("cells", version(2), "2026-03-30") is None
